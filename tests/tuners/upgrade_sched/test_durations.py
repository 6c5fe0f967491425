"""Duration models: quantiles never cross and cover, censoring and costs are heeded, files survive or say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sysmith_errors import InputError
from tuners.upgrade_sched.durations.base import GRID, Query, critical_level, pinball, rising, to_prediction
from tuners.upgrade_sched.durations.boosted import Squared, spread_levels
from tuners.upgrade_sched.durations.fit import CHOSEN, FAMILIES, Durations, _choose, at_levels, fit, learnable
from tuners.upgrade_sched.durations.model import FittedModel, fit_history, load_model, save_model
from tuners.upgrade_sched.durations.recent import type_mean
from tuners.upgrade_sched.features import HistoryIndex, plan_features
from tuners.upgrade_sched.siblings import Evidence, Likeness, measure_likeness, normal_scores
from tuners.upgrade_sched.types import Prediction, Upgrade

from .made import history
from .test_features import with_later

FITTED = 900


@pytest.fixture(scope="module")
def fitted() -> Durations:
    made = history(1200, censored=0.1)
    index = HistoryIndex(made, plan_features(made.take(slice(0, FITTED))))
    rows = np.arange(FITTED)
    return fit(index, rows, made.submit[rows], cost_ratio=4.0, longest_s=7200.0)


def asked(fitted: Durations) -> Query:
    made = fitted.index.history
    rows = np.arange(FITTED + 20, len(made))
    rows = rows[~made.censored[rows]]
    return Query.of(fitted.index, rows, made.submit[rows])


@pytest.mark.parametrize("name", [*FAMILIES, CHOSEN])
def test_quantiles_rise_cover_and_beat_ignorance(fitted: Durations, name: str) -> None:
    query = asked(fitted)
    logs = fitted.logs(query, name)
    assert np.all(np.diff(logs, axis=0) >= 0)
    covered = (query.log[None, :] <= logs).mean(axis=1)
    for level in (0.1, 0.5, 0.9):
        assert abs(covered[np.abs(GRID - level).argmin()] - level) < 0.12
    middle = logs[np.abs(GRID - 0.5).argmin()]
    assert pinball(query.log, middle, 0.5).mean() < 0.8 * pinball(query.log, np.median(query.log), 0.5).mean()


def test_each_type_has_its_choice_and_the_rest_too(fitted: Durations) -> None:
    assert set(fitted.choice) >= {"bios", "kernel"}
    assert set(fitted.choice.values()) <= set(FAMILIES)
    for kind, losses in fitted.losses.items():
        assert fitted.choice[kind] == min(losses, key=lambda name: losses[name])


class Wide:
    """Stands for a family: the same quantiles of the logarithm for every upgrade."""

    def __init__(self, logs: np.ndarray) -> None:
        self.column = logs[:, None]

    def logs(self, query: Query) -> np.ndarray:
        return np.repeat(self.column, len(query.rows), axis=1)


def test_the_choice_weighs_the_whole_distribution_and_no_single_quantile(fitted: Durations) -> None:
    query = asked(fitted)
    right = np.quantile(query.log, GRID)
    lucky = np.full(len(GRID), np.quantile(query.log, 0.8))  # exact at the critical level of 4 : 1, wrong elsewhere
    families: dict[str, Any] = {"history": Wide(lucky), "bins": Wide(right)}
    made = Durations(fitted.index, 4.0, families, dict.fromkeys(families, GRID))
    _choose(made, query, 7200.0)
    assert set(made.choice.values()) == {"bins"}


def test_models_learn_from_the_latest_records_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = history(300)
    index = HistoryIndex(made, plan_features(made))
    seen = []
    grow = Squared.grow
    monkeypatch.setattr(Squared, "grow", lambda self, query: (seen.append(len(query.rows)), grow(self, query)))
    fit(index, np.arange(200), made.submit[:200], cost_ratio=4.0, longest_s=7200.0, names=("squared",))
    assert seen == [170, 200]


def test_with_few_records_only_history_speaks() -> None:
    made = history(40)
    index = HistoryIndex(made, plan_features(made))
    few = fit(index, np.arange(30), made.submit[:30], cost_ratio=4.0, longest_s=7200.0)
    assert set(few.families) == {"history"}
    assert set(few.choice.values()) == {"history"}
    assert len(few.predict_rows(np.arange(30, 40), made.submit[30:40])) == 10


def test_predictions_do_not_depend_on_what_comes_later(fitted: Durations) -> None:
    made = fitted.index.history
    row = FITTED + 100
    when = float(made.submit[row])
    rows = np.flatnonzero(made.submit < when)[-20:]
    at = np.full(len(rows), when)
    changed = HistoryIndex(with_later(made, when, 7), fitted.index.plan)
    same = Durations(changed, 4.0, fitted.families, fitted.levels, fitted.choice, {}, fitted.likeness)
    np.testing.assert_array_equal(fitted.predict_rows(rows, at).quantiles, same.predict_rows(rows, at).quantiles)


def test_a_fit_takes_the_latest_records_and_a_sample_of_the_others() -> None:
    rows = learnable(np.arange(100_000), 0)
    assert len(rows) == 30_000
    assert np.all(np.diff(rows) > 0)
    assert rows[-20_000] == 80_000
    np.testing.assert_array_equal(rows, learnable(np.arange(100_000), 0))


def test_the_mean_of_a_type_counts_what_ended_before() -> None:
    made = history(100)
    index = HistoryIndex(made, plan_features(made))
    at = made.submit[[60]]
    known = (made.type == made.type[60]) & (made.end < at)
    found = type_mean(Query.of(index, np.array([60]), at))
    np.testing.assert_allclose(found, made.duration_s[known].mean(), rtol=1e-5)


@given(hnp.arrays(float, st.tuples(st.just(6), st.integers(1, 8)), elements=st.floats(-5, 20)))
@settings(max_examples=50)
def test_whatever_a_model_says_a_prediction_is_in_order(raw: np.ndarray) -> None:
    logs = spread_levels(np.array((0.1, 0.3, 0.5, 0.7, 0.85, 0.95)), rising(raw))
    prediction = to_prediction(logs)
    assert np.all(np.diff(prediction.quantiles, axis=0) >= 0)
    assert np.all(np.isfinite(prediction.mean_s))
    assert np.all(prediction.mean_s >= prediction.quantiles[0] - 1e-6)
    later = prediction.remaining(prediction.quantile(0.5))
    assert np.all(np.diff(later.quantiles, axis=0) >= 0)
    assert np.all(later.quantiles >= 0)


def test_levels_read_elsewhere_stay_in_order() -> None:
    logs = np.sort(np.random.default_rng(0).normal(size=(len(GRID), 5)), axis=0)
    moved = at_levels(logs, np.clip(GRID * 0.8 + 0.1, GRID[0], GRID[-1]))
    assert np.all(np.diff(moved, axis=0) >= 0)
    np.testing.assert_array_equal(at_levels(logs, GRID), logs)


def test_the_critical_level_is_where_costs_balance() -> None:
    assert critical_level(4.0) == 0.8
    sample = np.random.default_rng(0).exponential(size=20_000)
    candidates = np.quantile(sample, [0.6, 0.8, 0.95])
    costs = [pinball(sample, np.full(len(sample), c), 0.8).mean() for c in candidates]
    assert costs.index(min(costs)) == 1


def test_what_is_left_of_an_exponential_forgets_what_has_passed() -> None:
    quantiles = -1000 * np.log(1 - GRID)[:, None]
    fresh = Prediction(np.array([1000.0]), GRID, quantiles, np.array([1000.0]))
    later = fresh.remaining(700.0)
    np.testing.assert_allclose(later.quantile(0.5), fresh.quantile(0.5), rtol=0.1)
    beyond = fresh.remaining(1e5)
    assert 0 < beyond.quantile(0.5)[0] < 5000
    np.testing.assert_allclose(fresh.level_of(693.0), 0.5, atol=0.01)


class TestSiblings:
    def test_no_evidence_changes_nothing(self) -> None:
        evidence = Evidence(Likeness(("entity",), ("entity", "type"), 0.3, 0.5), np.array([0, 0, 1]))
        shift, spread = evidence.posterior(np.array([0, 1, 2]))
        np.testing.assert_allclose(shift, 0)
        np.testing.assert_allclose(spread, 1)

    def test_the_posterior_is_that_of_the_joint_normal(self) -> None:
        like = Likeness(("entity",), ("entity", "type"), 0.3, 0.5)
        evidence = Evidence(like, np.array([0, 0]))
        seen, z = [0, 0, 1], np.array([1.0, 0.4, -0.2])
        for subgroup, value in zip(seen, z, strict=True):
            evidence.add(np.array([subgroup]), np.array([value]))
        shift, spread = evidence.posterior(np.array([0, 1]))
        for target in (0, 1):
            members = np.array([*seen, target])
            cover = np.where(members[:, None] == members[None, :], like.subgroup, like.group)
            np.fill_diagonal(cover, 1.0)
            inverse = np.linalg.inv(cover[:3, :3])
            assert shift[target] == pytest.approx(cover[3, :3] @ inverse @ z)
            assert spread[target] ** 2 == pytest.approx(1 - cover[3, :3] @ inverse @ cover[:3, 3])

    def test_likeness_is_found_where_it_is(self, fitted: Durations) -> None:
        made = fitted.index.history
        rows = np.arange(1000)
        at = made.submit[rows // 50 * 50]
        rng = np.random.default_rng(0)
        shared = rng.normal(size=(20, 20))
        server = np.array([int(name.split("-")[1]) for name in made.entity[rows]])
        z = np.sqrt(0.6) * shared[rows // 50, server] + np.sqrt(0.4) * rng.normal(size=1000)
        like = measure_likeness(fitted.index, rows, at, z)
        assert like.group_key in (("entity",), ("entity", "type"))
        assert like.subgroup == pytest.approx(0.6, abs=0.2)
        assert measure_likeness(fitted.index, rows, at, rng.normal(size=1000)).subgroup < 0.2

    def test_scores_follow_the_outcome(self) -> None:
        quantiles = np.tile(GRID[:, None], (1, 5))
        z = normal_scores(GRID, quantiles, np.array([0.0, 0.1, 0.5, 0.9, 2.0]))
        assert np.all(np.diff(z) > 0)
        assert z[2] == pytest.approx(0, abs=0.01)


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return fit_history(history(600), names=("history", "squared", "bins"))


UPGRADES = [
    Upgrade("1", "server-1", "bios", features={"memory": 64, "rack": "r1"}),
    Upgrade("2", "server-1", "kernel"),
    Upgrade("3", "never-seen", "unheard-of", features={"colour": "red"}),
]


def test_pending_upgrades_are_predicted_whatever_they_are(model: FittedModel) -> None:
    prediction = model.predict(UPGRADES)
    assert len(prediction) == 3
    assert prediction.mean_s[0] > prediction.mean_s[1]  # a BIOS takes longer than a kernel, on the same server
    assert len(model.predict([])) == 0
    alone = model.predict(UPGRADES[:1])
    np.testing.assert_allclose(alone.mean_s[0], prediction.mean_s[0])


def test_a_model_file_gives_the_same_predictions(model: FittedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    save_model(model, path)
    again = load_model(path, model.history)
    np.testing.assert_array_equal(again.predict(UPGRADES).quantiles, model.predict(UPGRADES).quantiles)
    assert [file.name for file in tmp_path.iterdir()] == ["model.json"]


def test_a_model_file_cut_off_or_changed_says_so(model: FittedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    save_model(model, path)
    whole = path.read_bytes()
    for stop in (0, 1, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:stop])
        with pytest.raises(InputError, match="Fit the model again"):
            load_model(path, model.history)
    path.write_bytes(whole.replace(b'"cost_ratio": 2.0', b'"cost_ratio": 3.0'))
    with pytest.raises(InputError, match="checksum"):
        load_model(path, model.history)
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "gone.json", model.history)
    path.write_text(json.dumps({"sha256": "0", "model": []}))
    with pytest.raises(InputError, match="checksum"):
        load_model(path, model.history)


def test_a_model_and_a_history_of_other_columns_do_not_meet(model: FittedModel, tmp_path: Path) -> None:
    from dataclasses import replace

    path = tmp_path / "model.json"
    save_model(model, path)
    with pytest.raises(InputError, match="reads the column"):
        load_model(path, replace(model.history, numbers={}, texts={}))
