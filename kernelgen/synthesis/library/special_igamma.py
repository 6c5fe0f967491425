"""Device regularized incomplete gamma functions P and Q, in fp64 throughout; no derivative.

Series DLMF 8.11.4 and 8.7.3, continued fraction 8.9.2 by Lentz's method, Temme's uniform expansion 8.12.3 for large a.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_basic import _expm1, _log1p
from kernelgen.synthesis.library.math_error import _erfc
from kernelgen.synthesis.library.special_fits import _fit_temme_0, _fit_temme_1, _fit_temme_2, _fit_temme_3
from kernelgen.synthesis.library.special_gamma import _lgamma, _stirling


@triton.jit
def _gamma_weight(a, x):
    # x^a exp(-x) / gamma(a + 1); where x is not far from a large a by Stirling, so that big logarithms never meet.
    mu = (x - a) / a
    wide = (a >= 8) & (mu > -0.7)
    big = tl.where(wide, a, 8.0).to(a.dtype)
    mu = tl.where(wide, mu, 0.0).to(a.dtype)
    stirling = tl.exp(big * (_log1p(mu) - mu) - _stirling(big)) * 0.3989422804014327 / tl.sqrt(big)
    return tl.where(wide, stirling, tl.exp(a * tl.log(x) - x - _lgamma(tl.where(wide, 8.0, a).to(a.dtype) + 1)))


@triton.jit
def _lower_series(a, x, live):
    # P(a, x) for lanes in ``live``; at most 2000 terms, as in PyTorch.
    term = x * 0 + 1
    total = term
    step = term * 0
    go = live
    while tl.max(go.to(tl.int32), axis=0) > 0:
        step += 1
        term = term * (x / (a + step))
        total = tl.where(go, total + term, total)
        go = go & (term > 1.1102230246251565e-16 * total) & (step < 2000)
    return total


@triton.jit
def _upper_fraction(a, x, live):
    # Q(a, x) over x^a exp(-x) / gamma(a).
    b = x + 1 - a
    d = 1 / tl.where(live, b, 1.0).to(x.dtype)
    c = b * 0 + 1e300
    total = d
    step = d * 0
    go = live
    while tl.max(go.to(tl.int32), axis=0) > 0:
        step += 1
        b += 2
        factor = step * (a - step)
        d = factor * d + b
        d = 1 / tl.where(d == 0, 1e-300, d).to(x.dtype)
        c = b + factor / c
        c = tl.where(c == 0, 1e-300, c).to(x.dtype)
        total = tl.where(go, total * (d * c), total)
        go = go & (tl.abs(d * c - 1) > 1.1102230246251565e-16) & (step < 2000)
    return total


@triton.jit
def _upper_series(a, x, live):
    # Q(a, x) for small a and x, without the cancellation of 1 - P.
    factor = x * 0 + 1
    total = factor * 0
    step = factor * 0
    go = live
    while tl.max(go.to(tl.int32), axis=0) > 0:
        step += 1
        factor = -factor * x / step
        term = factor / (a + step)
        total = tl.where(go, total + term, total)
        go = go & (tl.abs(term) > 1.1102230246251565e-16 * tl.abs(total)) & (step < 2000)
    power = a * tl.log(x)
    gamma = _lgamma(1 + a)
    return -_expm1(power - gamma) - tl.exp(power - gamma) * a * total


@triton.jit
def _temme(a, x, UPPER: tl.constexpr):
    # Uniform expansion for a > 200 and x near a: half an erfc plus a correction.
    mu = (x - a) / a
    square = mu - _log1p(mu)
    eta = tl.sqrt(tl.where(square > 0, 2 * square, 0.0))
    eta = tl.where(mu < 0, -eta, eta)
    v = 1 / a
    sums = ((_fit_temme_3(eta) * v + _fit_temme_2(eta)) * v + _fit_temme_1(eta)) * v + _fit_temme_0(eta)
    rest = tl.exp(-0.5 * a * eta * eta) * 0.3989422804014327 / tl.sqrt(a) * sums
    root = eta * tl.sqrt(a * 0.5)
    return 0.5 * _erfc(root) + rest if UPPER else 0.5 * _erfc(-root) - rest


@triton.jit
def _igamma(a, x, UPPER: tl.constexpr):
    # P(a, x), or Q(a, x) if UPPER; NaN for negative arguments, at a = x = 0 and at a = x = infinity.
    infinity = float("inf")
    usual = (a > 0) & (x > 0) & (a < infinity) & (x < infinity)
    a1 = tl.where(usual, a, 1.0).to(a.dtype)
    x1 = tl.where(usual, x, 1.0).to(x.dtype)
    near = usual & (a1 > 200) & (tl.abs(x1 - a1) < 4.5 * tl.sqrt(a1))
    other = usual & (near == 0)
    fraction = other & (x1 > 1.1) & (x1 >= a1)
    if UPPER:
        small = other & (x1 <= 1.1) & (tl.where(x1 <= 0.5, -0.4 / tl.log(x1), x1 * 1.1) >= a1)
    else:
        small = other & (x1 != x1)
    series = other & (fraction == 0) & (small == 0)
    weight = _gamma_weight(a1, x1)
    lower = weight * _lower_series(a1, tl.where(series, x1, 1.0).to(x.dtype), series)
    upper = weight * a1 * _upper_fraction(a1, tl.where(fraction, x1, 2.0).to(x.dtype), fraction)
    if UPPER:
        tiny = _upper_series(tl.where(small, a1, 1.0).to(a.dtype), tl.where(small, x1, 1.0).to(x.dtype), small)
        result = tl.where(small, tiny, tl.where(fraction, upper, 1 - lower))
    else:
        result = tl.where(fraction, 1 - upper, lower)
    wide = tl.where(near, a1, 201.0).to(a.dtype)
    result = tl.where(near, _temme(wide, tl.where(near, x1, 201.0).to(x.dtype), UPPER), result)
    # At the edges P is 0 for x = 0 or a infinite, 1 for a = 0 or x infinite.
    if UPPER:
        low, high = 1.0, 0.0
    else:
        low, high = 0.0, 1.0
    result = tl.where((x != x) | (a != a), float("nan"), result)
    result = tl.where(x == infinity, high, tl.where((x == 0) | (a == infinity), low, result))
    result = tl.where(a == 0, tl.where(x > 0, high, float("nan")), result)
    return tl.where((x < 0) | (a < 0) | ((a == infinity) & (x == infinity)), float("nan"), result)
