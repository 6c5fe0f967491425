"""Householder reflections: QR factorisation, and products with the orthogonal matrix that reflectors stand for."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.linalg_dense import _apply_reflector, _part, _scale_vector, _vector_dot


@triton.jit
def _qr_kernel(a, tau, work, rows, columns, BLOCK: tl.constexpr):
    # LAPACK's geqr2: R on and above the diagonal, the reflectors below it, their factors in tau.
    batch = tl.program_id(0).to(tl.int64)
    small = tl.minimum(rows, columns)
    a += batch * rows * columns
    tau += batch * small
    work += batch * columns
    for j in range(small):
        diagonal = a + tl.cast(j, tl.int64) * (columns + 1)
        alpha = tl.load(diagonal).to(tl.float64)
        rest = _vector_dot(a + j, columns, a + j, columns, j + 1, rows, BLOCK)
        norm = tl.sqrt(alpha * alpha + rest)
        beta = tl.where(alpha < 0, norm, -norm)
        plain = rest == 0
        factor = tl.where(plain, 0.0, (beta - alpha) / tl.where(plain, 1.0, beta))
        _scale_vector(a + j, columns, j + 1, rows, 1.0 / tl.where(plain, 1.0, alpha - beta), BLOCK)
        tl.store(tau + j, factor)
        tl.store(diagonal, tl.where(plain, alpha, beta))
        _apply_reflector(a, columns, 1, j, rows, j + 1, columns, a + j, columns, factor, work, BLOCK)


@triton.jit
def _reflect_kernel(
    c, v, tau, work, rows, columns, count, c_stride, v_stride, FORWARD: tl.constexpr, BLOCK: tl.constexpr
):
    # c = H c for every reflector of v in turn: from the first (FORWARD: the transpose of Q) or from the last (Q).
    batch = tl.program_id(0).to(tl.int64)
    c += batch * c_stride[0]
    v += batch * v_stride[0]
    work += batch * columns
    for step in range(count):
        j = step
        if not FORWARD:
            j = count - 1 - step
        factor = tl.load(tau + batch * count + j).to(tl.float64)
        column = v + tl.cast(j, tl.int64) * v_stride[2]
        _apply_reflector(c, c_stride[1], c_stride[2], j, rows, 0, columns, column, v_stride[1], factor, work, BLOCK)


def _factor_qr(a):
    # Factor a scratch batch in place; return tau [batch, min(rows, columns)].
    batch, rows, columns = a.shape
    tau = torch.empty((batch, min(rows, columns)), dtype=torch.float64, device=a.device)
    work = torch.empty((batch, columns), dtype=torch.float64, device=a.device)
    if batch and tau.numel():
        _qr_kernel[(batch,)](a, tau, work, rows, columns, BLOCK=32)
    return tau


def _reflect(c, v, tau, forward):
    # Multiply c by Q (or, forward, its transpose) from the left, in place; c and v are scratch batches of any strides.
    if c.numel() and tau.numel():
        batch, rows, columns = c.shape
        work = torch.empty((batch, columns), dtype=torch.float64, device=c.device)
        count = tau.shape[1]
        _reflect_kernel[(batch,)](
            c, v, tau, work, rows, columns, count, c.stride(), v.stride(), FORWARD=forward, BLOCK=32
        )
    return c


def _eye_like(batch, rows, columns, like):
    # Float64 batches with ones on the diagonal.
    out = torch.empty((batch, rows, columns), dtype=torch.float64, device=like.device)
    return _part(out, out, 3, True)
