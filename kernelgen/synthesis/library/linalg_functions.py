"""Functions of a matrix: pseudo-inverse from singular values, and the exponential; factorisations are elsewhere."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _contiguous
from kernelgen.synthesis.library.linalg_jacobi import _singular
from kernelgen.synthesis.library.linalg_matmul import _matmul


@triton.jit
def _cutoff_kernel(
    right,
    values,
    atol,
    rtol,
    rank,
    rows,
    size,
    default,
    HAS_ATOL: tl.constexpr,
    HAS_RTOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # Divide column j of right [rows, size] by values[j] where that is above max(atol, rtol * values[0]), else clear it.
    batch = tl.program_id(0).to(tl.int64)
    right += batch * rows * size
    values += batch * size
    lane = tl.arange(0, BLOCK).to(tl.int64)
    absolute = tl.load(atol + batch + lane * 0, mask=HAS_ATOL & (lane >= 0), other=0).to(tl.float64)
    relative = tl.load(rtol + batch + lane * 0, mask=HAS_RTOL & (lane >= 0), other=0).to(tl.float64)
    if not HAS_RTOL:
        relative = tl.where(absolute > 0, 0.0, relative + default)
    limit = tl.maximum(absolute, relative * tl.load(values + lane * 0, mask=lane < size, other=0).to(tl.float64))
    limit = tl.max(limit, axis=0)
    count = tl.zeros([BLOCK], tl.int64)
    for s in range(0, size, BLOCK):
        j = s + lane
        value = tl.load(values + j, mask=j < size, other=0).to(tl.float64)
        keep = (j < size) & (value > limit)
        count += keep.to(tl.int64)
        factor = tl.where(keep, 1.0 / tl.where(keep, value, 1.0), 0.0)
        for i in range(rows):
            place = right + tl.cast(i, tl.int64) * size + j
            tl.store(place, tl.load(place, mask=j < size, other=0).to(tl.float64) * factor, mask=j < size)
    tl.store(rank + batch, tl.sum(count, axis=0))


@triton.jit
def _column_squares_kernel(out, x, rows, width, BLOCK: tl.constexpr):
    batch = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for s in range(0, width, BLOCK):
        k = s + lane
        total = tl.zeros([BLOCK], tl.float64)
        for i in range(rows):
            value = tl.load(x + (batch * rows + i) * width + k, mask=k < width, other=0).to(tl.float64)
            total += value * value
        tl.store(out + batch * width + k, total.to(out.dtype.element_ty), mask=k < width)


def _column_squares(out, x):
    # out [batch, width] = the sum of squares of each column of x [batch, rows, width].
    if out.numel():
        _column_squares_kernel[(x.shape[0],)](out, x, x.shape[1], x.shape[2], BLOCK=32)
    return out


def _tolerance(x, shape):
    # A tolerance broadcast over the batch, as float64; None stays None.
    return None if x is None else _contiguous(x.expand(shape), torch.float64)


def _pseudo_inverse(a, atol, rtol, default):
    # Of a scratch batch [batch, rows, columns]: (pseudo-inverse [batch, columns, rows], singular values, rank).
    batch, rows, columns = a.shape
    tall = rows >= columns
    work = a if tall else _contiguous(a.transpose(1, 2))
    left, values, right = _singular(work, min(rows, columns))
    rank = torch.empty((batch,), dtype=torch.int64, device=a.device)
    if batch:
        _cutoff_kernel[(batch,)](
            right,
            values,
            values if atol is None else atol,
            values if rtol is None else rtol,
            rank,
            right.shape[1],
            right.shape[2],
            float(default),
            HAS_ATOL=atol is not None,
            HAS_RTOL=rtol is not None,
            BLOCK=32,
        )
    inverse = _matmul(right, left.transpose(1, 2)) if tall else _matmul(left, right.transpose(1, 2))
    return inverse, values, rank


@triton.jit
def _multiply_into(out, a, b, size, divisor, identity, BLOCK: tl.constexpr):
    # out = a b / divisor, plus the identity times `identity`, for contiguous square matrices of one program.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(0, size, BLOCK):
        i = (r + lane)[:, None]
        for s in range(0, size, BLOCK):
            k = (s + lane)[None, :]
            total = tl.zeros([BLOCK, BLOCK], tl.float64)
            for t in range(0, size, BLOCK):
                x = tl.load(
                    a + i * size + (t + lane)[None, :], mask=(i < size) & (t + lane < size)[None, :], other=0
                ).to(tl.float64)
                y = tl.load(
                    b + (t + lane)[:, None] * size + k, mask=(t + lane < size)[:, None] & (k < size), other=0
                ).to(tl.float64)
                total = tl.dot(x, y, total, input_precision="ieee", out_dtype=tl.float64)
            total = total / divisor + tl.where(i == k, 1.0, 0.0) * identity
            tl.store(out + i * size + k, total, mask=(i < size) & (k < size))
    tl.debug_barrier()


@triton.jit
def _exponential_kernel(a, work, size, TERMS: tl.constexpr, BLOCK: tl.constexpr):
    # exp(a) in place by scaling and squaring: a / 2^s of 1-norm at most 1/2, a Taylor sum by Horner's rule (error below
    # 0.5^(TERMS + 1) / (TERMS + 1)!), then s squarings. work holds two matrices.
    batch = tl.program_id(0).to(tl.int64)
    area = tl.cast(size, tl.int64) * size
    a += batch * area
    work += batch * 2 * area
    lane = tl.arange(0, BLOCK).to(tl.int64)
    largest = tl.zeros([BLOCK], tl.float64)
    for s in range(0, size, BLOCK):
        k = s + lane
        total = tl.zeros([BLOCK], tl.float64)
        for i in range(size):
            total += tl.abs(tl.load(a + tl.cast(i, tl.int64) * size + k, mask=k < size, other=0).to(tl.float64))
        largest = tl.maximum(largest, total)
    norm = tl.max(largest, axis=0)
    scale = norm * 0 + 1.0
    squarings = size * 0
    while (norm > 0.5) & (squarings < 1100):
        norm = norm * 0.5
        scale = scale * 0.5
        squarings += 1
    for s in range(0, area, BLOCK):
        k = s + lane
        row = k // size
        tl.store(a + k, tl.load(a + k, mask=k < area, other=0).to(tl.float64) * scale, mask=k < area)
        tl.store(work + k, tl.where(k == row * (size + 1), 1.0, 0.0).to(tl.float64), mask=k < area)
    tl.debug_barrier()
    side = area * 0
    for term in range(TERMS):
        _multiply_into(work + area - side, a, work + side, size, TERMS - term, 1.0, BLOCK)
        side = area - side
    for _ in range(squarings):
        _multiply_into(work + area - side, work + side, work + side, size, 1, 0.0, BLOCK)
        side = area - side
    for s in range(0, area, BLOCK):
        k = s + lane
        tl.store(a + k, tl.load(work + side + k, mask=k < area, other=0).to(tl.float64), mask=k < area)


def _exponential(a):
    if a.numel():
        work = torch.empty((a.shape[0], 2, *a.shape[1:]), dtype=torch.float64, device=a.device)
        _exponential_kernel[(a.shape[0],)](a, work, a.shape[1], TERMS=14, BLOCK=16)
    return a
