"""Helpers of the gather, scatter and shape families: walks over index tensors, fills, layouts; no operator of its own.

Kernels cannot raise: an index out of range is never dereferenced; a gather gives 0 there and a scatter writes nothing.
"""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE, _collapse, _copy_into, _number, _strides
from kernelgen.synthesis.library.index import _offsets, _value

_ACCUMULATOR = {
    torch.bool: torch.int32,
    torch.uint8: torch.int32,
    torch.int8: torch.int32,
    torch.int16: torch.int32,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}


def _positive_dim(dim, ndim):
    # A dimension counted from the front; a 0-d tensor has dimension 0 and -1, as in PyTorch.
    room = max(ndim, 1)
    if not -room <= dim < room:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-room}, {room - 1}], but got {dim})")
    return dim + room if dim < 0 else dim


def _as_vector(x):
    return x.unsqueeze(0) if x.dim() == 0 else x


def _without(steps, dim):
    # Strides for a walk that stands still along dim.
    return tuple(0 if d == dim else step for d, step in enumerate(steps))


def _index_view(x, dim, shape):
    # A 1-d tensor as a view of shape that varies along dim only.
    step = _as_vector(x).stride(0)
    return x.as_strided(shape, tuple(step if d == dim else 0 for d in range(len(shape))), x.storage_offset())


def _clone_strided(x, dtype=None):
    # A copy that keeps the memory order, like clone().
    return _copy_into(torch.empty_like(x, dtype=dtype or x.dtype), x)


def _clone_contiguous(x, dtype=None):
    return _copy_into(torch.empty(x.shape, dtype=dtype or x.dtype, device=x.device), x)


def _clone_same_strides(x):
    # A copy with the very strides of x; overlapping tensors get the strides of a plain clone.
    out = torch.empty_like(x)
    if x.numel() and sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True)) + 1 != x.numel():
        spans = sorted((step, n) for n, step in zip(x.shape, x.stride(), strict=True) if n > 1)
        if all(step > sum((n - 1) * s for s, n in spans[:i]) for i, (step, _) in enumerate(spans)):
            out = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device)
    return _copy_into(out, x)


def _channels_last(x):
    # PyTorch's suggest_memory_format: whether strides alone say channels-last (ambiguous ones do not).
    if x.dim() not in (4, 5) or x.stride(1) == 0:
        return False
    least = 0
    for d in [1, *range(x.dim() - 1, 1, -1), 0]:
        size, step = x.shape[d], x.stride(d)
        if size == 0 or step < least or (d == 0 and least == x.stride(1)):
            return False
        least = step * max(size, 1)
    return True


def _empty_layout(shape, x, dtype=None):
    # An empty tensor in the memory format that x suggests.
    out = torch.empty(shape, dtype=dtype or x.dtype, device=x.device)
    if not _channels_last(x) or len(shape) != x.dim():
        return out
    steps, step = [0] * len(shape), 1
    for d in [1, *range(len(shape) - 1, 1, -1), 0]:
        steps[d] = step
        step *= max(shape[d], 1)
    return torch.empty_strided(shape, steps, dtype=out.dtype, device=x.device)


@triton.jit
def _fill_kernel(
    out, value, numel, shape, out_stride, COMPUTE: tl.constexpr, NDIM: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    filled = _value(value, COMPUTE, BLOCK).to(out.dtype.element_ty)
    tl.store(out + _offsets(index, shape, out_stride, NDIM), filled, mask=index < numel)


def _fill_value(out, value):
    # Every element of out becomes a Python number.
    numel = out.numel()
    if numel:
        ndim, shape, (so,) = _collapse(out.shape, out.stride())
        compute = _COMPUTE[out.dtype]
        _fill_kernel[(triton.cdiv(numel, 1024),)](
            out, _number(value, compute), numel, shape, so, COMPUTE=compute, NDIM=ndim, BLOCK=1024, num_warps=8
        )
    return out


@triton.jit
def _gather_kernel(
    out, source, index, numel, size, low, step, shape, out_stride, source_stride, index_stride,
    NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # out[i] = source[i walked by source_stride, moved by index[i] * step]; an index in [low, 0) counts from the end.
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < numel
    at = tl.load(index + _offsets(i, shape, index_stride, NDIM), mask=live, other=0).to(tl.int64)
    inside = live & (at >= low) & (at < size)
    at = tl.where(at < 0, at + size, at)
    value = tl.load(source + _offsets(i, shape, source_stride, NDIM) + at * step, mask=inside, other=0)
    tl.store(out + _offsets(i, shape, out_stride, NDIM), value.to(out.dtype.element_ty), mask=live)


def _gather_into(out, source, source_stride, step, size, index, index_stride, low=0):
    # Launch the gather over out's elements; strides are given per dimension of out.
    numel = out.numel()
    if numel:
        ndim, shape, (so, ss, si) = _collapse(out.shape, out.stride(), source_stride, index_stride)
        _gather_kernel[(triton.cdiv(numel, 1024),)](
            out, source, index, numel, size, low, step, shape, so, ss, si, NDIM=ndim, BLOCK=1024, num_warps=8
        )
    return out


@triton.jit
def _scatter_kernel(
    out, source, index, alpha, numel, size, low, step, shape, out_stride, source_stride, index_stride,
    IS_NUMBER: tl.constexpr, ACCUMULATE: tl.constexpr, COMPUTE: tl.constexpr, NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # out[i walked by out_stride, moved by index[i] * step] = source[i], or += alpha * source[i].
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < numel
    at = tl.load(index + _offsets(i, shape, index_stride, NDIM), mask=live, other=0).to(tl.int64)
    inside = live & (at >= low) & (at < size)
    at = tl.where(at < 0, at + size, at)
    place = out + _offsets(i, shape, out_stride, NDIM) + at * step
    if IS_NUMBER:
        value = _value(source, COMPUTE, BLOCK)
    else:
        value = tl.load(source + _offsets(i, shape, source_stride, NDIM), mask=inside, other=0).to(COMPUTE)
    if ACCUMULATE:
        value = value * _value(alpha, COMPUTE, BLOCK)
        tl.atomic_add(place, value.to(out.dtype.element_ty), mask=inside, sem="relaxed")
    else:
        tl.store(place, value.to(out.dtype.element_ty), mask=inside)


def _scatter_into(out, out_stride, step, size, index, index_stride, source, shape, low=0, accumulate=False, alpha=1):
    # Launch the scatter over shape; source is a tensor that broadcasts to shape, or a number.
    numel = 1
    for n in shape:
        numel *= n
    if numel and out.numel():
        ndim, sizes, (so, ss, si) = _collapse(shape, out_stride, _strides(source, shape), index_stride)
        compute, is_number = _COMPUTE[out.dtype], not isinstance(source, torch.Tensor)
        _scatter_kernel[(triton.cdiv(numel, 1024),)](
            out, _number(source, compute) if is_number else source, index, _number(alpha, compute), numel, size, low,
            step, sizes, so, ss, si,
            IS_NUMBER=is_number, ACCUMULATE=accumulate, COMPUTE=compute, NDIM=ndim, BLOCK=1024, num_warps=8,
        )  # fmt: skip
    return out
