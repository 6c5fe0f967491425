"""Device functions on the bits of floats: the sign, nextafter, and frexp's mantissa and exponent."""

import triton
import triton.language as tl


@triton.jit
def _is_negative(x):
    # The sign bit, which also tells -0.0 from 0.0.
    return x.to(tl.int64, bitcast=True) < 0 if x.dtype == tl.float64 else x.to(tl.int32, bitcast=True) < 0


@triton.jit
def _bits_of(x):
    # The bits of a float block as integers of its own width.
    if x.dtype.primitive_bitwidth == 16:
        result = x.to(tl.int16, bitcast=True)
    elif x.dtype.primitive_bitwidth == 32:
        result = x.to(tl.int32, bitcast=True)
    else:
        result = x.to(tl.int64, bitcast=True)
    return result


@triton.jit
def _next_after(x, y):
    # The neighbour of x towards y in their own type: floats of one sign order like their bits.
    if x.dtype == tl.float64:
        a, b = x, y
    else:
        a, b = x.to(tl.float32), y.to(tl.float32)
    bits = _bits_of(x)
    away = (a < b) == (a > 0)
    moved = tl.where(away, bits + 1, bits - 1).to(bits.dtype)
    smallest = tl.where(b > 0, 1, (bits & 0) - 1).to(bits.dtype)
    top = ((bits & 0) + 1) << (x.dtype.primitive_bitwidth - 1)
    smallest = tl.where(b > 0, smallest, top + 1).to(bits.dtype)
    moved = tl.where(a == 0, smallest, moved).to(bits.dtype).to(x.dtype, bitcast=True)
    nan = tl.full(x.shape, float("nan"), tl.float32).to(x.dtype)
    return tl.where((a != a) | (b != b), nan, tl.where(a == b, y, moved))


@triton.jit
def _frexp(x):
    # x = mantissa * 2^exponent with 0.5 <= |mantissa| < 1; zero, infinities and NaN keep exponent 0.
    if x.dtype == tl.float64:
        scaled = tl.where(tl.abs(x) < 2.2250738585072014e-308, x * 18014398509481984.0, x)
        bits = scaled.to(tl.int64, bitcast=True)
        field = ((bits >> 52) & 2047).to(tl.int32)
        mantissa = ((bits & -9218868437227405313) | 4602678819172646912).to(tl.float64, bitcast=True)
        exponent = field - 1022 - tl.where(tl.abs(x) < 2.2250738585072014e-308, 54, 0)
    else:
        scaled = tl.where(tl.abs(x) < 1.1754943508222875e-38, x * 33554432.0, x)
        bits = scaled.to(tl.int32, bitcast=True)
        field = (bits >> 23) & 255
        mantissa = ((bits & -2139095041) | 1056964608).to(tl.float32, bitcast=True)
        exponent = field - 126 - tl.where(tl.abs(x) < 1.1754943508222875e-38, 25, 0)
    plain = (x == 0) | (tl.abs(x) == float("inf")) | (x != x)
    return tl.where(plain, x, mantissa), tl.where(plain, 0, exponent)
