"""The matrix families: OpInfo's own samples for a handful of names, and properties against eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_FAST = "mm addmm baddbmm mv dot addr nn.functional.conv1d nn.functional.conv_transpose1d nn.functional.bilinear"
_LINALG = "linalg.lu_factor linalg.solve linalg.cholesky_ex linalg.qr ormqr linalg.eigvalsh triangular_solve"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_and_convolutions(operators_pass: Callable[[str, str], None], dtype: str) -> None:
    operators_pass(_FAST, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_algebra(operators_pass: Callable[[str, str], None], dtype: str) -> None:
    operators_pass(_LINALG, dtype)


def test_properties(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_matmul.py")
