"""Only what PyTorch leaves open is left out of a comparison."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing._internal.common_methods_invocations import SampleInput

from kernelgen.evaluate.compare import difference
from kernelgen.evaluate.defined import defined_part
from kernelgen.evaluate.observe import Observation, observe

X = torch.tensor([[2.0, 1.0, 2.0, 3.0]])
SAMPLE = SampleInput(X, args=(3,))


def seen(name: str, values: Any, indices: list[list[int]]) -> Observation:
    result = (torch.tensor(values), torch.tensor(indices))
    return observe(lambda: defined_part(name, SAMPLE, result), SAMPLE)


def test_another_index_of_an_equal_element_agrees() -> None:
    want = seen("topk", [[3.0, 2.0, 2.0]], [[3, 0, 2]])
    assert difference(seen("topk", [[3.0, 2.0, 2.0]], [[3, 2, 0]]), want, None) == ""


@pytest.mark.parametrize(
    ("values", "indices"),
    [
        ([[3.0, 2.0, 2.0]], [[3, 0, 0]]),
        ([[3.0, 2.0, 2.0]], [[3, 0, 1]]),
        ([[3.0, 2.0, 1.0]], [[3, 0, 2]]),
        ([[3.0, 2.0, 2.0]], [[3, 0, 9]]),
        ([[3.0, 2.0, 2.0]], [[3, 0, -2]]),
    ],
)
def test_repeated_wrong_and_impossible_indices_differ(values: Any, indices: Any) -> None:
    want = seen("topk", [[3.0, 2.0, 2.0]], [[3, 0, 2]])
    assert difference(seen("topk", values, indices), want, None)


def test_a_stable_sort_and_all_other_operators_are_compared_whole() -> None:
    result = torch.sort(X, stable=True)
    assert defined_part("sort", SampleInput(X, kwargs={"stable": True}), result) is result
    assert defined_part("max", SAMPLE, result) is result
