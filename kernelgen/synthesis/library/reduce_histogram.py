"""Counting into bins: limits, edges, positions, counts and densities; each step is one small kernel."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE, _contiguous
from kernelgen.synthesis.library.reduce import _highest, _lowest


@triton.jit
def _bin_limits_kernel(limits, x, N, step, low, high, widen, GIVEN: tl.constexpr, COMPUTE: tl.constexpr,
                       BLOCK: tl.constexpr):  # fmt: skip
    # limits[0], limits[1]: the given range, else the smallest and largest element; an empty range is widened.
    if GIVEN:
        least = tl.full([], low, COMPUTE)
        most = tl.full([], high, COMPUTE)
    else:
        least = tl.zeros([], COMPUTE) + _highest(COMPUTE)
        most = tl.zeros([], COMPUTE) + _lowest(COMPUTE)
        for begin in range(0, N, BLOCK):
            place = begin + tl.arange(0, BLOCK).to(tl.int64)
            value = tl.load(x + place * step, mask=place < N, other=0).to(COMPUTE)
            least = tl.minimum(least, tl.min(tl.where(place < N, value, _highest(COMPUTE)), axis=0))
            most = tl.maximum(most, tl.max(tl.where(place < N, value, _lowest(COMPUTE)), axis=0))
        least = tl.where(N == 0, 0, least).to(COMPUTE)
        most = tl.where(N == 0, 1, most).to(COMPUTE)
    same = least == most
    tl.store(limits, tl.where(same, least - widen, least).to(limits.dtype.element_ty))
    tl.store(limits + 1, tl.where(same, most + widen, most).to(limits.dtype.element_ty))


@triton.jit
def _bin_edges_kernel(edges, limits, bins, COMPUTE: tl.constexpr, BLOCK: tl.constexpr):
    # bins + 1 evenly spaced edges, counted from the nearer end so that both ends are exact.
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    low = tl.load(limits).to(COMPUTE)
    high = tl.load(limits + 1).to(COMPUTE)
    width = (high - low) / bins
    near = place < (bins + 1) // 2
    edge = tl.where(near, low + width * place, high - width * (bins - place))
    tl.store(edges + place, edge.to(edges.dtype.element_ty), mask=place <= bins)


@triton.jit
def _bin_search_kernel(position, x, edges, N, step, bins, steps, FIRST: tl.constexpr, COMPUTE: tl.constexpr,
                       BLOCK: tl.constexpr):  # fmt: skip
    # position = position * bins + the bin of x among ascending edges; -1 outside. The last bin is closed.
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < N
    value = tl.load(x + place * step, mask=live, other=0).to(COMPUTE)
    low = tl.zeros([BLOCK], tl.int64)
    high = low + bins + 1
    for _ in range(steps):
        open_ = low < high
        middle = (low + high) // 2
        below = tl.load(edges + middle, mask=open_, other=0).to(COMPUTE) <= value
        low = tl.where(open_ & below, middle + 1, low)
        high = tl.where(open_ & (below == 0), middle, high)
    inside = (value >= tl.load(edges).to(COMPUTE)) & (value <= tl.load(edges + bins).to(COMPUTE))
    bin_ = tl.minimum(low - 1, bins - 1)
    if FIRST:
        result = tl.where(inside, bin_, -1)
    else:
        before = tl.load(position + place, mask=live, other=-1)
        result = tl.where(inside & (before >= 0), before * bins + bin_, -1)
    tl.store(position + place, result, mask=live)


@triton.jit
def _bin_round(value, x):
    return value.to(x.dtype.element_ty).to(value.dtype)


@triton.jit
def _bin_linear_kernel(position, x, limits, N, bins, COMPUTE: tl.constexpr, BLOCK: tl.constexpr):
    # The bin of x by linear interpolation between the limits; -1 outside.
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < N
    value = tl.load(x + place, mask=live, other=0).to(COMPUTE)
    low = tl.load(limits).to(COMPUTE)
    high = tl.load(limits + 1).to(COMPUTE)
    inside = (value >= low) & (value <= high)
    away = tl.where(inside, value - low, 0)
    if COMPUTE.is_floating():
        # Each step rounds to the dtype of x, as PyTorch's own arithmetic on halves does.
        scaled = _bin_round(_bin_round(away, x) * _bin_round(bins + 0 * away, x), x)
        bin_ = _bin_round(scaled / _bin_round(high - low, x), x).to(tl.int64)
    else:
        bin_ = (away.to(tl.int64) * bins) // (high - low)
    tl.store(position + place, tl.where(inside, tl.minimum(bin_, bins - 1), -1), mask=live)


@triton.jit
def _bin_clear_kernel(counts, total, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(counts + place, tl.zeros([BLOCK], counts.dtype.element_ty), mask=place < total)


@triton.jit
def _bin_count_kernel(counts, position, weight, N, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < N
    bin_ = tl.load(position + place, mask=live, other=-1).to(tl.int64)
    if WEIGHTED:
        amount = tl.load(weight + place, mask=live, other=0).to(counts.dtype.element_ty)
    else:
        amount = tl.full([BLOCK], 1, counts.dtype.element_ty)
    tl.atomic_add(counts + bin_, amount, mask=live & (bin_ >= 0))


@triton.jit
def _bin_share_kernel(counts, total, COMPUTE: tl.constexpr, BLOCK: tl.constexpr):
    # Counts as shares of their sum; one program, as every share needs the sum of all.
    amount = tl.zeros([], COMPUTE)
    for begin in range(0, total, BLOCK):
        place = begin + tl.arange(0, BLOCK).to(tl.int64)
        amount += tl.sum(tl.load(counts + place, mask=place < total, other=0).to(COMPUTE), axis=0)
    tl.debug_barrier()
    for begin in range(0, total, BLOCK):
        place = begin + tl.arange(0, BLOCK).to(tl.int64)
        value = tl.load(counts + place, mask=place < total, other=0).to(COMPUTE)
        tl.store(counts + place, (value / amount).to(counts.dtype.element_ty), mask=place < total)


@triton.jit
def _bin_density_kernel(counts, edges, total, inner, bins, COMPUTE: tl.constexpr, BLOCK: tl.constexpr):
    # Divide by the width of the bin along one dimension, of which ``inner`` bins of later dimensions make one step.
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < total
    bin_ = (place // inner) % bins
    high = tl.load(edges + bin_ + 1, mask=live, other=1).to(COMPUTE)
    width = high - tl.load(edges + bin_, mask=live, other=0).to(COMPUTE)
    value = tl.load(counts + place, mask=live, other=0).to(COMPUTE)
    tl.store(counts + place, (value / width).to(counts.dtype.element_ty), mask=live)


def _bin_limits(x, column, given, widen):
    # The limits of one column of x ([n, columns], contiguous): a tensor of two numbers.
    limits = torch.empty(2, dtype=x.dtype, device=x.device)
    low, high = (0, 0) if given is None else given
    if x.dtype.is_floating_point:
        low, high = float(low), float(high)
    else:
        low, high = int(low), int(high)
    _bin_limits_kernel[(1,)](
        limits, x.select(1, column), x.shape[0], x.shape[1], low, high, widen,
        GIVEN=given is not None, COMPUTE=_COMPUTE[x.dtype], BLOCK=1024, num_warps=8,
    )  # fmt: skip
    return limits


def _bin_edges(x, column, bins, given):
    edges = torch.empty(bins + 1, dtype=x.dtype, device=x.device)
    limits = _bin_limits(x, column, given, 0.5)
    _bin_edges_kernel[(triton.cdiv(bins + 1, 1024),)](
        edges, limits, bins, COMPUTE=_COMPUTE[x.dtype], BLOCK=1024, num_warps=8
    )
    return edges


def _bin_cleared(shape, dtype, device):
    counts = torch.empty(shape, dtype=dtype, device=device)
    if counts.numel():
        _bin_clear_kernel[(triton.cdiv(counts.numel(), 1024),)](counts, counts.numel(), BLOCK=1024, num_warps=8)
    return counts


def _bin_count(counts, position, weight):
    n = position.numel()
    if n and counts.numel():
        source = position if weight is None else weight
        _bin_count_kernel[(triton.cdiv(n, 1024),)](
            counts, position, source, n, WEIGHTED=weight is not None, BLOCK=1024, num_warps=8
        )
    return counts


def _bin_histogram(x, edges, weight, density):
    # Counts of the rows of x ([n, columns], contiguous) in the grid of bins that the edges (one tensor a column) span.
    n = x.shape[0]
    shape = [e.numel() - 1 for e in edges]
    for column in range(len(edges)):
        if shape[column] < 1:
            raise RuntimeError("histogram needs at least one bin")
    counts = _bin_cleared(shape, x.dtype, x.device)
    total = counts.numel()
    if n:
        position = torch.empty(n, dtype=torch.int64, device=x.device)
        for column in range(len(edges)):
            bins = shape[column]
            _bin_search_kernel[(triton.cdiv(n, 1024),)](
                position, x.select(1, column), _contiguous(edges[column]), n, x.shape[1], bins,
                (bins + 1).bit_length(), FIRST=column == 0, COMPUTE=_COMPUTE[x.dtype], BLOCK=1024, num_warps=8,
            )  # fmt: skip
        _bin_count(counts, position, None if weight is None else _contiguous(weight))
    if density:
        _bin_share_kernel[(1,)](counts, total, COMPUTE=_COMPUTE[x.dtype], BLOCK=1024, num_warps=8)
        inner = total
        for column in range(len(edges)):
            inner = inner // shape[column]
            _bin_density_kernel[(triton.cdiv(total, 1024),)](
                counts,
                _contiguous(edges[column]),
                total,
                inner,
                shape[column],
                COMPUTE=_COMPUTE[x.dtype],
                BLOCK=1024,
                num_warps=8,
            )
    return counts
