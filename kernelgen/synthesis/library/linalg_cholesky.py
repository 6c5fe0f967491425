"""Cholesky factorisation and what is solved with it; the triangular solves themselves are with Gaussian elimination."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.linalg_dense import _all_equal, _outer_update, _scale_vector
from kernelgen.synthesis.library.linalg_lu import _solve_triangle


@triton.jit
def _cholesky_kernel(a, info, size, BLOCK: tl.constexpr):
    # Factor the lower triangle in place, right-looking; info is the order of the first minor that is not positive.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * size * size
    failed = size * 0
    for j in range(size):
        head = tl.load(a + tl.cast(j, tl.int64) * (size + 1)).to(tl.float64)
        failed = tl.where((failed == 0) & ((head <= 0) | (head != head)), j + 1, failed)
        if failed == 0:
            root = tl.sqrt(head)
            tl.debug_barrier()
            tl.store(a + tl.cast(j, tl.int64) * (size + 1), root)
            _scale_vector(a + j, size, j + 1, size, 1.0 / root, BLOCK)
            _outer_update(a, size, 1, j + 1, size, j + 1, size, a + j, size, a + j, size, -1.0, BLOCK)
    tl.store(info + batch, failed)


def _factor_cholesky(a):
    # Factor a scratch batch in place (lower triangle); return info [batch], int32.
    info = torch.empty((a.shape[0],), dtype=torch.int32, device=a.device)
    if a.shape[0]:
        _cholesky_kernel[(a.shape[0],)](a, info, a.shape[1], BLOCK=32)
    return info


def _solve_cholesky(a, b, upper):
    # Solve with the matrix whose factor is a, in place of b.
    lower = a.transpose(1, 2) if upper else a
    _solve_triangle(lower, b, False)
    return _solve_triangle(lower.transpose(1, 2), b, True)


def _refuse_failures(info, message):
    if not _all_equal(info, 0):
        raise RuntimeError(message)
