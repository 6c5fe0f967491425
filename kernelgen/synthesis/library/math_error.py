"""Device error function of the tail: erfc and erfcx for fp32 and fp64, from Moshier's Cephes rationals (ndtr.c)."""

import triton
import triton.language as tl

from kernelgen.synthesis.library.math_basic import _log1p


@triton.jit
def _erfcx_tail(a):
    # exp(a^2) erfc(a) for a >= 1: one rational up to 8, another beyond.
    p = 2.46196981473530512524e-10 * a + 5.64189564831068821977e-1
    p = (p * a + 7.46321056442269912687) * a + 4.86371970985681366614e1
    p = (p * a + 1.96520832956077098242e2) * a + 5.26445194995477358631e2
    p = (p * a + 9.34528527171957607540e2) * a + 1.02755188689515710272e3
    p = p * a + 5.57535335369399327526e2
    q = (a + 1.32281951154744992508e1) * a + 8.67072140885989742329e1
    q = (q * a + 3.54937778887819891062e2) * a + 9.75708501743205489753e2
    q = (q * a + 1.82390916687909736289e3) * a + 2.24633760818710981792e3
    q = (q * a + 1.65666309194161350182e3) * a + 5.57535340817727675546e2
    # The far rational in 1/a, so that no power of a big argument overflows: R(a) / S(a) = (1/a) R*(1/a) / S*(1/a).
    v = 1 / tl.where(a < 8, 8.0, a).to(a.dtype)
    r = 2.97886665372100240670 * v + 7.40974269950448939160
    r = (r * v + 6.16021097993053585195) * v + 5.01905042251180477414
    r = (r * v + 1.27536670759978104416) * v + 5.64189583547755073984e-1
    s = 3.36907645100081516050 * v + 9.60896809063285878198
    s = (s * v + 1.70814450747565897222e1) * v + 1.20489539808096656605e1
    s = (s * v + 9.39603524938001434673) * v + 2.26052863220117276590
    s = s * v + 1
    return tl.where(a < 8, p / q, v * (r / s))


@triton.jit
def _exp_minus_square(a):
    # exp(-a^2) with a split so that the square of its head is exact: a^2 = head^2 + (a - head) (a + head).
    if a.dtype == tl.float64:
        head = (a.to(tl.int64, bitcast=True) & -134217728).to(tl.float64, bitcast=True)
    else:
        head = (a.to(tl.int32, bitcast=True) & -4096).to(tl.float32, bitcast=True)
    return tl.exp(-head * head) * tl.exp((head - a) * (head + a))


@triton.jit
def _erfc(x):
    a = tl.abs(x)
    far = tl.where(a < 1, 1.0, tl.where(a > 28, 28.0, a)).to(x.dtype)
    tail = _exp_minus_square(far) * _erfcx_tail(far)
    result = tl.where(a < 1, 1 - tl.erf(x), tl.where(x < 0, 2 - tail, tail))
    return tl.where(x == x, result, x)


@triton.jit
def _erfcx(x):
    # exp(x^2) erfc(x); for negative x that is 2 exp(x^2) - erfcx(-x).
    a = tl.abs(x)
    far = tl.where(a < 1, 1.0, a).to(x.dtype)
    tail = _erfcx_tail(far)
    grow = 1 / _exp_minus_square(tl.where(a > 27, 27.0, a).to(x.dtype))
    grow = tl.where(a >= 27, float("inf"), grow)
    near = (1 - tl.erf(x)) / _exp_minus_square(tl.where(a < 1, a, 0.0).to(x.dtype))
    result = tl.where(a < 1, near, tl.where(x < 0, 2 * grow - tail, tail))
    return tl.where(x == x, result, x)


@triton.jit
def _log_ndtr(x):
    # log of the normal distribution function: by erfcx in the left tail, log1p of the complement elsewhere.
    t = x * 0.7071067811865476
    left = tl.log(_erfcx(-t) * 0.5) - t * t
    return tl.where(x < -1, left, _log1p(-0.5 * _erfc(t)))
