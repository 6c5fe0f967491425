"""Products of matrices and vectors: each overload says how its operands become batches of matrices by views."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry
from kernelgen.synthesis.families.pointwise_core import pointwise

# Rank of an operand -> the view that makes it [batch, summed batch, rows, columns]; `row` and `column` are for vectors.
_MATRIX, _BATCH, _SUMMED = "%s.unsqueeze(0).unsqueeze(0)", "%s.unsqueeze(1)", "%s.unsqueeze(0)"
_ROW, _COLUMN = _MATRIX % "%s.unsqueeze(0)", _MATRIX % "%s.unsqueeze(1)"


def _product(
    overload: str, left: str, right: str, views: tuple[str, str], ranks: tuple[int, int], shape: str, lift: str
) -> Entry:
    op = overload.partition(".")[0]
    bias = "self" if op.startswith(("add", "badd")) else ""
    check = (
        f"if {left}.dim() != {ranks[0]} or {right}.dim() != {ranks[1]}:\n"
        f'    raise RuntimeError("{op} expects {left} of {ranks[0]} and {right} of {ranks[1]} dimensions")'
    )
    return Entry(
        overload,
        "matmul.py.j2",
        {
            "left": views[0] % left,
            "right": views[1] % right,
            "shape": shape,
            "bias": bias,
            "lift": lift,
            "check": check,
        },
    )


_IN_MATRICES, _IN_BATCH, _IN_VECTOR = "%s.unsqueeze(0)", "%s", "%s.unsqueeze(1).unsqueeze(0)"
_TO_MATRIX = "(left.shape[2], right.shape[3])"
_TO_BATCH = "(left.shape[0], left.shape[2], right.shape[3])"

# CPU PyTorch rounds every step of addr to the operands' dtype, so bf16 and fp16 follow it.
_ADDR = """\
TYPE = out.dtype.element_ty
scaled = (vec1 * alpha.to(TYPE).to(COMPUTE)).to(TYPE).to(COMPUTE)
result = (scaled * vec2).to(TYPE).to(COMPUTE)
if HAS_SELF:
    result += (self * beta.to(TYPE).to(COMPUTE)).to(TYPE).to(COMPUTE)"""

ENTRIES = [
    _product("mm.default", "self", "mat2", (_MATRIX, _MATRIX), (2, 2), _TO_MATRIX, _IN_MATRICES),
    _product("addmm.default", "mat1", "mat2", (_MATRIX, _MATRIX), (2, 2), _TO_MATRIX, _IN_MATRICES),
    _product("bmm.default", "self", "mat2", (_BATCH, _BATCH), (3, 3), _TO_BATCH, _IN_BATCH),
    _product("baddbmm.default", "batch1", "batch2", (_BATCH, _BATCH), (3, 3), _TO_BATCH, _IN_BATCH),
    _product("addbmm.default", "batch1", "batch2", (_SUMMED, _SUMMED), (3, 3), _TO_MATRIX, _IN_MATRICES),
    _product("mv.default", "self", "vec", (_MATRIX, _COLUMN), (2, 1), "(left.shape[2],)", _IN_VECTOR),
    _product("addmv.default", "mat", "vec", (_MATRIX, _COLUMN), (2, 1), "(left.shape[2],)", _IN_VECTOR),
    _product("dot.default", "self", "tensor", (_ROW, _COLUMN), (1, 1), "()", "%s.view(1, 1, 1)"),
    _product("vdot.default", "self", "other", (_ROW, _COLUMN), (1, 1), "()", "%s.view(1, 1, 1)"),
    Entry("_trilinear.default", "trilinear.py.j2"),
    pointwise(
        "addr.default",
        _ADDR,
        operands=("self", "vec1", "vec2"),
        scalars=("alpha", "beta"),
        flags={"has_self": "beta != 0"},
        prepare="vec1 = vec1.unsqueeze(1)\nself = self.expand((vec1.shape[0], vec2.shape[0]))",
    ),
]
