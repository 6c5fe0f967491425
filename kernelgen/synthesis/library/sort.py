"""Stable sorting of rows: rank by counting inside short runs, then merging of runs by binary search; any length."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE
from kernelgen.synthesis.library.index import _offsets
from kernelgen.synthesis.library.reduce import _fold


@triton.jit
def _goes_before(a, b, DESCENDING: tl.constexpr):
    # Strict order in which a NaN is the largest number.
    if DESCENDING:
        return (a > b) | ((a != a) & (b == b))
    return (a < b) | ((b != b) & (a == a))


@triton.jit
def _sort_runs_kernel(
    values,
    indices,
    x,
    M,
    N,
    row_shape,
    x_row_stride,
    out_row_stride,
    x_stride,
    out_stride,
    DESCENDING: tl.constexpr,
    COMPUTE: tl.constexpr,
    ROW_NDIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    WIDTH: tl.constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    start = tl.program_id(1).to(tl.int64) * WIDTH
    lane = tl.arange(0, WIDTH)
    cols = start + lane
    live = (rows < M)[:, None] & (cols < N)[None, :]
    base = x + _offsets(rows, row_shape, x_row_stride, ROW_NDIM)
    key = tl.load(base[:, None] + cols[None, :] * x_stride, mask=live, other=0).to(COMPUTE)
    mine = key[:, :, None]
    other = key[:, None, :]
    earlier = (lane[None, :] < lane[:, None])[None, :, :]
    before = _goes_before(other, mine, DESCENDING) | (earlier & (_goes_before(mine, other, DESCENDING) == 0))
    rank = tl.sum((before & live[:, None, :]).to(tl.int32), axis=2)
    out_base = _offsets(rows, row_shape, out_row_stride, ROW_NDIM)
    place = out_base[:, None] + (start + rank) * out_stride
    tl.store(values + place, key.to(values.dtype.element_ty), mask=live)
    tl.store(indices + place, cols[None, :] + tl.zeros_like(rank), mask=live)


@triton.jit
def _sort_merge_kernel(
    values,
    indices,
    from_values,
    from_indices,
    total,
    N,
    width,
    steps,
    row_shape,
    out_row_stride,
    out_stride,
    DESCENDING: tl.constexpr,
    COMPUTE: tl.constexpr,
    ROW_NDIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # Each element finds its place in the merged pair of runs: its offset in its own run plus its rank in the other.
    flat = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = flat < total
    row = flat // N
    col = flat % N
    run = col // width
    right = run % 2 == 1
    base = (run // 2) * 2 * width
    first = tl.minimum(base + tl.where(right, 0, width), N)
    low = first
    high = tl.minimum(first + width, N)
    key = tl.load(from_values + flat, mask=live, other=0).to(COMPUTE)
    for _ in range(steps):
        open_ = low < high
        middle = (low + high) // 2
        found = tl.load(from_values + row * N + middle, mask=live & open_, other=0).to(COMPUTE)
        ahead = _goes_before(found, key, DESCENDING) | (right & (_goes_before(key, found, DESCENDING) == 0))
        low = tl.where(open_ & ahead, middle + 1, low)
        high = tl.where(open_ & (ahead == 0), middle, high)
    target = base + (col - run * width) + (low - first)
    place = _offsets(row, row_shape, out_row_stride, ROW_NDIM) + target * out_stride
    tl.store(values + place, key.to(values.dtype.element_ty), mask=live)
    tl.store(indices + place, tl.load(from_indices + flat, mask=live, other=0), mask=live)


def _sort_into(values, indices, x, dim, descending):
    # Sort x along dim (already wrapped) into values and indices, which share one set of strides; ties keep their order.
    m, n, (row_ndim, row_shape, row_strides), _ = _fold(x.shape, [dim], x.stride(), values.stride())
    if m == 0 or n == 0:
        return
    step, out_step = (x.stride(dim), values.stride(dim)) if x.dim() else (1, 1)
    block_m, width = (16, 16) if n <= 16 else (4, 64)
    last = n <= width
    flat_strides = [0] * len(row_shape)
    distance = n
    for d in range(len(row_shape) - 1, -1, -1):
        flat_strides[d] = distance
        distance *= row_shape[d]
    flat_strides = tuple(flat_strides)
    to_values = values if last else torch.empty((m, n), dtype=values.dtype, device=x.device)
    to_indices = indices if last else torch.empty((m, n), dtype=torch.int64, device=x.device)
    _sort_runs_kernel[(triton.cdiv(m, block_m), triton.cdiv(n, width))](
        to_values,
        to_indices,
        x,
        m,
        n,
        row_shape,
        row_strides[0],
        row_strides[1] if last else flat_strides,
        step,
        out_step if last else 1,
        DESCENDING=descending,
        COMPUTE=_COMPUTE[x.dtype],
        ROW_NDIM=row_ndim,
        BLOCK_M=block_m,
        WIDTH=width,
    )
    while not last:
        from_values, from_indices = to_values, to_indices
        last = 2 * width >= n
        to_values = values if last else torch.empty((m, n), dtype=values.dtype, device=x.device)
        to_indices = indices if last else torch.empty((m, n), dtype=torch.int64, device=x.device)
        _sort_merge_kernel[(triton.cdiv(m * n, 1024),)](
            to_values,
            to_indices,
            from_values,
            from_indices,
            m * n,
            n,
            width,
            width.bit_length(),
            row_shape,
            row_strides[1] if last else flat_strides,
            out_step if last else 1,
            DESCENDING=descending,
            COMPUTE=_COMPUTE[x.dtype],
            ROW_NDIM=row_ndim,
            BLOCK=1024,
            num_warps=8,
        )
        width *= 2


def _sorted_rows(x, dim, descending=False):
    # Sorted copies of x as contiguous rows [M, N]: values and indices, with dim as the columns.
    moved = x.movedim(dim, -1) if x.dim() else x
    values = torch.empty(moved.shape, dtype=x.dtype, device=x.device)
    indices = torch.empty(moved.shape, dtype=torch.int64, device=x.device)
    _sort_into(values, indices, moved, max(x.dim() - 1, 0), descending)
    return values, indices
