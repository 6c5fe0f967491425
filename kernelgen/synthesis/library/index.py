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
def _value(x, COMPUTE: tl.constexpr, BLOCK: tl.constexpr):
    # A Python number from the host's _number as a block: fp64 comes as the 64 bits of an integer.
    if tl.float64 == COMPUTE:
        result = tl.full([BLOCK], x, tl.int64).to(tl.float64, bitcast=True)
    else:
        result = tl.full([BLOCK], x, COMPUTE)
    return result


@triton.jit
def _convert(x, DTYPE: tl.constexpr):
    # x in another type as PyTorch casts: float to unsigned goes through int64, int to 16-bit float through fp32.
    if tl.int1 == DTYPE:
        result = x.to(DTYPE)
    elif x.dtype.is_floating():
        result = x.to(tl.int64).to(DTYPE) if DTYPE.is_int_unsigned() else x.to(DTYPE)
    elif DTYPE.primitive_bitwidth == 16:
        result = x.to(tl.float32).to(DTYPE) if DTYPE.is_floating() else x.to(DTYPE)
    else:
        result = x.to(DTYPE)
    return result


@triton.jit
def _round_to(x, DTYPE: tl.constexpr):
    # x as a result of this type would hold it; whole-number results keep all digits until the end.
    return x.to(DTYPE).to(x.dtype) if DTYPE.is_floating() else x


@triton.jit
def _copy_kernel(out, source, numel, shape, out_stride, stride, NDIM: tl.constexpr, BLOCK: tl.constexpr):
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = index < numel
    value = tl.load(source + _offsets(index, shape, stride, NDIM), mask=live)
    tl.store(out + _offsets(index, shape, out_stride, NDIM), _convert(value, out.dtype.element_ty), mask=live)
