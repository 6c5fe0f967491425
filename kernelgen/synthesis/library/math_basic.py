"""Device math beyond what ``tl`` has: exact-rounding helpers, exponentials, hyperbolic and inverse functions.

All functions take fp32 or fp64 blocks (never 16-bit floats) and answer in the same type, within 2-3 units in the last
place, without libdevice. Sources: Taylor series of exp; Moshier's Cephes rational for atan; the identities are named
beside each function. Special functions (gamma, Bessel, error function) live elsewhere.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_bits import _is_negative
from kernelgen.synthesis.library.math_power import _pow  # noqa: F401 - the other libraries find it here


@triton.jit
def _copysign(x, sign):
    return tl.where(_is_negative(x) != _is_negative(sign), -x, x)


@triton.jit
def _sign(x):
    # -1, 0 or 1 in x's type; NaN gives 0, as PyTorch's sign does.
    return tl.where(x > 0, 1, tl.where(x < 0, -1, 0)).to(x.dtype)


@triton.jit
def _trunc(x):
    return tl.where(x < 0, tl.ceil(x), tl.floor(x))


@triton.jit
def _round_even(x):
    # To the nearest whole number, halves to even; the sign of zero is kept.
    down = tl.floor(x)
    part = x - down
    odd = tl.floor(down * 0.5) * 2 != down
    result = down + ((part > 0.5) | ((part == 0.5) & odd)).to(x.dtype)
    return tl.where(result == 0, x * 0, tl.where(part == part, result, x))


@triton.jit
def _maximum(a, b):
    # NaN in either operand gives NaN.
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def _minimum(a, b):
    return tl.where((a < b) | (a != a), a, b)


@triton.jit
def _expm1(x):
    # Near zero a Taylor series, elsewhere exp(x) - 1, which loses no digits there.
    near = tl.where((x > -0.5) & (x < 0.5), x, x * 0)
    series = near * 0 + 1
    if x.dtype == tl.float64:
        for k in tl.static_range(15, 1, -1):
            series = series * (near * (1.0 / k)) + 1
    else:
        for k in tl.static_range(9, 1, -1):
            series = series * (near * (1.0 / k)) + 1
    return tl.where((x > -0.5) & (x < 0.5), near * series, tl.exp(x) - 1)


@triton.jit
def _log1p(x):
    # log(u) with u = 1 + x rounded, plus what rounding dropped: (x - (u - 1)) / u.
    u = x + 1
    lost = (x - (u - 1)) / u
    return tl.where((u > 0) & (u < float("inf")), tl.log(u) + lost, tl.log(u))


@triton.jit
def _log10(x):
    return tl.log(x) * 0.4342944819032518


@triton.jit
def _tanh(x):
    # t / (t + 2) with t = exp(2|x|) - 1; past 22 the answer is 1 to the last bit.
    a = tl.abs(x)
    t = _expm1(2 * tl.where(a > 22, a * 0 + 22, a))
    return _copysign(t / (t + 2), x)


@triton.jit
def _sinh(x):
    # (t + t / (t + 1)) / 2 with t = exp(|x|) - 1; halved inside where exp(|x|) would overflow.
    a = tl.abs(x)
    t = _expm1(tl.where(a > 40, a * 0, a))
    half = tl.exp(a * 0.5)
    return _copysign(tl.where(a > 40, (half * 0.5) * half, (t + t / (t + 1)) * 0.5), x)


@triton.jit
def _cosh(x):
    half = tl.exp(tl.abs(x) * 0.5)
    return (half * 0.5) * half + (0.5 / half) / half


@triton.jit
def _tan(x):
    return tl.sin(x) / tl.cos(x)


@triton.jit
def _atan(x):
    # Cephes atan: reduce to |x| <= 0.66 around 0, pi/4 and pi/2, then x + x^3 P(x^2) / Q(x^2).
    a = tl.abs(x)
    high, middle = a > 2.414213562373095, (a > 0.66) & (a <= 2.414213562373095)
    x1 = tl.where(high, -1 / a, tl.where(middle, (a - 1) / (a + 1), a))
    z = x1 * x1
    p = -8.750608600031904122785e-1 * z - 1.615753718733365076637e1
    p = (p * z - 7.500855792314704667340e1) * z - 1.228866684490136173410e2
    p = p * z - 6.485021904942025371773e1
    q = (z + 2.485846490142306297962e1) * z + 1.650270098316988542046e2
    q = (q * z + 4.328810604912902668951e2) * z + 4.853903996359136964868e2
    q = q * z + 1.945506571482613964425e2
    quarters = high.to(x.dtype) * 2 + middle.to(x.dtype)
    tail = quarters * 3.061616997868383e-17 if x.dtype == tl.float64 else quarters * -2.1855694143368964e-08
    r = x1 * (z * (p / q)) + tail + x1
    return _copysign(quarters * 0.7853981633974483 + r, x)


@triton.jit
def _atan2(y, x):
    ay, ax = tl.abs(y), tl.abs(x)
    steep = ay > ax
    low, high = tl.where(steep, ax, ay), tl.where(steep, ay, ax)
    equal = low == high
    ratio = tl.where(high == 0, high, tl.where(equal, high * 0 + 1, low / high))
    ratio = tl.where(equal & (high == float("inf")), 1.0, ratio).to(y.dtype)
    r = _atan(ratio)
    r = tl.where(steep, 1.5707963267948966 - r, r)
    r = tl.where(_is_negative(x), 3.141592653589793 - r, r)
    return tl.where((x != x) | (y != y), x + y, _copysign(r, y))


@triton.jit
def _asin(x):
    # asin x = 2 atan(x / (1 + sqrt((1 - x) (1 + x))))
    return 2 * _atan(x / (1 + tl.sqrt((1 - x) * (1 + x))))


@triton.jit
def _acos(x):
    # acos x = 2 atan sqrt((1 - x) / (1 + x))
    return 2 * _atan(tl.sqrt((1 - x) / (1 + x)))


@triton.jit
def _asinh(x):
    # log1p(a + a^2 / (1 + sqrt(a^2 + 1))); log a + log 2 where a^2 might overflow.
    a = tl.abs(x)
    big = a > 1e9
    b = tl.where(big, a * 0, a)
    square = b * b
    result = tl.where(big, tl.log(a) + 0.6931471805599453, _log1p(b + square / (1 + tl.sqrt(square + 1))))
    return _copysign(result, x)


@triton.jit
def _acosh(x):
    # log1p(t + sqrt(2t + t^2)) with t = x - 1; NaN below 1.
    big = x > 1e9
    t = tl.where(big, x * 0, x - 1)
    result = tl.where(big, tl.log(x) + 0.6931471805599453, _log1p(t + tl.sqrt(2 * t + t * t)))
    return tl.where(x < 1, float("nan"), result)


@triton.jit
def _atanh(x):
    # log1p(2a / (1 - a)) / 2
    a = tl.abs(x)
    return _copysign(0.5 * _log1p(2 * a / (1 - a)), x)


@triton.jit
def _hypot(x, y):
    ax, ay = tl.abs(x), tl.abs(y)
    high, low = tl.where(ax > ay, ax, ay), tl.where(ax > ay, ay, ax)
    ratio = tl.where(high == low, (high != 0).to(x.dtype), low / high)
    size = tl.where(high == 0, high, high * tl.sqrt(1 + ratio * ratio))
    size = tl.where((x != x) | (y != y), x + y, size)
    return tl.where((ax == float("inf")) | (ay == float("inf")), float("inf"), size)
