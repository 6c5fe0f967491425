"""Device orthogonal polynomials (Chebyshev, Hermite, Laguerre, Legendre) whose degree differs from element to element.

Three-term recurrences (DLMF 18.9); Chebyshev polynomials of high degree inside (-1, 1) by their cosines (DLMF 18.5),
from the degree on at which PyTorch changes over. A negative degree gives 0.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_basic import _acos


@triton.jit
def _degree(n):
    # The degree as a whole number: fractions are dropped; NaN and infinity count as negative.
    return tl.where(tl.abs(n) < 9.0e18, n, -1.0).to(tl.int64)


@triton.jit
def _fused(a, b, c):
    # a * b + c rounded once, for fp32 by way of fp64: Hermite recurrences cancel so far that PyTorch's fused
    # multiply-add shows in its results.
    if a.dtype == tl.float64:
        result = tl.fma(a, b, c)
    else:
        result = (a.to(tl.float64) * b.to(tl.float64) + c.to(tl.float64)).to(a.dtype)
    return result


@triton.jit
def _recur(x, first, n, limit, KIND: tl.constexpr):
    # The member of degree n of the family that starts with 1 and ``first``, for lanes with n <= limit.
    k = n * 0 + 1
    p = k.to(x.dtype)
    q = first
    go = (k < n) & (n <= limit) & (q == q)
    while tl.max(go.to(tl.int32), axis=0) > 0:
        i = k.to(x.dtype)
        if KIND == "chebyshev":
            r = (x + x) * q - p
        elif KIND == "hermite_h":
            r = _fused(x + x, q, -(i + i) * p)
        elif KIND == "hermite_he":
            r = _fused(x, q, -i * p)
        elif KIND == "laguerre":
            r = (((i + i) + (1 - x)) * q - i * p) / (i + 1)
        else:
            r = ((i + i + 1) * x * q - i * p) / (i + 1)
        p = tl.where(go, q, p)
        q = tl.where(go, r, q)
        k += 1
        go = go & (k < n) & (q == q)
    return tl.where(n < 0, 0.0, tl.where(n == 0, 1.0, q)).to(x.dtype)


@triton.jit
def _chebyshev(x, degree, KIND: tl.constexpr, FROM: tl.constexpr):
    # Chebyshev polynomial of the kind t, u, v or w; by cosines from a degree above FROM on.
    n = _degree(degree)
    f = n.to(x.dtype)
    sign = 1 - 2 * (n & 1).to(x.dtype)
    inside = tl.abs(x) < 1
    angle = _acos(tl.where(inside, x, 0.0).to(x.dtype))
    half = angle * 0.5
    # What the polynomial is at 1 and at -1, and between them.
    if KIND == "t":
        first, right, left = x, sign * sign, sign
        between = tl.cos(f * angle)
    elif KIND == "u":
        first, right, left = x + x, f + 1, sign * (f + 1)
        between = tl.sin((f + 1) * angle) / tl.sin(angle)
    elif KIND == "v":
        first, right, left = x + x - 1, sign * sign, sign * (f + f + 1)
        between = tl.where(tl.sin(half) != 1, tl.cos((f + 0.5) * angle) / tl.cos(half), left)
    else:
        first, right, left = x + x + 1, f + f + 1, sign
        flat = tl.where(x > 0, right, left)
        between = tl.where(tl.cos(half) != 1, tl.sin((f + 0.5) * angle) / tl.sin(half), flat)
    trigonometric = inside & (n > FROM)
    edge = tl.abs(x) == 1
    limit = tl.where(trigonometric | edge, 0, n)
    result = tl.where(trigonometric, between, _recur(x, first, n, limit, "chebyshev"))
    result = tl.where(edge, tl.where(x > 0, right, left), result)
    return tl.where(n < 0, 0.0, result)


@triton.jit
def _hermite(x, degree, KIND: tl.constexpr):
    # Physicists' (hermite_h) or probabilists' polynomial; PyTorch gives NaN above degree 128, 512 in fp64.
    n = _degree(degree)
    most = n * 0 + (512 if x.dtype == tl.float64 else 128)
    first = x
    if KIND == "hermite_h":
        first = x + x
    return tl.where(n > most, float("nan"), _recur(x, first, n, most, KIND))


@triton.jit
def _laguerre(x, degree):
    n = _degree(degree)
    result = _recur(x, 1 - x, n, tl.where(x == 0, 0, n), "laguerre")
    return tl.where((x == 0) & (n >= 0), 1.0, result)


@triton.jit
def _legendre(x, degree):
    n = _degree(degree)
    edge = tl.abs(x) == 1
    result = _recur(x, x, n, tl.where(edge, 0, n), "legendre")
    sign = tl.where(x > 0, 1, 1 - 2 * (n & 1)).to(x.dtype)
    return tl.where(edge & (n >= 0), sign, result)
