"""Losses of element pairs, with the reduction (none, mean or sum) in the same kernel."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def loss(overload: str, body: str, *, scalars: tuple[str, ...] = (), weighted: bool = False, exact: str = "") -> Entry:
    """Return the entry of a loss: ``body`` is Triton over self, target and ``scalars`` that ends in ``result = ...``.

    STEP is the type that PyTorch rounds each operation to: the result's own, but fp32 where that is the 16-bit type
    ``exact`` (``torch.float16``). ``weighted`` says that the overload takes a ``weight`` tensor or
    None, which multiplies each element's loss.
    """
    params = {"body": body, "scalars": list(scalars), "weighted": weighted, "exact": exact}
    return Entry(overload, "loss.py.j2", params)


_DISTANCE = "distance = tl.abs(_round_to(self - target, STEP))\n"
# PyTorch bounds the logarithms from below by -100.
_ENTROPY = """\
without = _maximum(_round_to(_log1p(-self), STEP), self * 0 - 100)
within = _maximum(_round_to(tl.log(self), STEP), self * 0 - 100)
result = _round_to(_round_to(target - 1, STEP) * without, STEP) - _round_to(target * within, STEP)"""
_SOFT_MARGIN = "result = _log1p(_round_to(tl.exp(_round_to(-target * self, STEP)), STEP))"
_SMOOTH = """\
beta = _round_to(beta, STEP)
square = _round_to(_round_to(0.5 * distance, STEP) * distance, STEP)
result = tl.where(distance < beta, square / beta, distance - _round_to(0.5 * beta, STEP))"""
_HUBER = """\
delta = _round_to(delta, STEP)
square = _round_to(0.5 * distance, STEP) * distance
result = tl.where(
    distance <= delta, square, delta * _round_to(distance - _round_to(0.5 * delta, STEP), STEP)
)"""

ENTRIES = [
    loss("mse_loss.default", _DISTANCE + "result = distance * distance"),
    loss("smooth_l1_loss.default", _DISTANCE + _SMOOTH, scalars=("beta",), exact="torch.bfloat16"),
    loss("huber_loss.default", _DISTANCE + _HUBER, scalars=("delta",), exact="torch.float16"),
    loss("binary_cross_entropy.default", _ENTROPY, weighted=True),
    loss("soft_margin_loss.default", _SOFT_MARGIN),
]
