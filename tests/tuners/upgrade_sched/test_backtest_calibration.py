"""Predicted against actual: coverage, its intervals, and groups of like predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.calibration import SHOWN, Observed, calibration, observe
from tuners.upgrade_sched.types import History

from .conftest import SWEPT_SETUP


def observed(count: int, *, seed: int = 0, bias: float = 0.0, load: float = 2.0, split: int = 1) -> Observed:
    """Lognormal durations, foretold exactly but for a ``bias`` of the logarithm."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(np.log(60), np.log(7200), size=count)
    truth = centre + 0.5 * rng.normal(size=count)
    quantiles = centre[None, :] - bias + 0.5 * ndtri(np.array(SHOWN))[:, None]
    window = np.sort(rng.integers(max(count // 20, 1), size=count))
    window = np.unique(window, return_inverse=True)[1]
    return Observed(split, load, "bins", window, truth <= quantiles, centre - bias, truth)


def test_a_true_distribution_is_covered_as_it_says() -> None:
    made = calibration([observed(4000), observed(4000, seed=1, split=2)], seed=0)
    (pooled,) = made["by_load"]
    assert pooled["upgrades"] == 8000
    for one in pooled["observed"]:
        assert one["value"] == pytest.approx(one["level"], abs=0.02)
        assert one["low"] <= one["value"] <= one["high"]
    assert pooled["bias_factor"] == pytest.approx(1.0, abs=0.03)
    assert pooled["typical_factor"] == pytest.approx(np.exp(0.5 * 0.6745), abs=0.03)


def test_predictions_too_short_show_as_such() -> None:
    (pooled,) = calibration([observed(3000, bias=0.5)], seed=0)["by_load"]
    shares = {one["level"]: one["value"] for one in pooled["observed"]}
    assert shares[0.5] < 0.25
    assert pooled["bias_factor"] == pytest.approx(np.exp(0.5), abs=0.1)
    for group in pooled["groups"]:
        assert group["actual_s"]["q50"] > group["predicted_s"]


@given(st.integers(1, 400), st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_every_upgrade_is_in_one_group_and_shares_rise_with_the_level(count: int, seed: int) -> None:
    part = observed(count, seed=seed)
    made = calibration([part], seed=0)
    (pooled,), (split,) = made["by_load"], made["by_split"]
    assert sum(group["upgrades"] for group in pooled["groups"]) == count == split["upgrades"]
    medians = [group["predicted_s"] for group in pooled["groups"]]
    assert medians == sorted(medians)
    assert split["observed"] == sorted(split["observed"])
    assert split["observed"] == pytest.approx([one["value"] for one in pooled["observed"]], abs=1e-4)
    for group in pooled["groups"]:
        box = list(group["actual_s"].values())
        assert box == sorted(box)


def test_a_backtest_tells_of_each_split_and_load(swept: dict[str, Any]) -> None:
    made = swept["calibration"]
    assert [(s["split"], s["load"]) for s in made["by_split"]] == [(1, 1.5), (1, 3.0), (2, 1.5), (2, 3.0)]
    offered = {row["load"]: row["offered"] for row in swept["rows"] if row["policy"] == "sysmith"}
    for pooled in made["by_load"]:
        assert pooled["upgrades"] == offered[pooled["load"]]
        halves = {one["level"]: one["value"] for one in pooled["observed"]}
        assert 0.35 < halves[0.5] < 0.65


def test_a_model_without_a_fit_is_replaced_as_a_policy_replaces_it(swept_history: History) -> None:
    blocks = Blocks(swept_history, SWEPT_SETUP)
    assert observe(blocks, 1, 3.0, "survival").model == "chosen"
    seen = observe(blocks, 1, 3.0, "history")
    assert seen.model == "history"
    assert seen.within.shape == (len(SHOWN), len(seen.truth))
    assert (np.diff(seen.within.astype(int), axis=0) >= 0).all()
