"""Property tests of the special-function wrappers; run in a child with TRITON_INTERPRET=1 (see conftest)."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import mpmath  # type: ignore[import-untyped]  # mpmath ships no types
import pytest
import torch
from hypothesis import given, settings

from kernelgen.evaluate.loader import LazyKernels
from kernelgen.runtime import interpreter
from kernelgen.runtime.overloads import overload_key
from kernelgen.synthesis.families import pointwise_special
from kernelgen.synthesis.registry import render

interpreter.install()
ATEN = torch.ops.aten
KERNELS = LazyKernels({entry.overload: render(entry).text for entry in pointwise_special.ENTRIES})
INF, NAN = math.inf, math.nan


def _second(order: int, kind: Any) -> Any:
    return lambda x: kind(order, x)


# Overload -> the function to 30 digits, and the range of arguments to try it on.
EXACT: dict[str, tuple[Any, float, float]] = {
    "lgamma": (lambda x: mpmath.log(abs(mpmath.gamma(x))), -20.0, 150.0),
    "digamma": (mpmath.digamma, -20.0, 150.0),
    "erfinv": (mpmath.erfinv, -1.0, 1.0),
    "i0": (_second(0, mpmath.besseli), -30.0, 30.0),
    "special_i1": (_second(1, mpmath.besseli), -30.0, 30.0),
    "special_bessel_j0": (_second(0, mpmath.besselj), -60.0, 60.0),
    "special_bessel_j1": (_second(1, mpmath.besselj), -60.0, 60.0),
    "special_bessel_y0": (_second(0, mpmath.bessely), 0.01, 60.0),
    "special_bessel_y1": (_second(1, mpmath.bessely), 0.01, 60.0),
    "special_modified_bessel_k0": (_second(0, mpmath.besselk), 0.01, 60.0),
    "special_modified_bessel_k1": (_second(1, mpmath.besselk), 0.01, 60.0),
    "special_airy_ai": (mpmath.airyai, -40.0, 20.0),
    "special_ndtri": (lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1), 1e-9, 1.0),
}
POINTS = [0.0, INF, -INF, NAN, 1.0, -1.0, -2.0, 2.0, 8.0, 0.5, -0.5, 110.0, -110.0, 1e-20]


@pytest.mark.parametrize("name", EXACT)
def test_double_precision_agrees_with_thirty_digits(name: str) -> None:
    exact, low, high = EXACT[name]
    generator = torch.Generator().manual_seed(7)
    x = low + (high - low) * torch.rand(60, generator=generator, dtype=torch.float64)
    with mpmath.workdps(30):
        want = torch.tensor([float(mpmath.re(exact(value))) for value in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(KERNELS[f"{name}.default"](x), want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EXACT)
def test_fixed_points_are_those_of_pytorch(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor(POINTS, dtype=dtype)
    got, want = KERNELS[f"{name}.default"](x), getattr(ATEN, name).default(x)
    torch.testing.assert_close(got, want, rtol=2e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", ["igamma", "igammac", "special_zeta"])
def test_fixed_points_of_two_arguments_are_those_of_pytorch(name: str) -> None:
    x = torch.tensor(POINTS, dtype=torch.float64)
    a, b = x[:, None].expand(len(x), len(x)), x[None, :].expand(len(x), len(x))
    got, want = KERNELS[f"{name}.default"](a, b), getattr(ATEN, name).default(a, b)
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("upper", [False, True])
def test_incomplete_gamma_holds_in_every_regime(upper: bool) -> None:
    a = torch.tensor([1e-3, 0.3, 1.0, 7.0, 7.0, 25.0, 25.0, 199.0, 500.0, 500.0, 500.0, 1e6], dtype=torch.float64)
    x = torch.tensor([0.4, 0.9, 3.0, 2.0, 20.0, 24.0, 31.0, 230.0, 300.0, 505.0, 900.0, 1e6 + 700], dtype=torch.float64)
    with mpmath.workdps(40):
        want = [
            mpmath.gammainc(p, q, mpmath.inf, regularized=True) if upper else mpmath.gammainc(p, 0, q, regularized=True)
            for p, q in zip(a.tolist(), x.tolist(), strict=True)
        ]
    got = KERNELS["igammac.default" if upper else "igamma.default"](a, x)
    torch.testing.assert_close(got, torch.tensor([float(w) for w in want], dtype=torch.float64), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    ("op", "degrees"),
    [
        (ATEN.special_chebyshev_polynomial_u.default, 20),
        (ATEN.special_shifted_chebyshev_polynomial_v.default, 20),
        (ATEN.special_hermite_polynomial_h.default, 15),
        (ATEN.special_laguerre_polynomial_l.default, 20),
        (ATEN.special_legendre_polynomial_p.default, 20),
    ],
)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_polynomials_broadcast_any_layout_and_degree(op: Any, degrees: int, data: Any) -> None:
    rows, cols = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    values = data.draw(st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=cols, max_size=cols))
    x = torch.tensor(values, dtype=torch.float64).expand(rows, cols)
    n = torch.arange(2 * rows).sub(2).clamp(max=degrees)[::2].unsqueeze(1)
    if data.draw(st.booleans()):
        x, n = x.t(), n.t()
    got, want = KERNELS[overload_key(op)](x, n), op(x, n)
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-7)
    assert got.stride() == want.stride() or 1 in got.shape
