"""Sizes of ranges and places in triangles, on the host and on the device."""

import math

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.index import _round_to


def _arange_count(start, end, step, dtype):
    # The number of elements; int64 counts in whole numbers, the others in doubles, as PyTorch does.
    if dtype == torch.int64:
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    return -((start - end) // step) if dtype == torch.int64 else math.ceil((end - start) / step)


def _triangle_count(rows, columns, offset, upper):
    # Elements on and below diagonal `offset` of a rows x columns matrix, or on and above it.
    if upper:
        return rows * columns - _triangle_count(rows, columns, offset - 1, False)
    ends = [
        max(k, 0) * (max(k, 0) + 1) // 2 for k in (rows + offset, offset, rows + offset - columns, offset - columns)
    ]
    return ends[0] - ends[1] - ends[2] + ends[3]


@triton.jit
def _line(index, start, end, count, DTYPE: tl.constexpr):
    # linspace from both ends to the middle, each operation rounded to the result's type, as PyTorch does.
    start, end = _round_to(start, DTYPE), _round_to(end, DTYPE)
    gaps = _round_to((index * 0 + count - 1).to(start.dtype), DTYPE)
    step = _round_to(_round_to(end - start, DTYPE) / gaps, DTYPE)
    near = start + _round_to(step * _round_to(index.to(start.dtype), DTYPE), DTYPE)
    far = end - _round_to(step * _round_to((count - 1 - index).to(start.dtype), DTYPE), DTYPE)
    return tl.where(index < count // 2, near, tl.where(count == 1, start, far))


@triton.jit
def _triangular(k):
    # 1 + 2 + ... + k, 0 for negative k.
    k = tl.where(k > 0, k, k * 0)
    return k * (k + 1) // 2


@triton.jit
def _triangle_before(row, columns, offset, UPPER: tl.constexpr):
    # Elements of the triangle in the rows above `row`.
    low = offset - 1 if UPPER else offset
    below = _triangular(row + low) - _triangular(row * 0 + low)
    below = below - _triangular(row + low - columns) + _triangular(row * 0 + low - columns)
    return row * columns - below if UPPER else below


@triton.jit
def _triangle_row(place, rows, columns, offset, UPPER: tl.constexpr):
    # The row of the triangle's element number `place`: the last one with no more than `place` elements before it.
    low = place * 0
    high = low + rows
    while tl.max(high - low, axis=0) > 1:
        middle = (low + high) // 2
        fits = _triangle_before(middle, columns, offset, UPPER) <= place
        low, high = tl.where(fits, middle, low), tl.where(fits, high, middle)
    return low
