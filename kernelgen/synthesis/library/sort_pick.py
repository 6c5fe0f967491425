"""What is read off sorted rows: medians and modes; sorts nothing itself."""

import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE
from kernelgen.synthesis.library.sort import _goes_before


@triton.jit
def _median_kernel(
    values, indices, ordered, order, M, N, SKIP_NAN: tl.constexpr, COMPUTE: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    # The lower median of ascending rows. A NaN wins, unless they are skipped; then they only fill an empty row.
    rows = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    row_live = rows < M
    holes = tl.zeros([BLOCK_M], tl.int64)
    for begin in range(0, N, BLOCK_N):
        cols = begin + tl.arange(0, BLOCK_N).to(tl.int64)
        live = row_live[:, None] & (cols < N)[None, :]
        value = tl.load(ordered + rows[:, None] * N + cols[None, :], mask=live, other=0).to(COMPUTE)
        holes += tl.sum((value != value).to(tl.int64), axis=1)
    place = tl.maximum(N - holes - 1, 0) // 2 if SKIP_NAN else tl.where(holes > 0, N - holes, (N - 1) // 2)
    source = rows * N + place
    tl.store(values + rows, tl.load(ordered + source, mask=row_live), mask=row_live)
    tl.store(indices + rows, tl.load(order + source, mask=row_live), mask=row_live)


@triton.jit
def _row_bound(sequence, base, N, key, steps, live, UPPER: tl.constexpr, COMPUTE: tl.constexpr):
    # In ascending rows: how many elements go before the key (and, with UPPER, equal it).
    low = base * 0
    high = low + N
    for _ in range(steps):
        open_ = low < high
        middle = (low + high) // 2
        found = tl.load(sequence + base + middle, mask=live & open_, other=0).to(COMPUTE)
        ahead = _goes_before(key, found, False) == 0 if UPPER else _goes_before(found, key, False)
        low = tl.where(open_ & ahead, middle + 1, low)
        high = tl.where(open_ & (ahead == 0), middle, high)
    return low


@triton.jit
def _mode_kernel(
    values, indices, ordered, order, M, N, steps, COMPUTE: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr
):
    # The most frequent value, the smallest of several; its index is the last in the row, as PyTorch's loop leaves it.
    rows = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    row_live = rows < M
    best = tl.zeros([BLOCK_M], tl.int64)
    place = tl.zeros([BLOCK_M], tl.int64)
    for begin in range(0, N, BLOCK_N):
        cols = begin + tl.arange(0, BLOCK_N).to(tl.int64)
        live = row_live[:, None] & (cols < N)[None, :]
        base = rows[:, None] * N + tl.zeros([BLOCK_M, BLOCK_N], tl.int64)
        value = tl.load(ordered + base + cols[None, :], mask=live, other=0).to(COMPUTE)
        end = _row_bound(ordered, base, N, value, steps, live, True, COMPUTE)
        # A NaN equals nothing in that loop, so each one is a run of its own.
        length = tl.where(value == value, end - _row_bound(ordered, base, N, value, steps, live, False, COMPUTE), 1)
        length = tl.where(live, length, 0)
        longest = tl.max(length, axis=1)
        last = tl.where(value == value, end, cols[None, :] + 1) - 1
        first_end = tl.min(tl.where(live & (length == longest[:, None]), last, N), axis=1)
        place = tl.where(longest > best, first_end, place)
        best = tl.maximum(best, longest)
    source = rows * N + place
    tl.store(values + rows, tl.load(ordered + source, mask=row_live), mask=row_live)
    tl.store(indices + rows, tl.load(order + source, mask=row_live), mask=row_live)


def _median_into(values, indices, ordered, order, m, n, skip_nan):
    # values and indices: contiguous, one element for each row of ordered and order ([m, n], contiguous).
    block_m, block_n = (64, 16) if n <= 16 else (8, 128)
    _median_kernel[(triton.cdiv(m, block_m),)](
        values, indices, ordered, order, m, n,
        SKIP_NAN=skip_nan, COMPUTE=_COMPUTE[ordered.dtype], BLOCK_M=block_m, BLOCK_N=block_n, num_warps=8,
    )  # fmt: skip


def _mode_into(values, indices, ordered, order, m, n):
    block_m, block_n = (64, 16) if n <= 16 else (8, 128)
    _mode_kernel[(triton.cdiv(m, block_m),)](
        values, indices, ordered, order, m, n, n.bit_length(),
        COMPUTE=_COMPUTE[ordered.dtype], BLOCK_M=block_m, BLOCK_N=block_n, num_warps=8,
    )  # fmt: skip


@triton.jit
def _fill_missing_kernel(out, FLOATING: tl.constexpr):
    # PyTorch's median of nothing: NaN, and the smallest integer (the same bits cast) for integer dtypes.
    if FLOATING:
        tl.store(out, tl.full([], float("nan"), tl.float32).to(out.dtype.element_ty))
    else:
        tl.store(out, tl.full([], -9223372036854775808, tl.int64).to(out.dtype.element_ty))
