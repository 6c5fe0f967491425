"""Pointwise and creation kernels against eager PyTorch: OpInfo samples of representatives, and random operands."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("dtypes", ["float16,float32", "int64,bfloat16"])
def test_pointwise_operators(operators_pass: Callable[[str, str], None], dtypes: str) -> None:
    operators_pass("add div remainder pow clamp where copysign logaddexp round", dtypes)


def test_activations_and_losses(operators_pass: Callable[[str, str], None]) -> None:
    names = "nn.functional.gelu nn.functional.glu nn.functional.mse_loss nn.functional.huber_loss erfc atan2"
    operators_pass(names, "float16,float32")


def test_creation_operators(operators_pass: Callable[[str, str], None]) -> None:
    operators_pass("arange eye tril tril_indices triu_indices equal clone full_like", "float32,int64")


def test_properties(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_pointwise.py")
