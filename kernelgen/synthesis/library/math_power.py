"""Device powers of floats: pow in fp64 by double-double logarithm and exponential, in fp32 through fp64.

A double-double is a sum of two fp64 numbers, the second below half a unit of the first. Sources: Dekker's exact product
and Knuth's exact sum; log(m) = 2 atanh(s) with s = (m - 1) / (m + 1); Taylor series of exp.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_bits import _is_negative


@triton.jit
def _head(x):
    # The upper 26 bits, so that products of two heads are exact.
    return (x.to(tl.int64, bitcast=True) & -134217728).to(tl.float64, bitcast=True)


@triton.jit
def _product_error(a, b, product):
    # a * b - product, exactly.
    a1, b1 = _head(a), _head(b)
    a2, b2 = a - a1, b - b1
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


@triton.jit
def _sum_error(a, b, total):
    # a + b - total, exactly.
    part = total - a
    return (a - (total - part)) + (b - part)


@triton.jit
def _log_pair(x):
    # log x of positive, finite x as a double-double: exponent times log 2, plus 2 atanh(s) of the mantissa.
    tiny = x < 2.2250738585072014e-308
    bits = tl.where(tiny, x * 18014398509481984.0, x).to(tl.int64, bitcast=True)
    bits_over = bits - 4604544271217802189  # the bits of sqrt(1/2), which centre the mantissa on 1
    exponent = (bits_over >> 52).to(tl.float64)
    mantissa = (bits - (bits_over >> 52 << 52)).to(tl.float64, bitcast=True)
    exponent = exponent - tl.where(tiny, 54.0, 0.0)
    over, under = mantissa - 1, mantissa + 1
    under_low = mantissa - (under - 1)
    s = over / under
    product = s * under
    s_low = (over - product - _product_error(s, under, product) - s * under_low) / under
    z = s * s
    z_low = _product_error(s, s, z) + 2 * s * s_low
    # 2 atanh(s) = 2 s (1 + z / 3 + z^2 (1/5 + z/7 + ...))
    series = z * 0 + 1.0 / 25
    for k in tl.static_range(23, 3, -2):
        series = series * z + 1.0 / k
    third = z * 0.3333333333333333
    third_low = (
        _product_error(z, z * 0 + 0.3333333333333333, third) + z_low * 0.3333333333333333 + z * 1.850371707708594e-17
    )
    tail = z * z * series
    t = third + tail
    t_low = _sum_error(third, tail, t) + third_low
    st = s * t
    st_low = _product_error(s, t, st) + s * t_low + s_low * t
    high = exponent * 0.6931471803691238  # log 2 with 21 zero bits at its end: exact times an exponent
    a = high + 2 * s
    low = _sum_error(high, 2 * s, a) + exponent * 1.9082149292705877e-10
    b = a + 2 * st
    low = low + _sum_error(a, 2 * st, b) + 2 * (st_low + s_low)
    return b + low, low - ((b + low) - b)


@triton.jit
def _power_of_two(k):
    # 2^k in fp64 for whole k in [-1022, 1023].
    return ((k.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)


@triton.jit
def _exp_pair(high, low):
    # exp(high + low) rounded once: 2^k (1 + r + r^2/2 + ...), all but 1 + r small.
    limited = tl.where(high > 720, 720.0, tl.where(high < -760, -760.0, high)).to(tl.float64)
    k = tl.floor(limited * 1.4426950408889634 + 0.5)
    first = limited - k * 0.6931471803691238
    second = low - k * 1.9082149292705877e-10
    r = first + second
    r_low = _sum_error(first, second, r)
    series = r * 0 + 1
    for n in tl.static_range(14, 2, -1):
        series = series * (r * (1.0 / n)) + 1
    square = r * r * 0.5
    total = 1 + r
    total = total + (_sum_error(r * 0 + 1, r, total) + (r_low + square * series))
    half = tl.floor(k * 0.5)
    return total * _power_of_two(half) * _power_of_two(k - half)


@triton.jit
def _power_of_abs(x, y):
    # |x|^y; the caller has settled y = 0, |x| = 1 and NaN.
    a = tl.abs(x).to(tl.float64)
    if x.dtype == tl.float64:
        usual = (a > 0) & (a < float("inf")) & (tl.abs(y) < 1e300)
        log_high, log_low = _log_pair(tl.where(usual, a, 2.0).to(tl.float64))
        b = tl.where(usual, y, 1.0).to(tl.float64)
        exponent = log_high * b
        huge = tl.abs(exponent) > 800
        low = tl.where(huge, 0.0, _product_error(log_high, b, exponent) + log_low * b).to(tl.float64)
        result = tl.where(usual, _exp_pair(exponent, low), tl.exp2(y * tl.log2(a)))
    else:
        result = tl.exp2(y.to(tl.float64) * tl.log2(a)).to(x.dtype)
    return result


@triton.jit
def _pow(x, y):
    # C's pow for floats: 1 for y = 0 or x = 1; negative x only with whole y, whose parity gives the sign.
    whole = tl.floor(y) == y
    odd = whole & (tl.floor(y * 0.5) != y * 0.5)
    size = tl.where(tl.abs(x) == 1, 1.0, _power_of_abs(x, y)).to(x.dtype)
    infinite = (tl.abs(x) == float("inf")) | (tl.abs(y) == float("inf"))
    bad = (x < 0) & (whole == 0) & (infinite == 0)
    result = tl.where(_is_negative(x) & odd, -size, size)
    result = tl.where(bad | (x != x) | (y != y), float("nan"), result)
    return tl.where((y == 0) | (x == 1), 1.0, result).to(x.dtype)
