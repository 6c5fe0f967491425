"""Symmetric indefinite factorisation P A P' = L D L' with 1x1 and 2x2 blocks, and solves with it; no other factoring.

Bunch and Kaufman's partial pivoting (Mathematics of Computation 31, 1977), with the choices and the packed result of
LAPACK's sytf2: D and L below the diagonal, a positive pivot for a 1x1 block and a negative pair for a 2x2 block.
"""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.linalg_dense import _outer_update, _scale_vector, _swap_vectors


@triton.jit
def _largest_entry(x, step, start, stop, skip, BLOCK: tl.constexpr):
    # (largest size, its first index) of x[i] over start <= i < stop, i != skip; (-1, stop) where there is none.
    lane = tl.arange(0, BLOCK)
    best = tl.full([BLOCK], -1.0, tl.float64)
    place = lane * 0 + stop
    for r in range(start, stop, BLOCK):
        i = r + lane
        size = tl.abs(tl.load(x + i.to(tl.int64) * step, mask=i < stop, other=0).to(tl.float64))
        better = (i < stop) & (i != skip) & (size > best)
        place = tl.where(better, i, place)
        best = tl.where(better, size, best)
    largest = tl.max(best, axis=0)
    return largest, tl.min(tl.where(best == largest, place, stop), axis=0)


@triton.jit
def _couple_columns(a, k, size, BLOCK: tl.constexpr):
    # Eliminate with the 2x2 block at k: columns k and k + 1 below it become those of L, the rest of the matrix shrinks.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    first = a + tl.cast(k, tl.int64) * (size + 1)
    low = tl.load(first + size).to(tl.float64)
    bottom = tl.load(first + size + 1).to(tl.float64) / low
    top = tl.load(first).to(tl.float64) / low
    factor = 1.0 / ((bottom * top - 1.0) * low)
    # The new columns wait in the upper triangle, rows k and k + 1, while the old ones are still needed.
    row = a + tl.cast(k, tl.int64) * size
    for r in range(k + 2, size, BLOCK):
        i = r + lane
        x = tl.load(a + i * size + k, mask=i < size, other=0).to(tl.float64)
        y = tl.load(a + i * size + k + 1, mask=i < size, other=0).to(tl.float64)
        tl.store(row + i, factor * (bottom * x - y), mask=i < size)
        tl.store(row + size + i, factor * (top * y - x), mask=i < size)
    tl.debug_barrier()
    _outer_update(a, size, 1, k + 2, size, k + 2, size, a + k, size, row, 1, -1.0, BLOCK)
    _outer_update(a, size, 1, k + 2, size, k + 2, size, a + k + 1, size, row + size, 1, -1.0, BLOCK)
    for r in range(k + 2, size, BLOCK):
        i = r + lane
        tl.store(a + i * size + k, tl.load(row + i, mask=i < size, other=0), mask=i < size)
        tl.store(a + i * size + k + 1, tl.load(row + size + i, mask=i < size, other=0), mask=i < size)
    tl.debug_barrier()


@triton.jit
def _ldl_kernel(a, pivots, info, size, BLOCK: tl.constexpr):
    # Factor a whole symmetric matrix; what is left above its diagonal means nothing.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * size * size
    pivots += batch * size
    failed = size * 0
    k = size * 0
    while k < size:
        own = tl.abs(tl.load(a + tl.cast(k, tl.int64) * (size + 1)).to(tl.float64))
        column, other = _largest_entry(a + k, size, k + 1, size, -1, BLOCK)
        other = tl.minimum(other, size - 1)
        row, _ = _largest_entry(a + tl.cast(other, tl.int64) * size, 1, k, size, other, BLOCK)
        across = tl.abs(tl.load(a + tl.cast(other, tl.int64) * (size + 1)).to(tl.float64))
        empty = (tl.maximum(own, column) <= 0) | (own != own)
        # 0.6403882032022076 = (1 + sqrt(17)) / 8 bounds the growth of the entries.
        stay = empty | (own >= 0.6403882032022076 * column)
        stay = stay | (own * row >= 0.6403882032022076 * column * column)
        pair = (across < 0.6403882032022076 * row) & (stay == 0)
        kk = k + pair.to(tl.int32)
        pivot = tl.where(stay, k, other)
        failed = tl.where(empty & (failed == 0), k + 1, failed)
        if pivot != kk:
            from_k = a + k
            wide = tl.cast(size, tl.int64)
            _swap_vectors(from_k + kk * wide, from_k + pivot * wide, 1, size - k, BLOCK)
            from_k = a + k * wide
            _swap_vectors(from_k + kk, from_k + pivot, size, size - k, BLOCK)
        if pair:
            tl.store(pivots + k, -pivot - 1)
            tl.store(pivots + k + 1, -pivot - 1)
            _couple_columns(a, k, size, BLOCK)
        else:
            tl.store(pivots + k, pivot + 1)
            if empty == 0:
                head = 1.0 / tl.load(a + tl.cast(k, tl.int64) * (size + 1)).to(tl.float64)
                below = a + k
                _outer_update(a, size, 1, k + 1, size, k + 1, size, below, size, below, size, -head, BLOCK)
                _scale_vector(below, size, k + 1, size, head, BLOCK)
        k = kk + 1
    tl.store(info + batch, failed)


