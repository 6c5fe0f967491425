"""Special functions as generated kernels: OpInfo's samples, PyTorch's fixed points, and values known to 30 digits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Check = Callable[[str, str], None]

_ONE_ARGUMENT = (
    "special.airy_ai special.bessel_j0 special.bessel_y1 special.modified_bessel_i0 special.modified_bessel_k1"
    " special.scaled_modified_bessel_k0 special.spherical_bessel_j0 special.ndtri"
)
_TWO_ARGUMENTS = (
    "special.zeta special.chebyshev_polynomial_t special.shifted_chebyshev_polynomial_w special.hermite_polynomial_he"
    " special.laguerre_polynomial_l special.legendre_polynomial_p"
)
_REST = (
    "special.bessel_j1 special.bessel_y0 special.modified_bessel_i1 special.modified_bessel_k0"
    " special.scaled_modified_bessel_k1 special.chebyshev_polynomial_u special.chebyshev_polynomial_v"
    " special.chebyshev_polynomial_w special.shifted_chebyshev_polynomial_t special.shifted_chebyshev_polynomial_u"
    " special.shifted_chebyshev_polynomial_v special.hermite_polynomial_h"
)


@pytest.mark.timeout(300)
def test_functions_of_one_argument(operators_pass: Check) -> None:
    operators_pass(_ONE_ARGUMENT, "float32,int64")


@pytest.mark.timeout(300)
def test_functions_of_two_arguments(operators_pass: Check) -> None:
    operators_pass(_TWO_ARGUMENTS, "float32,int64")


@pytest.mark.timeout(300)
def test_gamma_family_in_single_and_half_precision(operators_pass: Check) -> None:
    operators_pass("digamma lgamma igamma igammac erfinv i0 special.i1e", "float32,bfloat16")


@pytest.mark.timeout(300)
def test_values_layouts_and_fixed_points(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_special.py")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_composed_gamma_functions(operators_pass: Check) -> None:
    operators_pass("polygamma special.polygamma mvlgamma", "float32,bfloat16,int32")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_other_function_in_double_and_narrow_types(operators_pass: Check) -> None:
    operators_pass(_REST, "float64,uint8,bool")
