"""Advanced indexing on the host: from ``Tensor?[] indices`` to shapes, strides and one offset tensor; moves no data."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _collapse, _strides
from kernelgen.synthesis.library.index import _offsets
from kernelgen.synthesis.library.indexing_masks import _nonzero


@triton.jit
def _linear_kernel(
    linear, index, numel, size, step, shape, linear_stride, index_stride,
    FIRST: tl.constexpr, NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # linear += wrapped index * step; -1 marks an index out of range.
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < numel
    at = tl.load(index + _offsets(i, shape, index_stride, NDIM), mask=live, other=0).to(tl.int64)
    valid = (at >= -size) & (at < size)
    offset = tl.where(at < 0, at + size, at) * step
    place = linear + _offsets(i, shape, linear_stride, NDIM)
    if not FIRST:
        before = tl.load(place, mask=live, other=0)
        valid = valid & (before >= 0)
        offset += before
    tl.store(place, tl.where(valid, offset, -1), mask=live)


def _expand_masks(self, indices):
    # One entry per dimension of self: an integer tensor, or None where the dimension is kept whole.
    found = []
    for position, x in enumerate(indices):
        if x is None:
            found.append(None)
        elif x.dtype in (torch.bool, torch.uint8):
            if x.shape != self.shape[len(found) : len(found) + x.dim()]:
                raise IndexError(
                    f"The shape of the mask {list(x.shape)} at index {position} does not match the shape of the "
                    f"indexed tensor {list(self.shape)}"
                )
            places = _nonzero(x)
            found.extend(places.select(1, k) for k in range(x.dim()))
        elif x.dtype in (torch.int64, torch.int32):
            found.append(x)
        else:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if len(found) > self.dim():
        raise IndexError(f"too many indices for tensor of dimension {self.dim()}")
    found.extend([None] * (self.dim() - len(found)))
    return found


def _index_plan(self, indices):
    # (strides of self over self[indices], step, size, low, index as a view of that shape, all indices as such views)
    found = _expand_masks(self, indices)
    used = [d for d, x in enumerate(found) if x is not None]
    if not used:
        raise IndexError("at least one index must be a tensor")
    shape = torch.broadcast_shapes(*[found[d].shape for d in used])
    kept = [d for d in range(self.dim()) if d not in used]
    lead = [d for d in kept if d < used[0]] if used[-1] - used[0] + 1 == len(used) else []
    trail = kept[len(lead) :]
    whole = [self.shape[d] for d in lead] + list(shape) + [self.shape[d] for d in trail]
    still = [0] * len(shape)
    walk = [self.stride(d) for d in lead] + still + [self.stride(d) for d in trail]
    before, after = [0] * len(lead), [0] * len(trail)
    places = []
    for d in used:
        x = found[d]
        places.append(x.as_strided(whole, before + list(_strides(x, shape)) + after, x.storage_offset()))
    if len(used) == 1:
        size = self.shape[used[0]]
        return walk, self.stride(used[0]), size, -size, places[0], places
    linear = torch.empty(shape, dtype=torch.int64, device=self.device)
    numel = linear.numel()
    for k, d in enumerate(used):
        if numel:
            ndim, sizes, (sl, si) = _collapse(shape, linear.stride(), _strides(found[d], shape))
            _linear_kernel[(triton.cdiv(numel, 1024),)](
                linear, found[d], numel, self.shape[d], self.stride(d), sizes, sl, si,
                FIRST=k == 0, NDIM=ndim, BLOCK=1024, num_warps=8,
            )  # fmt: skip
    return walk, 1, 1 << 62, 0, linear.as_strided(whole, before + list(linear.stride()) + after), places


@triton.jit
def _places_kernel(
    places, index, mask, numel, size, low, step, shape, walk, index_stride, mask_stride,
    NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < numel
    at = tl.load(index + _offsets(i, shape, index_stride, NDIM), mask=live, other=0).to(tl.int64)
    chosen = tl.load(mask + _offsets(i, shape, mask_stride, NDIM), mask=live, other=0) != 0
    valid = chosen & (at >= low) & (at < size)
    at = tl.where(at < 0, at + size, at) * step + _offsets(i, shape, walk, NDIM)
    tl.store(places + i, tl.where(valid, at, -1), mask=live)


def _masked_places(walk, step, size, low, at, mask):
    # Where each element of an _index_plan lies, as a 1-d tensor of offsets; -1 where mask is false.
    places = torch.empty(at.shape, dtype=torch.int64, device=at.device).view(-1)
    numel = places.numel()
    if numel:
        ndim, sizes, (sw, si, sm) = _collapse(at.shape, walk, at.stride(), _strides(mask, at.shape))
        _places_kernel[(triton.cdiv(numel, 1024),)](
            places, at, mask, numel, size, low, step, sizes, sw, si, sm, NDIM=ndim, BLOCK=1024, num_warps=8
        )
    return places
