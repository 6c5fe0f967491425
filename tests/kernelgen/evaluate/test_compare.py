"""What counts as agreeing with PyTorch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing._internal.common_methods_invocations import SampleInput

from kernelgen.evaluate.compare import difference
from kernelgen.evaluate.observe import Observation, observe


def seen(call: object, *inputs: torch.Tensor) -> Observation:
    return observe(call, SampleInput(inputs[0], args=tuple(inputs[1:])))  # type: ignore[arg-type]  # a lambda


def test_equal_results_agree() -> None:
    x = torch.randn(3, 4)
    assert difference(seen(lambda: x + 1, x), seen(lambda: x + 1, x), None) == ""


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda x: x + 1.001, "wrong_value"),
        (lambda x: (x + 1).double(), "dtype_mismatch"),
        (lambda x: (x + 1)[:2], "shape"),
        (lambda x: (x + 1).t().contiguous().t(), "strides"),
        (lambda x: (x + 1, x), "structure"),
        (lambda x: 3, "dtype_mismatch: has dtype int 3"),
        (lambda x: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_each_kind_of_difference_is_named(wrong: object, word: str) -> None:
    x = torch.randn(3, 4)
    text = difference(seen(lambda: wrong(x), x), seen(lambda: x + 1, x), None)  # type: ignore[operator]  # a lambda
    assert word in text


def test_returning_the_input_is_an_alias() -> None:
    x = torch.randn(5).abs()
    assert "aliases_input" in difference(seen(lambda: x, x), seen(torch.relu(x).clone, x), None)


def test_a_view_must_stay_a_view() -> None:
    x = torch.randn(3, 4)
    text = difference(seen(lambda: x.t().clone(memory_format=torch.preserve_format), x), seen(lambda: x.t(), x), None)
    assert "does not share memory" in text


def test_changing_an_input_is_noticed() -> None:
    x, y = torch.ones(3), torch.ones(3)
    got = seen(lambda: x.add_(1) + 0, x)
    assert "mutated_input" in difference(got, seen(lambda: y + 1, y), None)


def test_nan_equals_nan_and_infinities_keep_their_sign() -> None:
    x = torch.tensor([float("nan"), float("inf")])
    assert difference(seen(x.clone, x), seen(x.clone, x), None) == ""
    assert "wrong_value" in difference(seen(lambda: -x, x), seen(x.clone, x), None)


def test_tolerance_is_used_for_floats_and_never_for_integers() -> None:
    x, n = torch.ones(3), torch.ones(3, dtype=torch.int64)
    assert difference(seen(lambda: x * 1.05, x), seen(x.clone, x), (0.1, 0.0)) == ""
    assert "wrong_value" in difference(seen(lambda: n + 1, n), seen(n.clone, n), (10.0, 10.0))


def test_undefined_values_compare_by_metadata_alone() -> None:
    x = torch.zeros(3)
    assert difference(seen(lambda: x + 9, x), seen(x.clone, x), None, check_values=False) == ""
    assert difference(seen(lambda: x.double(), x), seen(x.clone, x), None, check_values=False)


def test_a_sample_that_pytorch_cannot_run_shows_nothing() -> None:
    x = torch.zeros(3)
    broken = seen(lambda: torch.zeros(2) + torch.zeros(3), x)
    assert "cannot run this sample" in difference(broken, broken, None)


def test_plain_numbers_compare_with_tolerance() -> None:
    x = torch.zeros(1)
    want = seen(lambda: 1.0, x)
    assert difference(seen(lambda: 1.0 + 1e-7, x), want, None) == ""
    assert difference(seen(lambda: 1.1, x), want, None)
    assert difference(seen(lambda: True, x), replace(want), None)
