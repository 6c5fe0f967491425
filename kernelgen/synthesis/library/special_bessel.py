"""Device Bessel functions (J, Y, I, K of orders 0 and 1) and the Airy function Ai, for fp32 and fp64.

Near zero a polynomial, with the logarithm split off (DLMF 10.8, 10.25, 10.31); far out Hankel's amplitude-and-phase
form and the exponential forms (DLMF 10.17, 10.40, 9.7). Values that PyTorch fixes (NaN of i0 at infinity, 0 of Ai past
103.892) are kept.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_basic import _copysign
from kernelgen.synthesis.library.special_fits_bessel import (
    _fit_airy_middle,
    _fit_airy_p,
    _fit_airy_q,
    _fit_airy_right,
    _fit_i0_far,
    _fit_i0_near,
    _fit_i1_far,
    _fit_i1_near,
    _fit_j0_near,
    _fit_j1_near,
    _fit_k0_far,
    _fit_k0_near,
    _fit_k1_far,
    _fit_k1_near,
    _fit_p0,
    _fit_p1,
    _fit_q0,
    _fit_q1,
    _fit_y0_near,
    _fit_y1_near,
)


@triton.jit
def _at_least(x, LOW: tl.constexpr):
    # x, or LOW where x is less: keeps lanes that take another branch inside a polynomial's range. NaN stays.
    return tl.where(x < LOW, LOW, x).to(x.dtype)


@triton.jit
def _i0(x, SCALED: tl.constexpr):
    # I0(x), times exp(-|x|) if SCALED.
    a = tl.abs(x)
    near = _fit_i0_near(a * a * 0.015625)
    far = _at_least(a, 8)
    wide = _fit_i0_far(16 / far - 1)
    if SCALED:
        near = near * tl.exp(-a)
    else:
        wide = tl.exp(far) * wide
    return tl.where(a <= 8, near, wide / tl.sqrt(far))


@triton.jit
def _i1(x, SCALED: tl.constexpr):
    a = tl.abs(x)
    near = a * _fit_i1_near(a * a * 0.015625)
    far = _at_least(a, 8)
    wide = _fit_i1_far(16 / far - 1)
    if SCALED:
        near = near * tl.exp(-a)
    else:
        wide = tl.exp(far) * wide
    return _copysign(tl.where(a <= 8, near, wide / tl.sqrt(far)), x)


@triton.jit
def _k0(x, SCALED: tl.constexpr):
    # K0(x), times exp(x) if SCALED; NaN for negative x and infinity at 0.
    low = tl.where(x > 2, 2.0, x).to(x.dtype)
    near = _fit_k0_near(low * low * 0.5 - 1) - tl.log(low * 0.5) * _fit_i0_near(low * low * 0.015625)
    high = _at_least(x, 2)
    far = _fit_k0_far(4 / high - 1) / tl.sqrt(high)
    if SCALED:
        near = near * tl.exp(low)
    else:
        far = far * tl.exp(-high)
    return tl.where(x < 0, float("nan"), tl.where(x == 0, float("inf"), tl.where(x <= 2, near, far)))


@triton.jit
def _k1(x, SCALED: tl.constexpr):
    low = tl.where(x > 2, 2.0, x).to(x.dtype)
    near = tl.log(low * 0.5) * (low * _fit_i1_near(low * low * 0.015625)) + _fit_k1_near(low * low * 0.5 - 1) / low
    high = _at_least(x, 2)
    far = _fit_k1_far(4 / high - 1) / tl.sqrt(high)
    if SCALED:
        near = near * tl.exp(low)
    else:
        far = far * tl.exp(-high)
    return tl.where(x < 0, float("nan"), tl.where(x == 0, float("inf"), tl.where(x <= 2, near, far)))


@triton.jit
def _j0_near(x):
    square = x * x
    return (square - 5.7831859629467845) * (square - 30.471262343662086) * _fit_j0_near(square * 0.03125 - 1)


@triton.jit
def _j1_near(x):
    square = x * x
    return x * ((square - 14.681970642123893) * (square - 49.218456321694604)) * _fit_j1_near(square * 0.03125 - 1)


@triton.jit
def _hankel(x, ORDER: tl.constexpr, SECOND: tl.constexpr):
    # J (or Y, if SECOND) of this order for x >= 8: amplitude times cosine (sine) of x - (2 ORDER + 1) pi / 4.
    high = _at_least(x, 8)
    u = 128 / (high * high) - 1
    if ORDER == 0:
        p, q, phase = _fit_p0(u), _fit_q0(u) / high, high - 0.7853981633974483
    else:
        p, q, phase = _fit_p1(u), _fit_q1(u) / high, high - 2.356194490192345
    cosine, sine = tl.cos(phase), tl.sin(phase)
    wave = p * sine + q * cosine if SECOND else p * cosine - q * sine
    return wave * 0.7978845608028654 / tl.sqrt(high)


@triton.jit
def _bessel_j0(x):
    a = tl.abs(x)
    return tl.where(a <= 8, _j0_near(a), _hankel(a, 0, False))


@triton.jit
def _bessel_j1(x):
    a = tl.abs(x)
    return _copysign(1 + x * 0, x) * tl.where(a <= 8, _j1_near(a), _hankel(a, 1, False))


@triton.jit
def _bessel_y0(x):
    near = _fit_y0_near(x * x * 0.03125 - 1) + 0.6366197723675814 * tl.log(x) * _j0_near(x)
    result = tl.where(x <= 8, near, _hankel(x, 0, True))
    return tl.where(x < 0, float("nan"), tl.where(x == 0, float("-inf"), result))


@triton.jit
def _bessel_y1(x):
    near = x * _fit_y1_near(x * x * 0.03125 - 1) + 0.6366197723675814 * (_j1_near(x) * tl.log(x) - 1 / x)
    result = tl.where(x <= 8, near, _hankel(x, 1, True))
    return tl.where(x < 0, float("nan"), tl.where(x == 0, float("-inf"), result))


@triton.jit
def _spherical_j0(x):
    # sin(x) / x, by its Taylor series for small x.
    s = x * x
    series = 1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110 * (1 - s / 156)))))
    result = tl.where(tl.abs(x) < 0.5, series, tl.sin(x) / x)
    return tl.where(tl.abs(x) == float("inf"), 0.0, result)


@triton.jit
def _airy_ai(x):
    a = _at_least(tl.abs(x), 2)
    root = tl.sqrt(a)
    zeta = a * root * 0.6666666666666666
    quarter = tl.sqrt(root)
    right = _fit_airy_right(3.771236166328253 / zeta - 1) * tl.exp(-zeta) * 0.28209479177387814 / quarter
    part = 5.333333333333333 / zeta
    u = 2 * part * part - 1
    angle = zeta + 0.7853981633974483
    wave = _fit_airy_p(u) * tl.sin(angle) - _fit_airy_q(u) / zeta * tl.cos(angle)
    left = wave * 0.5641895835477563 / quarter
    result = tl.where(x >= 2, right, tl.where(x < -4, left, _fit_airy_middle((x + 1) * 0.3333333333333333)))
    result = tl.where(x > 103.892, 0.0, result)
    return tl.where(tl.abs(x) == float("inf"), float("nan"), result)
