"""Dense linear algebra on LU, Cholesky and L D L' factors: each entry composes library steps on scratch copies."""

from __future__ import annotations

from collections.abc import Sequence

from kernelgen.synthesis.entry import Entry


def linalg(overload: str, body: str, square: Sequence[str] = ()) -> Entry:
    """Return the entry of an overload; ``body`` is host code over the library's steps, ``square`` names the arguments
    that must be batches of square matrices."""
    return Entry(overload, "linalg.py.j2", {"body": body.strip("\n"), "square": list(square)})


# Factor self and hand out the packed factors, the pivots and the flags of each matrix.
_LU_FACTOR = """
if not pivot:
    raise NotImplementedError("LU without pivoting is not available on the CPU")
a = _scratch(A)
pivots, info = _factor_lu(a)
out = _deliver(_by_columns(A.shape, A), a)
return out, pivots.view(*A.shape[:-2], pivots.shape[1]), info.view(A.shape[:-2])
"""

_LU = """
if not pivot:
    raise NotImplementedError("LU without pivoting is not available on the CPU")
a = _scratch(A)
rows, columns = a.shape[1:]
small = min(rows, columns)
pivots, info = _factor_lu(a)
p = _by_rows((*A.shape[:-2], rows, rows), A)
lower = _by_rows((a.shape[0], rows, small), A)
upper = _by_rows((a.shape[0], small, columns), A)
_permutation(p.view(a.shape[0], rows, rows), pivots)
_part(lower, a, 1, True)
_part(upper, a, 2)
return p, lower.view(*A.shape[:-2], rows, small), upper.view(*A.shape[:-2], small, columns)
"""

_LU_UNPACK = """
rows, columns = LU_data.shape[-2:]
small = min(rows, columns)
batch = LU_data.shape[:-2]
count = math.prod(batch)
p, lower, upper = _by_rows((0,), LU_data), _by_rows((0,), LU_data), _by_rows((0,), LU_data)
if unpack_pivots:
    p = _by_rows((*batch, rows, rows), LU_data)
    _permutation(p.view(count, rows, rows), _pivots_of(LU_pivots, batch))
if unpack_data:
    a = _contiguous(LU_data).view(count, rows, columns)
    lower = _by_rows((count, rows, small), LU_data)
    upper = _by_rows((count, small, columns), LU_data)
    _part(lower, a, 1, True)
    _part(upper, a, 2)
    lower, upper = lower.view(*batch, rows, small), upper.view(*batch, small, columns)
return p, lower, upper
"""

_LU_SOLVE = """
batch = torch.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
b = _scratch(B, batch)
_solve_right(_scratch(LU, batch), _pivots_of(pivots, batch), b, left, adjoint)
shape = (*batch, *B.shape[-2:])
return _deliver(_by_columns(shape, B) if left else _by_rows(shape, B), b)
"""

_SOLVE = """
vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
right = B.unsqueeze(-1) if vector else B
batch = A.shape[:-2] if vector else torch.broadcast_shapes(A.shape[:-2], B.shape[:-2])
a, b = _scratch(A), _scratch(right, batch)
pivots, info = _factor_lu(a)
lu = _deliver(_by_columns(A.shape, A), a)
wide = _scratch(lu, batch)
_solve_right(wide, _pivots_of(pivots.view(*A.shape[:-2], a.shape[1]), batch), b, left, False)
shape = (*batch, *B.shape[-1 if vector else -2:])
out = _by_columns(shape, B) if left and B.dim() > 1 else _by_rows(shape, B)
_deliver(out, b.squeeze(2) if vector else b)
return (
    out,
    lu,
    pivots.view(*A.shape[:-2], a.shape[1]),
    info.view(A.shape[:-2]),
)
"""

_INV = """
a = _scratch(A)
inverse, info = _inverse(a)
return _deliver(_by_columns(A.shape, A), inverse), info.view(A.shape[:-2])
"""

_DET = """
a = _scratch(A)
pivots, info = _factor_lu(a)
det, sign, logabs = _determinants(a, pivots, A.shape[:-2], A)
lu = _deliver(_by_columns(A.shape, A), a)
return RESULTS, lu, pivots.view(A.shape[:-1])
"""

