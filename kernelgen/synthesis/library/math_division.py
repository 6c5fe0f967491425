"""Device division with remainder, powers, greatest common divisors and shifts, as Python and C define them."""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_basic import _copysign, _trunc
from kernelgen.synthesis.library.math_power import _pow


@triton.jit
def _int_pow(x, y):
    # Wrapping integer power by squaring; a negative exponent leaves 1 / x^-y truncated: 0 unless |x| = 1.
    rest = tl.where(y < 0, y * 0, y)
    result = x * 0 + y * 0 + 1
    base = x + y * 0
    while tl.max(rest, axis=0) > 0:
        result = tl.where((rest & 1) != 0, result * base, result)
        base = base * base
        rest = rest >> 1
    sign = tl.where((x == -1) & ((y & 1) != 0), -1, ((x == 1) | (x == -1)).to(tl.int32)).to(result.dtype)
    return tl.where(y < 0, sign, result)


@triton.jit
def _power(x, y):
    return _pow(x, y) if x.dtype.is_floating() else _int_pow(x, y)


@triton.jit
def _float_fmod(x, y):
    # Remainder with x's sign, exact: long division in fp64, 24 quotient bits at a time, with y split so that
    # each product is exact. Works in fp64 for fp32 too.
    rest, b = tl.abs(x).to(tl.float64), tl.abs(y).to(tl.float64)
    rest = tl.where((b > 0) & (rest < float("inf")) & (x == x) & (y == y), rest, float("nan")).to(tl.float64)
    b_high = (b.to(tl.int64, bitcast=True) & -134217728).to(tl.float64, bitcast=True)
    b_low = tl.where(b < float("inf"), b - b_high, 0.0).to(tl.float64)
    while tl.max((rest >= b).to(tl.int32), axis=0) > 0:
        quotient = tl.floor(rest / b * 0.9999999999999991)
        t = (quotient.to(tl.int64, bitcast=True) & -536870912).to(tl.float64, bitcast=True)
        t = tl.where(t < 1, 1.0, t).to(tl.float64)
        rest = tl.where(rest >= b, (rest - t * b_high) - t * b_low, rest)
    return _copysign(rest.to(x.dtype), x)


@triton.jit
def _fmod(x, y):
    # C's %: the sign of x. Triton divides integers towards zero, as C does.
    return _float_fmod(x, y) if x.dtype.is_floating() else x % y


@triton.jit
def _remainder(x, y):
    # Python's %: the sign of y.
    rest = _fmod(x, y)
    return tl.where((rest != 0) & ((y < 0) != (rest < 0)), rest + y, rest)


@triton.jit
def _trunc_div(x, y, STORAGE: tl.constexpr):
    # PyTorch rounds the quotient to a 16-bit type before it drops the fraction.
    return _trunc((x / y).to(STORAGE).to(x.dtype)) if x.dtype.is_floating() else x // y


@triton.jit
def _floor_div(x, y):
    # Python's //. Floats go by way of the remainder, so that a quotient just below a whole number is not rounded up.
    rest = _fmod(x, y)
    unlike = (rest != 0) & ((y < 0) != (rest < 0))
    if x.dtype.is_floating():
        quotient = (x - rest) / y
        quotient = tl.where(unlike, quotient - 1, quotient)
        down = tl.floor(quotient)
        down = tl.where(quotient - down > 0.5, down + 1, down)
        down = tl.where(quotient != 0, down, _copysign(x * 0, x / y))
        result = tl.where(y == 0, x / y, down)
    else:
        result = x // y - unlike.to(x.dtype)
    return result


@triton.jit
def _gcd(x, y):
    # Euclid, all lanes until the last is done.
    a, b = tl.abs(x), tl.abs(y)
    while tl.max((b != 0).to(tl.int32), axis=0) > 0:
        rest = a % tl.where(b == 0, 1, b)
        a, b = tl.where(b == 0, a, b), tl.where(b == 0, 0, rest).to(b.dtype)
    return a


@triton.jit
def _lcm(x, y):
    divisor = _gcd(x, y)
    return tl.abs(x // tl.where(divisor == 0, 1, divisor) * y)


@triton.jit
def _shift_left(x, count, BITS: tl.constexpr):
    # All bits leave when the count is negative or too big.
    out = (count < 0) | (count >= BITS)
    return tl.where(out, 0, x << tl.where(out, 0, count)).to(x.dtype)


@triton.jit
def _shift_right(x, count, BITS: tl.constexpr):
    # A negative or too big count leaves the sign: 0 or -1.
    out = (count < 0) | (count >= BITS)
    return tl.where(out, -(x < 0).to(x.dtype), x >> tl.where(out, 0, count)).to(x.dtype)
