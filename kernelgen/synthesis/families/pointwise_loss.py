"""Losses of element pairs, with the reduction (none, mean or sum) in the same kernel."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def loss(overload: str, body: str, *, scalars: tuple[str, ...] = (), weighted: bool = False) -> Entry:
    """Return the entry of a loss: ``body`` is Triton over ``self``, ``target`` and ``scalars`` that ends in ``result = ...``.

    ``weighted`` says that the overload takes a ``weight`` tensor or None, which multiplies each element's loss.
    """
    return Entry(overload, "loss.py.j2", {"body": body, "scalars": list(scalars), "weighted": weighted})


_DISTANCE = "distance = tl.abs(_round_to(self - target, STORAGE))\n"
# PyTorch rounds to a 16-bit type after each operation here, and bounds the logarithms from below by -100.
_ENTROPY = """\
without = _maximum(_round_to(_log1p(-self), STORAGE), self * 0 - 100)
within = _maximum(_round_to(tl.log(self), STORAGE), self * 0 - 100)
result = _round_to(_round_to(target - 1, STORAGE) * without, STORAGE) - _round_to(target * within, STORAGE)"""
_SOFT_MARGIN = "result = _log1p(_round_to(tl.exp(_round_to(-target * self, STORAGE)), STORAGE))"

ENTRIES = [
    loss("mse_loss.default", _DISTANCE + "result = distance * distance"),
    loss(
        "smooth_l1_loss.default",
        _DISTANCE + "result = tl.where(distance < beta, 0.5 * distance * distance / beta, distance - 0.5 * beta)",
        scalars=("beta",),
    ),
    loss(
        "huber_loss.default",
        _DISTANCE + "result = tl.where(distance <= delta, 0.5 * distance * distance, delta * (distance - 0.5 * delta))",
        scalars=("delta",),
    ),
    loss("binary_cross_entropy.default", _ENTROPY, weighted=True),
    loss("soft_margin_loss.default", _SOFT_MARGIN),
]
