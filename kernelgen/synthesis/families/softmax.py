"""Softmax and log-softmax along one dimension, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kernelgen.synthesis.entry import Entry
from kernelgen.synthesis.families.reduction import Pass, sweep

_MAXIMUM = sweep(
    'top = tl.full([BLOCK_M], float("-inf"), COMPUTE)',
    'top = tl.maximum(top, tl.max(tl.where(live, self_value, float("-inf")), axis=1))',
)


def _exponentials(shift: str) -> Pass:
    return sweep(
        "total = tl.zeros([BLOCK_M], COMPUTE)",
        f"total += tl.sum(tl.where(live, tl.exp(self_value - {shift}[:, None]), 0), axis=1)",
    )


def _dot(term: str) -> Pass:
    return sweep("total = tl.zeros([BLOCK_M], COMPUTE)", f"total += tl.sum({term}, axis=1)")


def softmax(
    overload: str,
    passes: Sequence[Pass],
    result: str,
    *,
    operands: Sequence[str] = ("self",),
    out_dtype: str = "torch.float32 if half_to_float else self.dtype",
    prepare: str = "",
    flags: Mapping[str, str] | None = None,
) -> Entry:
    """Return the entry of an operator that rewrites each row from statistics of the row."""
    return Entry(
        overload,
        "softmax.py.j2",
        {
            "passes": list(passes),
            "result": result,
            "operands": list(operands),
            "out_dtype": out_dtype,
            "prepare": prepare,
            "flags": dict(flags or {}),
            "compute": f"_COMPUTE[{operands[0]}.dtype]",
        },
    )


_FORWARD = [_MAXIMUM, _exponentials("top")]
# Along the last dimension PyTorch keeps the sum and its logarithm in the input's own dtype; bf16 results show it.
_LOGARITHM = {
    **_exponentials("top"),
    "end": "if ROUNDS:\n"
    "    total = tl.log(total.to(out.dtype.element_ty).to(COMPUTE)).to(out.dtype.element_ty).to(COMPUTE)\n"
    "else:\n"
    "    total = tl.log(total)",
}
# A row that is masked out whole (all -inf) becomes zeros instead of NaN.
_SAFE = [
    {**_MAXIMUM, "end": 'shift = tl.where(top == float("-inf"), 0.0, top)'},
    {**_exponentials("shift"), "end": "total = tl.where(total == 0, 1.0, total)"},
]
_FLOATING = (
    "if not self.dtype.is_floating_point:\n"
    '    raise NotImplementedError(f"softmax needs a floating point input, not {self.dtype}")'
)
_GRADIENT = ("grad_output", "output")

ENTRIES = [
    softmax("_softmax.default", _FORWARD, "tl.exp(self_value - top[:, None]) / total[:, None]", prepare=_FLOATING),
    softmax(
        "_log_softmax.default",
        [_MAXIMUM, _LOGARITHM],
        "self_value - top[:, None] - total[:, None]",
        prepare=_FLOATING,
        flags={"rounds": "dim == max(self.dim(), 1) - 1 and not half_to_float"},
    ),
    softmax(
        "_safe_softmax.default",
        _SAFE,
        "tl.exp(self_value - shift[:, None]) / total[:, None]",
        out_dtype="dtype or _float_dtype(self.dtype)",
    ),
    softmax(
        "_softmax_backward_data.default",
        [_dot("grad_output_value * output_value")],
        "output_value * (grad_output_value - total[:, None])",
        operands=_GRADIENT,
        out_dtype="input_dtype",
    ),
    softmax(
        "_log_softmax_backward_data.default",
        [_dot("grad_output_value")],
        "grad_output_value - tl.exp(output_value) * total[:, None]",
        operands=_GRADIENT,
        out_dtype="input_dtype",
    ),
]
