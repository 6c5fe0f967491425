"""Features look only at what ended before: nothing that happens later may change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuners.upgrade_sched.durations.base import Query
from tuners.upgrade_sched.durations.recent import point_history
from tuners.upgrade_sched.features import STATISTICS, FeaturePlan, HistoryIndex, Key, plan_features
from tuners.upgrade_sched.types import History

from .made import history


def with_later(made: History, when: float, seed: int) -> History:
    """``made`` with every outcome not known at ``when`` changed, and what was not yet due shuffled."""
    rng = np.random.default_rng(seed)
    lasts, cut, start = made.duration_s.copy(), made.censored.copy(), made.start.copy()
    open_ = made.end >= when
    # Whatever is changed still ends no sooner than ``when``: the past stays as it was.
    lasts[open_] = np.maximum(when - start[open_], 0.0) + rng.exponential(5000.0, open_.sum())
    cut[open_] = rng.random(open_.sum()) < 0.5
    later = np.flatnonzero(made.submit >= when)
    changed = replace(made, duration_s=lasts, censored=cut, start=start)
    order = np.concatenate((np.flatnonzero(made.submit < when), rng.permutation(later)))
    return changed.take(order)


@given(st.integers(0, 299), st.integers(0, 1000))
@settings(max_examples=25)
def test_what_is_known_does_not_depend_on_what_comes_later(row: int, seed: int) -> None:
    made = history(300)
    when = float(made.submit[row])
    plan = plan_features(made.take(slice(0, 100)))
    rows = np.flatnonzero(made.submit < when)[-5:]
    at = np.full(len(rows), when)
    before = HistoryIndex(made, plan).matrix(rows, at)
    after = HistoryIndex(with_later(made, when, seed), plan).matrix(rows, at)
    np.testing.assert_array_equal(before, after)


def test_statistics_by_hand() -> None:
    made = history(4, servers=1)
    start = np.array([0.0, 10.0, 20.0, 1000.0])
    made = replace(made, start=start, submit=start, duration_s=np.array([np.e, np.e**3, 500.0, 1.0]))
    index = HistoryIndex(made, FeaturePlan((Key(("entity",)),), (), (Key(("entity",)),)))
    rows, at = np.array([3, 3, 3]), np.array([2.0, 100.0, 520.0])
    found = dict(zip(STATISTICS, index.statistics(Key(("entity",)), rows, at).T, strict=True))
    # At 2 nothing has ended; at 100 the first two; the third ends at 520 itself, which is not before.
    np.testing.assert_allclose(found["count"], np.log1p([0, 2, 2]))
    np.testing.assert_allclose(found["last"], [np.nan, 3, 3])
    np.testing.assert_allclose(found["before_last"], [np.nan, 1, 1])
    np.testing.assert_allclose(found["mean"], [np.nan, 2, 2])
    np.testing.assert_allclose(found["spread"], [np.nan, 1, 1])
    np.testing.assert_allclose(found["recent_max"], [np.nan, 3, 3])


def test_the_last_durations_come_newest_first_and_no_others() -> None:
    made = history(200)
    index = HistoryIndex(made, plan_features(made))
    at = float(made.submit[150])
    latest = index.latest(Key(("entity", "type")), np.array([150]), np.array([at]), 5)[0]
    same = (made.entity == made.entity[150]) & (made.type == made.type[150]) & (made.end < at)
    expected = np.log(made.duration_s[same][np.argsort(-made.end[same], kind="stable")])[:5]
    np.testing.assert_allclose(latest[~np.isnan(latest)], expected)


def test_keys_that_group_alike_are_kept_once() -> None:
    made = history(300)
    twice = replace(made, texts={**made.texts, "again": made.texts["rack"]})
    names = [key.name for key in plan_features(twice).keys]
    assert "again" in names
    assert "rack" not in names  # of two equal columns one is enough
    assert len(names) == len(set(names))


def test_a_history_without_any_feature_has_keys_all_the_same() -> None:
    made = replace(history(50), numbers={}, texts={})
    matrix = HistoryIndex(made, plan_features(made)).matrix(np.arange(50), made.submit)
    assert matrix.shape[0] == 50
    assert np.isfinite(matrix[-1]).any()


@pytest.mark.parametrize("statistic", ["median", "mean", "p95"])
def test_history_statistics_speak_even_with_nothing_known(statistic: str) -> None:
    made = history(50)
    index = HistoryIndex(made, plan_features(made))
    query = Query.of(index, np.arange(50), np.zeros(50))
    np.testing.assert_array_equal(point_history(query, statistic), np.full(50, 3600.0))
