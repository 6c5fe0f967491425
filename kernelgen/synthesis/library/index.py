"""Device helpers that turn a flat element index into memory offsets."""

import triton
import triton.language as tl


@triton.jit
def _offsets(index, shape, stride, NDIM: tl.constexpr):
    # Offset of a row-major element index in a tensor with these strides; the outermost dimension needs no remainder.
    if NDIM == 1:
        result = index * stride[0]
    else:
        rest = index
        result = index * 0
        for i in tl.static_range(0, NDIM - 1):
            result += (rest % shape[NDIM - 1 - i]) * stride[NDIM - 1 - i]
            rest = rest // shape[NDIM - 1 - i]
        result += rest * stride[0]
    return result


@triton.jit
def _copy_kernel(out, source, numel, shape, out_stride, stride, NDIM: tl.constexpr, BLOCK: tl.constexpr):
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = index < numel
    value = tl.load(source + _offsets(index, shape, stride, NDIM), mask=live)
    tl.store(out + _offsets(index, shape, out_stride, NDIM), value.to(out.dtype.element_ty), mask=live)
