"""Pooling, resampling, grid sampling and attention: OpInfo's samples for a few names, and properties against eager."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_POOLING = "nn.functional.avg_pool2d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool2d"
_RESAMPLING = "nn.functional.upsample_bilinear nn.functional.upsample_nearest"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_opinfo_samples(operators_pass: Callable[[str, str], None], dtype: str) -> None:
    operators_pass(f"{_POOLING} {_RESAMPLING}", dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_opinfo_samples_of_the_larger_names(operators_pass: Callable[[str, str], None], dtype: str) -> None:
    operators_pass("nn.functional.interpolate nn.functional.grid_sample nn.functional.adaptive_avg_pool3d", dtype)


def test_properties(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_pooling.py")
