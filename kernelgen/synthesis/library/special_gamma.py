"""Device gamma family: lgamma, digamma, trigamma, the Hurwitz zeta function and the inverse error function.

Sources: DLMF 5.5, 5.11 (recurrences, reflection, Stirling) and 25.11 (Euler-Maclaurin); polynomials from special_fits.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_basic import _is_negative, _pow, _round_even
from kernelgen.synthesis.library.special_fits import (
    _fit_erfinv_a,
    _fit_erfinv_b,
    _fit_erfinv_c,
    _fit_lgamma,
    _horner,
)


@triton.jit
def _stirling(x):
    # What is left of lgamma(x) for x >= 8 besides (x - 1/2) log x - x + log(2 pi) / 2.
    inverse = 1 / x
    z = inverse * inverse
    # fmt: off
    return inverse * _horner(z, (
        -0.029550653594771242, 0.006410256410256411, -0.0019175269175269176, 0.0008417508417508417,
        -0.0005952380952380953, 0.0007936507936507937, -0.002777777777777778, 0.08333333333333333,
    ), 3)
    # fmt: on


@triton.jit
def _lgamma_right(x):
    # lgamma(x) for x >= 0.5: stepped into [1.5, 2.5], around the zero at 2; Stirling's series from 8 on.
    low = x < 1.5
    near = tl.where(low, x + 1, tl.where(x < 8, x, 2.0)).to(x.dtype)
    product = x * 0 + 1
    for _ in tl.static_range(0, 6):
        over = near > 2.5
        near = tl.where(over, near - 1, near)
        product = tl.where(over, product * near, product)
    t = near - 2
    steps = tl.log(tl.where(low, x, product))
    close = t * _fit_lgamma(2 * t) + tl.where(low, -steps, steps)
    far = tl.where(x < 8, 8.0, x).to(x.dtype)
    logarithm = tl.log(far)
    wide = (far - 0.5) * (logarithm - 1) + 0.41893853320467274 + _stirling(far)
    wide = tl.where(far == float("inf"), far, wide)
    return tl.where(x < 8, close, wide)


@triton.jit
def _from_whole(x):
    # x less the nearest whole number: the part that decides sin(pi x), exactly.
    return x - _round_even(x)


@triton.jit
def _lgamma(x):
    # Reflection below 0.5: lgamma(x) = -log(|sin(pi x)| / pi) - lgamma(1 - x). Infinite at 0, -1, -2, ...
    left = x < 0.5
    right = _lgamma_right(tl.where(left, 1 - x, x))
    sine = tl.abs(tl.sin(3.141592653589793 * _from_whole(tl.where(left, x, 0.25).to(x.dtype)))) * 0.3183098861837907
    result = tl.where(left, -tl.log(sine) - right, right)
    return tl.where((x == float("-inf")) | ((x <= 0) & (tl.floor(x) == x)), float("inf"), result)


@triton.jit
def _digamma(x):
    # Stepped up to 10, then the asymptotic series; reflection for x < 0. -+infinity at +-0, NaN at -1, -2, ...
    left = x < 0
    part = _from_whole(tl.where(left, x, 0.25).to(x.dtype)) * 3.141592653589793
    y = tl.where(left, 1 - x, x)
    # 1 / y + 1 / (y + 1) + ... as one fraction.
    above, below = x * 0, x * 0 + 1
    for _ in tl.static_range(0, 10):
        under = y < 10
        above = tl.where(under, above * y + below, above)
        below = tl.where(under, below * y, below)
        y = tl.where(under, y + 1, y)
    sums = -above / below
    z = 1 / y
    z = z * z
    # fmt: off
    tail = z * _horner(z, (
        0.08333333333333333, -0.021092796092796094, 0.007575757575757576, -0.004166666666666667,
        0.003968253968253968, -0.008333333333333333, 0.08333333333333333,
    ), 2)
    # fmt: on
    result = sums + tl.log(y) - 0.5 / y - tail
    result = tl.where(left, result - 3.141592653589793 * tl.cos(part) / tl.sin(part), result)
    result = tl.where(left & (tl.floor(x) == x), float("nan"), result)
    return tl.where(
        x == 0, tl.where(_is_negative(x), float("inf"), float("-inf")), tl.where(x == float("inf"), x, result)
    )


@triton.jit
def _trigamma(x):
    # Six steps up, then the asymptotic series; reflection below 0.5. The sine of the rounded pi x, as in PyTorch, gives
    # huge values rather than infinity at 0, -1, -2, ...
    left = x < 0.5
    sine = tl.sin(3.141592653589793 * x)
    y = tl.where(left, 1 - x, x)
    sums = tl.where(left, -9.869604401089358 / (sine * sine), x * 0)
    for _ in tl.static_range(0, 6):
        sums += 1 / (y * y)
        y += 1
    z = 1 / (y * y)
    series = 0.16666666666666666 - z * (0.03333333333333333 - z * 0.023809523809523808)
    sums += (1 + 0.5 / y + z * series) / y
    return tl.where(left, -sums, sums)


@triton.jit
def _zeta(x, q):
    # Hurwitz zeta in fp64: terms summed until q + k > 9, then Euler-Maclaurin. Infinite at x = 1 and at q = 0, -1, ...
    whole = tl.floor(q) == q
    outside = (x < 1) | ((q <= 0) & (tl.floor(x) != x))
    plain = (x > 1) & ((q > 0) | (whole == 0)) & (outside == 0)
    base = tl.where(plain, q, 1.0).to(tl.float64)
    term = _pow(base, -x)
    sums = term
    steps = base.to(tl.int32) * 0
    go = plain
    while tl.max(go.to(tl.int32), axis=0) > 0:
        base = tl.where(go, base + 1, base)
        term = tl.where(go, _pow(base, -x), term)
        sums = tl.where(go, sums + term, sums)
        steps += 1
        go = plain & ((steps < 9) | (base <= 9))
    done = (term < 1.1102230246251565e-16 * sums) & (-term < 1.1102230246251565e-16 * sums)
    total = sums + term * base / (x - 1) - 0.5 * term
    rising = x
    inverse = 1 / base
    part = term * inverse
    # B(2 k) / (2 k)! for k = 1, 2, ... 12.
    # fmt: off
    weights: tl.constexpr = (
        0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07,
        2.08767569878681e-08, -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13,
        8.586062056277845e-15, -2.174868698558062e-16, 5.5090028283602295e-18, -1.3954464685812522e-19,
    )
    # fmt: on
    for k in tl.static_range(0, 12):
        total += rising * part * weights[k]
        rising = rising * (x + (2 * k + 1)) * (x + (2 * k + 2))
        part = part * inverse * inverse
    result = tl.where(done, sums, total)
    result = tl.where((x != x) | (q != q) | outside, float("nan"), result)
    result = tl.where((q <= 0) & whole, float("inf"), result)
    return tl.where(x == 1, float("inf"), tl.where(x < 1, float("nan"), result))


@triton.jit
def _erfinv_over(w):
    # erfinv(y) / y by w = -log(1 - y^2), which tells y near 1 and near 0 apart.
    s = tl.sqrt(w)
    far = tl.where(s < 6, 6.0, s).to(w.dtype)
    middle = tl.where(w <= 6.25, 2.5, s).to(w.dtype)
    outer = tl.where(s <= 6, _fit_erfinv_b((middle - 4.25) / 1.75), far * _fit_erfinv_c((168 / far - 17) / 11))
    return tl.where(w <= 6.25, _fit_erfinv_a(w * 0.32 - 1), outer)


@triton.jit
def _erfinv(y):
    result = y * _erfinv_over(-tl.log((1 - y) * (1 + y)))
    return tl.where(tl.abs(y) == 1, y * float("inf"), tl.where(tl.abs(y) < 1, result, float("nan")))


@triton.jit
def _ndtri(p):
    # The normal quantile is sqrt(2) erfinv(2 p - 1), and 1 - (2 p - 1)^2 = 4 p (1 - p) loses no digits for small p.
    y = 2 * p - 1
    result = 1.4142135623730951 * y * _erfinv_over(-tl.log(4 * p * (1 - p)))
    inside = tl.where((p > 0) & (p < 1), result, float("nan"))
    return tl.where(p == 0, float("-inf"), tl.where(p == 1, float("inf"), inside))