@triton.jit
def _take_product(row, b, b_row, b_col, x, x_step, top, size, width, BLOCK: tl.constexpr):
    # row[k] -= the sum of x[i] * b[i, k] over top <= i < size.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for s in range(0, width, BLOCK):
        k = s + lane
        total = tl.load(row + k * b_col, mask=k < width, other=0).to(tl.float64)
        for r in range(top, size, BLOCK):
            i = r + lane
            column = tl.load(x + i * x_step, mask=i < size, other=0).to(tl.float64)
            live = (i < size)[:, None] & (k < width)[None, :]
            tile = tl.load(b + i[:, None] * b_row + k[None, :] * b_col, mask=live, other=0).to(tl.float64)
            total -= tl.sum(column[:, None] * tile, axis=0)
        tl.store(row + k * b_col, total, mask=k < width)
    tl.debug_barrier()


@triton.jit
def _solve_pair(x, y, step, width, top, low, bottom, BLOCK: tl.constexpr):
    # Solve with the block [[top, low], [low, bottom]] in place of the rows x and y; scaled by low, as LAPACK does.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    first, last = top / low, bottom / low
    whole = first * last - 1.0
    for s in range(0, width, BLOCK):
        k = s + lane
        one = tl.load(x + k * step, mask=k < width, other=0).to(tl.float64) / low
        two = tl.load(y + k * step, mask=k < width, other=0).to(tl.float64) / low
        tl.store(x + k * step, (last * one - two) / whole, mask=k < width)
        tl.store(y + k * step, (first * two - one) / whole, mask=k < width)
    tl.debug_barrier()


@triton.jit
def _ldl_solve_kernel(a, pivots, b, size, width, a_stride, b_stride, BLOCK: tl.constexpr):
    # Solve with L D, then with L', undoing the exchanges, in place of b.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * a_stride[0]
    b += batch * b_stride[0]
    pivots += batch * size
    a_row, a_col = a_stride[1], a_stride[2]
    b_row, b_col = b_stride[1], b_stride[2]
    k = tl.cast(size, tl.int64) * 0
    while k < size:
        sign = tl.load(pivots + k).to(tl.int64)
        pair = (sign < 0).to(tl.int64)
        pivot = tl.where(sign < 0, -sign, sign) - 1
        row = b + k * b_row
        column = a + k * a_col
        last = k + pair
        if pivot != last:
            _swap_vectors(b + last * b_row, b + pivot * b_row, b_col, width, BLOCK)
        _outer_update(b, b_row, b_col, last + 1, size, 0, width, column, a_row, row, b_col, -1.0, BLOCK)
        head = tl.load(column + k * a_row).to(tl.float64)
        if pair > 0:
            after = column + a_col
            _outer_update(b, b_row, b_col, last + 1, size, 0, width, after, a_row, row + b_row, b_col, -1.0, BLOCK)
            low = tl.load(column + last * a_row).to(tl.float64)
            bottom = tl.load(after + last * a_row).to(tl.float64)
            _solve_pair(row, row + b_row, b_col, width, head, low, bottom, BLOCK)
        else:
            _scale_vector(row, b_col, 0, width, 1.0 / head, BLOCK)
        k = last + 1
    k = tl.cast(size, tl.int64) - 1
    while k >= 0:
        sign = tl.load(pivots + k).to(tl.int64)
        pivot = tl.where(sign < 0, -sign, sign) - 1
        row = b + k * b_row
        column = a + k * a_col
        _take_product(row, b, b_row, b_col, column, a_row, k + 1, size, width, BLOCK)
        if sign < 0:
            _take_product(row - b_row, b, b_row, b_col, column - a_col, a_row, k + 1, size, width, BLOCK)
        if pivot != k:
            _swap_vectors(row, b + pivot * b_row, b_col, width, BLOCK)
        k = k - tl.where(sign < 0, 2, 1)


def _factor_ldl(a):
    # Factor a symmetric scratch batch in place (lower triangle); return pivots [batch, size] and info [batch], int32.
    batch, size, _ = a.shape
    pivots = torch.empty((batch, size), dtype=torch.int32, device=a.device)
    info = torch.empty((batch,), dtype=torch.int32, device=a.device)
    if batch:
        _ldl_kernel[(batch,)](a, pivots, info, size, BLOCK=32)
    return pivots, info


def _solve_ldl(a, pivots, b):
    # Solve with a factored matrix in place of b; scratch batches.
    if b.numel():
        size, width = b.shape[1], b.shape[2]
        _ldl_solve_kernel[(b.shape[0],)](a, pivots, b, size, width, a.stride(), b.stride(), BLOCK=32)
    return b
