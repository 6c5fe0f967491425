"""Choosing and blending: where, masked_fill, the clamp family, lerp, addcmul and addcdiv."""

from __future__ import annotations

from kernelgen.synthesis.families.pointwise_core import pointwise

_CLAMP = """\
result = self
if HAS_MIN:
    result = _maximum(result, min)
if HAS_MAX:
    result = _minimum(result, max)"""
_A_LIMIT = """\
if min is None and max is None:
    raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")"""
_LERP = """\
step = weight * (end - self)
result = tl.where(tl.abs(weight) < 0.5, self + step, end - (end - self) * (1 - weight))"""
_TRIPLE = ("self", "tensor1", "tensor2")

ENTRIES = [
    pointwise(
        "where.self",
        "tl.where(condition, self, other)",
        operands=("condition", "self", "other"),
        promoted=("self", "other"),
        casts={"condition": "tl.int1"},
    ),
    *(
        pointwise(
            f"masked_fill.{kind}",
            "tl.where(mask, value, self)",
            operands=("self", "mask", "value"),
            promote="first",
            promoted=("self",),
            casts={"mask": "tl.int1"},
            contiguous=True,
        )
        for kind in ("Scalar", "Tensor")
    ),
    *(
        pointwise(
            f"clamp.{kind}",
            _CLAMP,
            operands=("self", "min", "max"),
            optional=("min", "max"),
            prepare=_A_LIMIT,
        )
        for kind in ("default", "Tensor")
    ),
    *(
        pointwise(f"clamp_min.{kind}", "_maximum(self, min)", operands=("self", "min"))
        for kind in ("default", "Tensor")
    ),
    *(
        pointwise(f"clamp_max.{kind}", "_minimum(self, max)", operands=("self", "max"))
        for kind in ("default", "Tensor")
    ),
    *(
        pointwise(f"lerp.{kind}", _LERP, operands=("self", "end", "weight"), exact=True)
        for kind in ("Tensor", "Scalar")
    ),
    pointwise("addcmul.default", "self + value * tensor1 * tensor2", operands=_TRIPLE, scalars=("value",)),
    pointwise("addcdiv.default", "self + value * tensor1 / tensor2", operands=_TRIPLE, scalars=("value",)),
]
