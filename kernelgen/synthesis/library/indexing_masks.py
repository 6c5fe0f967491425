"""From masks and counts to positions: block counts, their running sum, compaction; the host reads one total."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _collapse
from kernelgen.synthesis.library.index import _offsets


@triton.jit
def _truth(x):
    # int32 1 where x is not zero; bf16 takes part in no comparison in the interpreter.
    wide = x.to(tl.float32) if x.dtype.is_bf16() else x
    return (wide != 0).to(tl.int32)


@triton.jit
def _count_kernel(counts, source, numel, shape, stride, NDIM: tl.constexpr, BLOCK: tl.constexpr):
    block = tl.program_id(0)
    i = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    hit = _truth(tl.load(source + _offsets(i, shape, stride, NDIM), mask=i < numel, other=0))
    tl.store(counts + block, tl.sum(hit, axis=0).to(tl.int64))


@triton.jit
def _starts_kernel(starts, counts, n, stride, BLOCK: tl.constexpr):
    # One program: starts[i] = counts[0] + ... + counts[i - 1], for i = 0 ... n.
    lane = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.int64)
    tl.store(starts + lane, total, mask=lane == 0)
    for first in range(0, n, BLOCK):
        live = first + lane < n
        value = tl.load(counts + (first + lane).to(tl.int64) * stride, mask=live, other=0).to(tl.int64)
        tl.store(starts + 1 + first + lane, total + tl.cumsum(value, axis=0), mask=live)
        total += tl.sum(value, axis=0)


def _running_starts(counts):
    # Exclusive running sum of a 1-d integer tensor, with the total as last element.
    n = counts.numel()
    starts = torch.empty((n + 1,), dtype=torch.int64, device=counts.device)
    _starts_kernel[(1,)](starts, counts, n, counts.stride(0), BLOCK=1024, num_warps=8)
    return starts


def _block_starts(mask):
    # For each block of 1024 elements of mask in row-major order, how many true elements come before it.
    numel = mask.numel()
    blocks = triton.cdiv(numel, 1024)
    counts = torch.empty((blocks,), dtype=torch.int64, device=mask.device)
    if blocks:
        ndim, shape, (sm,) = _collapse(mask.shape, mask.stride())
        _count_kernel[(blocks,)](counts, mask, numel, shape, sm, NDIM=ndim, BLOCK=1024, num_warps=8)
    return _running_starts(counts)


@triton.jit
def _coordinates_kernel(
    out, source, starts, numel, limit, ndim, shape, stride, row_step, column_step,
    NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    block = tl.program_id(0)
    i = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    hit = _truth(tl.load(source + _offsets(i, shape, stride, NDIM), mask=i < numel, other=0))
    row = tl.load(starts + block) + tl.cumsum(hit, axis=0) - 1
    keep = (hit != 0) & (row < limit)
    rest = i
    for d in tl.static_range(0, NDIM):
        column = ndim - 1 - d
        place = out + row * row_step + column * column_step
        tl.store(place, rest % shape[NDIM - 1 - d], mask=keep & (column >= 0))
        rest = rest // shape[NDIM - 1 - d]


def _bucket(*lists):
    # Pad per-dimension lists at the front (the first, sizes, with 1; the others with 0) to 1, 4 or 8 dimensions.
    n = len(lists[0])
    room = 1 if n <= 1 else 4 if n <= 4 else 8
    if n > room:
        raise NotImplementedError("more than 8 dimensions")
    padded = [tuple([1 if k == 0 else 0] * (room - n)) + tuple(x) for k, x in enumerate(lists)]
    return room, padded


def _write_coordinates(out, source, starts):
    # Rows of out: the coordinates of source's true elements, in row-major order; stops when out is full.
    if source.numel() and out.numel():
        ndim, (shape, steps) = _bucket(source.shape, source.stride())
        _coordinates_kernel[(triton.cdiv(source.numel(), 1024),)](
            out, source, starts, source.numel(), out.shape[0], source.dim(), shape, steps,
            out.stride(0), out.stride(1), NDIM=ndim, BLOCK=1024, num_warps=8,
        )  # fmt: skip
    return out


def _nonzero(source):
    # Coordinates of the true elements, one row each, laid out column by column as PyTorch does.
    starts = _block_starts(source)
    total = starts.select(0, starts.numel() - 1).item()
    out = torch.empty_strided((total, source.dim()), (1, max(total, 1)), dtype=torch.int64, device=source.device)
    return _write_coordinates(out, source, starts)


@triton.jit
def _compact_kernel(
    out, source, mask, starts, numel, limit, shape, out_stride, source_stride, mask_stride,
    SPREAD: tl.constexpr, NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # SPREAD: the k-th element of the 1-d source goes to the k-th true place; else the other way round.
    block = tl.program_id(0)
    i = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    hit = _truth(tl.load(mask + _offsets(i, shape, mask_stride, NDIM), mask=i < numel, other=0))
    rank = tl.load(starts + block) + tl.cumsum(hit, axis=0) - 1
    keep = (hit != 0) & (rank < limit)
    if SPREAD:
        value = tl.load(source + rank, mask=keep, other=0)
        tl.store(out + _offsets(i, shape, out_stride, NDIM), value, mask=keep)
    else:
        value = tl.load(source + _offsets(i, shape, source_stride, NDIM), mask=keep, other=0)
        tl.store(out + rank, value, mask=keep)


def _compact_into(out, source, mask, starts):
    # out (1-d) takes source's elements where mask is true, in row-major order.
    numel = mask.numel()
    if numel:
        ndim, shape, (ss, sm) = _collapse(mask.shape, source.stride(), mask.stride())
        _compact_kernel[(triton.cdiv(numel, 1024),)](
            out,
            source,
            mask,
            starts,
            numel,
            out.numel(),
            shape,
            ss,
            ss,
            sm,
            SPREAD=False,
            NDIM=ndim,
            BLOCK=1024,
            num_warps=8,
        )
    return out


def _expand_into(out, source, mask, starts):
    # out takes source's elements, in order, at the places where mask is true.
    numel = mask.numel()
    if numel:
        ndim, shape, (so, sm) = _collapse(mask.shape, out.stride(), mask.stride())
        _compact_kernel[(triton.cdiv(numel, 1024),)](
            out,
            source,
            mask,
            starts,
            numel,
            source.numel(),
            shape,
            so,
            so,
            sm,
            SPREAD=True,
            NDIM=ndim,
            BLOCK=1024,
            num_warps=8,
        )
    return out


@triton.jit
def _owners_kernel(out, starts, numel, n, step, rounds, BLOCK: tl.constexpr):
    # out[i] = the last j with starts[j] <= i, by binary search.
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    low = tl.zeros([BLOCK], tl.int64)
    high = low + n
    for _ in range(rounds):
        middle = (low + high) // 2
        below = tl.load(starts + middle * step, mask=middle < n, other=0) <= i
        open_ = high - low > 1
        low = tl.where(open_ & below, middle, low)
        high = tl.where(open_ & (below == 0), middle, high)
    tl.store(out + i, low.to(out.dtype.element_ty), mask=i < numel)


def _owners_into(out, starts, n):
    # Which of the n runs that begin at starts[0 .. n-1] each position of out belongs to.
    numel = out.numel()
    if numel and n:
        rounds = n.bit_length() + 1
        _owners_kernel[(triton.cdiv(numel, 1024),)](
            out, starts, numel, n, starts.stride(0), rounds, BLOCK=1024, num_warps=8
        )
    return out
