"""The matrix families: OpInfo's own samples for a handful of names, and properties against eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_PRODUCTS = "mm addmm baddbmm mv dot addr nn.functional.conv1d nn.functional.conv_transpose1d nn.functional.bilinear"
_LINALG = "linalg.lu_factor linalg.solve linalg.qr ormqr linalg.eigvalsh linalg.svdvals triangular_solve linalg.pinv"


def test_a_product_and_two_factorisations(operators_pass: Callable[[str, str], None]) -> None:
    operators_pass("mm linalg.cholesky_ex linalg.ldl_solve", "float32,bfloat16")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_and_convolutions(operators_pass: Callable[[str, str], None], dtype: str) -> None:
    operators_pass(_PRODUCTS, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_algebra(operators_pass: Callable[[str, str], None], dtype: str) -> None:
    operators_pass(_LINALG, dtype)


@pytest.mark.slow
def test_properties(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_matmul.py")
