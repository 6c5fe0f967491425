"""Helpers that move elements by coordinate rules: pads, rolls, repeats and flips in one kernel, slices as views."""

import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE, _copy_into, _number
from kernelgen.synthesis.library.index import _offsets, _value
from kernelgen.synthesis.library.indexing import _clone_strided, _empty_layout
from kernelgen.synthesis.library.indexing_masks import _bucket


@triton.jit
def _remap_kernel(
    out, source, numel, base, fill, shape, out_stride, source_shape, source_stride, left,
    MODE: tl.constexpr, COMPUTE: tl.constexpr, NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # out[c] = source[rule(c - left)] in each dimension; the rule says what lies outside of source.
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = i < numel
    inside = live
    rest = i
    offset = i * 0 + base
    for d in tl.static_range(0, NDIM):
        size = source_shape[NDIM - 1 - d]
        c = rest % shape[NDIM - 1 - d] - left[NDIM - 1 - d]
        rest = rest // shape[NDIM - 1 - d]
        if MODE == "constant":
            inside = inside & (c >= 0) & (c < size)
        elif MODE == "wrap":
            c = c % size
            c = tl.where(c < 0, c + size, c)
        elif MODE == "replicate":
            c = tl.minimum(tl.maximum(c, 0), size - 1)
        else:
            c = tl.where(c < 0, -c, c)
            c = tl.where(c >= size, 2 * (size - 1) - c, c)
        offset += c * source_stride[NDIM - 1 - d]
    value = tl.load(source + offset, mask=inside, other=0)
    if MODE == "constant":
        value = tl.where(inside, value.to(COMPUTE), _value(fill, COMPUTE, BLOCK))
    tl.store(out + _offsets(i, shape, out_stride, NDIM), value.to(out.dtype.element_ty), mask=live)


def _remap_into(out, source, left, mode, fill=0, flipped=()):
    # Fill out from source, shifted by left in each dimension; flipped dimensions are walked backwards.
    if out.numel() == 0:
        return out
    walk = [-step if d in flipped else step for d, step in enumerate(source.stride())]
    base = sum((source.shape[d] - 1) * source.stride(d) for d in flipped)
    compute = _COMPUTE[out.dtype]
    ndim, (shape, so, sizes, ss, shift) = _bucket(out.shape, out.stride(), source.shape, walk, left)
    if mode == "constant":
        sizes = (1,) * (ndim - out.dim()) + sizes[ndim - out.dim() :]
    else:
        sizes = tuple(max(n, 1) for n in sizes)
    _remap_kernel[(triton.cdiv(out.numel(), 1024),)](
        out, source, out.numel(), base, _number(fill, compute), shape, so, sizes, ss, shift,
        MODE=mode, COMPUTE=compute, NDIM=ndim, BLOCK=1024, num_warps=8,
    )  # fmt: skip
    return out


def _padded(self, pad, mode, fill=0):
    # pad: (left, right) of the last dimension, then of the one before, and so on; negative numbers cut.
    n = self.dim()
    if len(pad) % 2 or len(pad) > 2 * n:
        raise RuntimeError(f"Padding length should be even and at most twice the number of dimensions, got {list(pad)}")
    left, shape = [0] * n, list(self.shape)
    for k in range(len(pad) // 2):
        d = n - 1 - k
        left[d] = pad[2 * k]
        if mode == "reflect" and max(pad[2 * k], pad[2 * k + 1]) >= max(shape[d], 1):
            raise RuntimeError(
                f"Padding size should be less than the corresponding input dimension, but got: padding "
                f"({pad[2 * k]}, {pad[2 * k + 1]}) at dimension {d} of input {list(self.shape)}"
            )
        shape[d] += pad[2 * k] + pad[2 * k + 1]
        if shape[d] < 0 or (mode != "constant" and self.shape[d] == 0 and shape[d] > 0):
            raise RuntimeError(f"The input size {self.shape[d]}, plus padding, is invalid at dimension {d}")
    return _remap_into(_empty_layout(shape, self), self, left, mode, fill)


def _cut(self, pad):
    # The view that is left when no pad is positive.
    for k in range(len(pad) // 2):
        d = self.dim() - 1 - k
        length = self.shape[d] + pad[2 * k] + pad[2 * k + 1]
        if length < 0:
            raise RuntimeError(f"The input size {self.shape[d]}, plus padding, is negative at dimension {d}")
        self = self.narrow(d, -pad[2 * k], length)
    return _clone_strided(self)


def _slice_view(x, dim, start, end, step):
    # x[start:end:step] along dim, with Python's clamping.
    if step < 1:
        raise RuntimeError("slice step must be positive")
    d = dim + x.dim() if dim < 0 else dim
    n = x.shape[d]
    first = 0 if start is None else min(max(start + n if start < 0 else start, 0), n)
    last = n if end is None else min(max(end + n if end < 0 else end, first), n)
    shape, steps = list(x.shape), list(x.stride())
    shape[d] = triton.cdiv(max(last - first, 0), step)
    offset = x.storage_offset() + first * steps[d]
    steps[d] *= step
    return x.as_strided(shape, steps, offset)


def _written(out, part, src):
    # out, after its view part took the values of src.
    if part.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self: {list(part.shape)}, got {list(src.shape)}"
        )
    _copy_into(part, src)
    return out


def _storage_extent(shape, stride, offset):
    # How many elements of the storage a tensor of these strides reaches.
    return 0 if 0 in shape else offset + 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