_TRIANGULAR = """
batch = torch.broadcast_shapes(MATRIX.shape[:-2], RIGHT.shape[:-2])
b = _scratch(RIGHT, batch)
a = _scratch(MATRIX, batch)
"""

_SOLVE_TRIANGULAR = (
    _TRIANGULAR.replace("MATRIX", "self").replace("RIGHT", "B")
    + """
if left:
    _solve_triangle(a, b, upper, unitriangular)
else:
    _solve_triangle(a.transpose(1, 2), b.transpose(1, 2), not upper, unitriangular)
return _deliver(_by_columns((*batch, *B.shape[-2:]), B), b)
"""
)

_TRIANGULAR_SOLVE = (
    _TRIANGULAR.replace("MATRIX", "A").replace("RIGHT", "self")
    + """
_solve_triangle(a.transpose(1, 2) if transpose else a, b, upper != transpose, unitriangular)
solution = _deliver(_by_columns((*batch, *self.shape[-2:]), self), b)
copy = _by_columns((*batch, *A.shape[-2:]), A)
return solution, _deliver(copy, _scratch(A, batch))
"""
)

_CHOLESKY = """
a = _scratch(MATRIX.transpose(-2, -1) if upper else MATRIX)
info = _factor_cholesky(a)
out = _by_columns((a.shape[0], a.shape[1], a.shape[2]), MATRIX)
_part(out.transpose(1, 2) if upper else out, a, 1)
"""

_CHOLESKY_EX = (
    _CHOLESKY.replace("MATRIX", "self")
    + """
return _unfold(out, self.shape), info.view(self.shape[:-2])
"""
)

# A failure has to reach the caller, as the older operator raises it itself.
_CHOLESKY_OLD = (
    _CHOLESKY.replace("MATRIX", "self")
    + """
_refuse_failures(info, "cholesky: the input is not positive-definite")
return _unfold(out, self.shape)
"""
)

_CHOLESKY_INVERSE = """
a = _scratch(self)
b = _identity(a.shape[0], a.shape[1], a)
_solve_cholesky(a, b, upper)
return _deliver(_by_columns(self.shape, self), b)
"""

_CHOLESKY_SOLVE = """
a, b = _scratch(A), _scratch(self)
_solve_cholesky(a, b, upper)
return _deliver(_by_columns(self.shape, self), b)
"""

# Only the lower triangle is read.
_LDL_FACTOR = """
a = _mirror(_scratch(self), True)
pivots, info = _factor_ldl(a)
out = _by_columns(a.shape, self)
_part(out, a, 1)
return _unfold(out, self.shape), pivots.view(self.shape[:-1]), info.view(self.shape[:-2])
"""

_LDL_SOLVE = """
batch = torch.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
b = _scratch(B, batch)
_solve_ldl(_scratch(LD, batch), _pivots_of(pivots, batch), b)
return _deliver(_by_columns((*batch, *B.shape[-2:]), B), b)
"""

ENTRIES = [
    linalg("linalg_lu_factor_ex.default", _LU_FACTOR),
    linalg("linalg_lu.default", _LU),
    linalg("lu_unpack.default", _LU_UNPACK),
    linalg("linalg_lu_solve.default", _LU_SOLVE, ["LU"]),
    linalg("_linalg_solve_ex.default", _SOLVE, ["A"]),
    linalg("linalg_inv_ex.default", _INV, ["A"]),
    linalg("_linalg_det.default", _DET.replace("RESULTS", "det"), ["A"]),
    linalg("_linalg_slogdet.default", _DET.replace("RESULTS", "sign, logabs"), ["A"]),
    linalg("linalg_solve_triangular.default", _SOLVE_TRIANGULAR, ["self"]),
    linalg("triangular_solve.default", _TRIANGULAR_SOLVE, ["A"]),
    linalg("linalg_cholesky_ex.default", _CHOLESKY_EX, ["self"]),
    linalg("cholesky.default", _CHOLESKY_OLD, ["self"]),
    linalg("cholesky_inverse.default", _CHOLESKY_INVERSE, ["self"]),
    linalg("linalg_ldl_factor_ex.default", _LDL_FACTOR, ["self"]),
    linalg("linalg_ldl_solve.default", _LDL_SOLVE, ["LD"]),
    linalg("_cholesky_solve_helper.default", _CHOLESKY_SOLVE, ["A"]),
]
