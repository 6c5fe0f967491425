"""Special functions: gamma, zeta, Bessel, Airy, inverse error functions and orthogonal polynomials; no derivatives.

fp64 serves fp32 inputs too in zeta and polygamma from order 2 on (terms that cancel near poles), in the incomplete
gamma functions (exponents that cancel) and in each step of the Hermite recurrences (sums that cancel). All others
compute in the type of their input, 16-bit types in fp32.
"""

from __future__ import annotations

from kernelgen.synthesis.families.pointwise_core import pointwise

_UNARY = {
    "digamma": "_digamma(self)",
    "erfinv": "_erfinv(self)",
    "i0": "_i0(self, False)",
    "lgamma": "_lgamma(self)",
    "special_i0e": "_i0(self, True)",
    "special_i1": "_i1(self, False)",
    "special_i1e": "_i1(self, True)",
    "special_modified_bessel_i0": "_i0(self, False)",
    "special_modified_bessel_i1": "_i1(self, False)",
    "special_ndtri": "_ndtri(self)",
}
_UNARY_OF_X = {
    "airy_ai": "_airy_ai(x)",
    "scaled_modified_bessel_k0": "_k0(x, True)",
    "scaled_modified_bessel_k1": "_k1(x, True)",
    "spherical_bessel_j0": "_spherical_j0(x)",
}
_UNARY |= {f"special_bessel_{name}": f"_bessel_{name}(self)" for name in ("j0", "j1", "y0", "y1")}
_UNARY |= {f"special_modified_bessel_{name}": f"_{name}(self, False)" for name in ("k0", "k1")}

# Name -> value at (x, n). PyTorch leaves the recurrence for cosines above the degree named last.
_POLYNOMIALS = {
    **{
        f"chebyshev_polynomial_{k}": f"_chebyshev(x, n, '{k}', {top})"
        for k, top in zip("tuvw", (6, 8, 8, 8), strict=True)
    },
    **{
        f"shifted_chebyshev_polynomial_{k}": f"_chebyshev(x + x - 1, n, '{k}', {top})"
        for k, top in zip("tuvw", (6, 6, 6, 4), strict=True)
    },
    "hermite_polynomial_h": "_hermite(x, n, 'hermite_h')",
    "hermite_polynomial_he": "_hermite(x, n, 'hermite_he')",
    "laguerre_polynomial_l": "_laguerre(x, n)",
    "legendre_polynomial_p": "_legendre(x, n)",
}
_POLYGAMMA = """\
if ORDER == 0:
    result = _digamma(self)
elif ORDER == 1:
    result = _trigamma(self)
else:
    result = factor * _zeta(exponent, self)"""
_POLYGAMMA_PARTS = """\
if n < 0:
    raise RuntimeError("polygamma(n, x) does not support negative n.")
exponent, factor = n + 1, (math.factorial(n) if n <= 170 else math.inf) * (1 if n % 2 else -1)"""
# PyTorch sums over steps of 1/2 in the result's type.
_MVLGAMMA = """\
result = self * 0
step = p - p
while tl.max((step < p).to(tl.int32), axis=0) > 0:
    part = (self + (step + 1 - p) * 0.5).to(STORAGE).to(COMPUTE)
    result += _lgamma(part).to(STORAGE).to(COMPUTE)
    step += 1
result = result.to(STORAGE).to(COMPUTE) + p * (p - 1) * 0.2861824714623350"""
_FLOATS = "if not dtype.is_floating_point:\n    raise NotImplementedError('{} takes floating-point tensors only')"

ENTRIES = [
    *(pointwise(f"{name}.default", body, promote="float") for name, body in _UNARY.items()),
    *(pointwise(f"special_{n}.default", body, operands=("x",), promote="float") for n, body in _UNARY_OF_X.items()),
    *(
        pointwise(f"special_{name}.{kind}", body, operands=("x", "n"), promote="float")
        for name, body in _POLYNOMIALS.items()
        for kind in ("default", "x_scalar", "n_scalar")
    ),
    pointwise(
        "polygamma.default",
        _POLYGAMMA,
        scalars=("exponent", "factor"),
        flags={"order": "min(n, 2)"},
        prepare=_POLYGAMMA_PARTS,
        promote="float",
        compute="_COMPUTE[dtype] if n < 2 else tl.float64",
    ),
    pointwise(
        "mvlgamma.default",
        _MVLGAMMA,
        scalars=("p",),
        prepare="if p < 1:\n    raise RuntimeError('p has to be greater than or equal to 1')",
        promote="float",
    ),
    *(
        pointwise(
            f"special_zeta.{kind}",
            "_zeta(self, other)",
            operands=("self", "other"),
            promote="float",
            compute="tl.float64",
        )
        for kind in ("default", "self_scalar", "other_scalar")
    ),
    *(
        pointwise(
            f"{name}.default",
            f"_igamma(self, other, {upper})",
            operands=("self", "other"),
            adjust=_FLOATS.format(name),
            compute="tl.float64",
        )
        for name, upper in (("igamma", False), ("igammac", True))
    ),
]
