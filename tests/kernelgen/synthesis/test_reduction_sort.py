"""The reduction, scan, softmax, normalisation, sort and histogram families: OpInfo samples and random layouts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_REDUCE = "sum amax max argmax any prod var_mean count_nonzero linalg.vector_norm logsumexp hash_tensor"
_ROWS = "cumsum cumprod cummax logcumsumexp softmax log_softmax native_group_norm native_batch_norm"
_SORT = "median nanmedian isin bucketize histogram bincount"


def test_a_reduction_a_scan_and_a_sort(operators_pass: Callable[[str, str], None]) -> None:
    operators_pass("amax cumsum topk", "bfloat16,int64")


@pytest.mark.slow
@pytest.mark.parametrize("names", [_REDUCE, _ROWS, _SORT], ids=["reduce", "rows", "sort"])
def test_opinfo_samples(names: str, operators_pass: Callable[[str, str], None]) -> None:
    operators_pass(names, "bfloat16,int64")


@pytest.mark.slow
def test_random_layouts(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_reduction.py")
