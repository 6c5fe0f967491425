"""Reserves and the sizes that bound what a lane holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.risk import Risk, Rule, level_of_cost_ratio


@pytest.mark.parametrize("rule", ["spread", "lognormal"])
@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.floats(0.5, 0.995),
    length=st.integers(600, 100_000),
)
@settings(max_examples=200, deadline=None)
def test_no_lane_holds_more_than_its_length_in_sizes(rule: Rule, seed: int, level: float, length: int) -> None:
    rng, risk = np.random.default_rng(seed), Risk(rule, level)
    mean = rng.integers(1, max(2, length // 2), 40)
    variance = (mean * rng.uniform(0, rng.choice([0.2, 1.0, 3.0]), 40)) ** 2
    size = risk.sizes(mean, variance, length)
    assert np.all(size >= mean * (1 - 1e-12))
    total = spread = load = 0.0
    for m, v, s in zip(mean, variance, size, strict=True):
        if risk.reserve(total + m, spread + v) <= length:
            total, spread, load = total + m, spread + v, load + s
    assert load <= length * (1 + 1e-9)


def test_a_lane_of_equals_is_full_by_its_sizes() -> None:
    risk, length = Risk("spread", 0.9), 14_400
    mean, variance = np.full(1, 1.0), np.full(1, 300.0)  # infinitely many tiny upgrades fill it without a rest
    count = 0
    while risk.reserve(count + 1.0, (count + 1) * 300.0) <= length:
        count += 1
    assert count * risk.sizes(mean, variance, length)[0] == pytest.approx(length, rel=1e-3)


def test_the_lognormal_rule_gives_the_quantile_of_one() -> None:
    rng = np.random.default_rng(1)
    shape = np.log1p(0.5**2)
    drawn = 100 * np.exp(np.sqrt(shape) * rng.standard_normal(200_000) - shape / 2)
    assert Risk("lognormal", 0.9).reserve(100, 50**2) == pytest.approx(np.quantile(drawn, 0.9), rel=0.01)


@pytest.mark.parametrize("rule", ["spread", "lognormal"])
def test_arrays_and_numbers_agree(rule: Rule) -> None:
    risk = Risk(rule, 0.8)
    means, variances = np.array([1.0, 50.0, 900.0]), np.array([0.0, 400.0, 1e6])
    singles = [risk.reserve(m, v) for m, v in zip(means, variances, strict=True)]
    assert risk.reserves(means, variances).tolist() == pytest.approx(singles)


def test_the_cost_ratio_sets_the_critical_fractile() -> None:
    assert level_of_cost_ratio(9) == pytest.approx(0.9)
    for bad in (0.5, float("nan"), float("inf")):
        with pytest.raises(InputError, match="at least 1"):
            level_of_cost_ratio(bad)


@pytest.mark.parametrize("level", [0.49, 1.0, float("nan")])
def test_a_level_must_be_a_probability_of_success(level: float) -> None:
    with pytest.raises(InputError, match="risk level"):
        Risk("spread", level)
