"""Dense linear algebra built on Householder reflections and orthogonal rotations."""

from __future__ import annotations

from kernelgen.synthesis.families.linalg import linalg

_GEQRF = """
a = _scratch(self)
tau = _factor_qr(a)
out = _by_rows((*self.shape[:-2], tau.shape[1]), self)
return _deliver(_by_columns(self.shape, self), a), _deliver(out, tau)
"""

_QR = """
if mode not in ("reduced", "complete", "r"):
    raise RuntimeError("qr received an unknown mode; use reduced, complete or r")
a = _scratch(A)
batch, rows, columns = a.shape
tau = _factor_qr(a)
wide = rows if mode == "complete" else min(rows, columns)
upper = _by_columns((batch, wide, columns), A)
_part(upper, a, 2)
r = _unfold(upper, (*A.shape[:-2], wide, columns))
if mode == "r":
    return _by_rows((0,), A), r
q = _reflect(_eye_like(batch, rows, wide, a), a, tau, False)
return _deliver(_by_columns((*A.shape[:-2], rows, wide), A), q), r
"""

_HOUSEHOLDER_PRODUCT = """
a = _scratch(input)
factors = _scratch(tau.unsqueeze(-1))
batch, rows, columns = a.shape
q = _reflect(_eye_like(batch, rows, columns, a), a, factors.view(batch, tau.shape[-1]), False)
return _deliver(_by_columns(input.shape, input), q)
"""

# Q C and Q' C as they are; C Q and C Q' through the transposes.
_ORMQR = """
v, c = _scratch(self), _scratch(input3)
factors = _scratch(input2.unsqueeze(-1))
factors = factors.view(factors.shape[0], input2.shape[-1])
_reflect(c if left else c.transpose(1, 2), v, factors, transpose == left)
return _deliver(_by_columns(input3.shape, input3), c)
"""

# The taller side is rotated, so a wide matrix is treated as its transpose.
_SVD = """
rows, columns = A.shape[-2:]
tall = rows >= columns
small = min(rows, columns)
wide = max(rows, columns) if full_matrices else small
work = _scratch(A if tall else A.transpose(-2, -1))
left, values, right = _singular(work, wide if compute_uv else None)
s = _deliver(_by_rows((*A.shape[:-2], small), A), values)
if not compute_uv:
    return _by_rows((0,), A), s, _by_rows((0,), A)
first, second = (left, right) if tall else (right, left)
u = _by_columns((*A.shape[:-2], *first.shape[1:]), A)
vh = _by_columns((*A.shape[:-2], second.shape[2], second.shape[1]), A)
_deliver(u, first)
_deliver(vh, second.transpose(1, 2))
return u, s, vh
"""

_EIGH = """
values, vectors = _symmetric(_mirror(_scratch(A), UPLO.lower() == "l"))
w = _deliver(_by_rows(A.shape[:-1], A), values)
if not compute_v:
    return w, _by_rows((0,), A)
return w, _deliver(_by_columns(A.shape, A), vectors)
"""

# Of a Hermitian matrix only the lower triangle is read.
_PINV = """
rows, columns = self.shape[-2:]
batch = self.shape[:-2]
a = _scratch(self)
if hermitian:
    _mirror(a, True)
count = a.shape[0]
low, high = _tolerance(atol, batch), _tolerance(rtol, batch)
inverse, _, _ = _pseudo_inverse(
    a,
    None if low is None else low.view(count),
    None if high is None else high.view(count),
    torch.finfo(self.dtype).eps * max(rows, columns),
)
return _deliver(_by_rows((*batch, columns, rows), self), inverse)
"""

# All drivers find the same least-squares solution of least norm; they differ in what else they return.
_LSTSQ = """
driver = "gelsy" if driver is None else driver
if driver not in ("gels", "gelsy", "gelss", "gelsd"):
    raise RuntimeError("lstsq received an unknown driver; use gels, gelsy, gelss or gelsd")
vector = b.dim() == 1 or (self.dim() - 1 == b.dim() and b.shape == self.shape[:-1])
right = b.unsqueeze(-1) if vector else b
batch = torch.broadcast_shapes(self.shape[:-2], right.shape[:-2])
rows, columns = self.shape[-2:]
width = right.shape[-1]
a, y = _scratch(self, batch), _scratch(right, batch)
keep = _scratch(self, batch)
limit = torch.finfo(self.dtype).eps * max(rows, columns) if rcond is None else rcond
inverse, values, rank = _pseudo_inverse(a, None, None, limit)
x = _matmul(inverse, y)
tall = _by_columns((*batch, max(rows, columns), width), self)
solution = _deliver(tall.narrow(-2, 0, columns), x)
residuals = _by_rows((0,), self)
full = rows > columns and driver != "gelsy"
if full and driver != "gels":
    full = _all_equal(rank, columns)
if full:
    _gemm(y, keep.unsqueeze(1), x.unsqueeze(1), y, -1, 1)
    residuals = _by_rows((*batch, width), self)
    _column_squares(residuals.view(y.shape[0], width), y)
spectrum = _by_rows((0,), self)
if driver in ("gelss", "gelsd"):
    spectrum = _deliver(_by_rows((*batch, min(rows, columns)), self), values)
ranks = _by_rows((0,), self, torch.int64) if driver == "gels" else rank.view(batch)
return solution.squeeze(-1) if vector else solution, residuals, ranks, spectrum
"""

_EXPONENTIAL = """
return _deliver(_by_rows(self.shape, self), _exponential(_scratch(self)))
"""

ENTRIES = [
    linalg("geqrf.default", _GEQRF),
    linalg("linalg_qr.default", _QR),
    linalg("linalg_householder_product.default", _HOUSEHOLDER_PRODUCT),
    linalg("ormqr.default", _ORMQR),
    linalg("_linalg_svd.default", _SVD),
    linalg("linalg_pinv.atol_rtol_tensor", _PINV),
    linalg("linalg_lstsq.default", _LSTSQ),
    linalg("linalg_matrix_exp.default", _EXPONENTIAL, ["self"]),
    linalg("_linalg_eigh.default", _EIGH, ["A"]),
]
