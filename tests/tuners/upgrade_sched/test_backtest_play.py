"""Windows are cut as documented, and the simulation does what a slow, plain one does."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuners.upgrade_sched.backtest.demand import Demand, cut_windows, opening_times
from tuners.upgrade_sched.backtest.policies import PointPolicy, RiskPolicy, chances
from tuners.upgrade_sched.backtest.score import cost, figures, meets, ratios, resample, row, shortfall
from tuners.upgrade_sched.backtest.simulate import COUNTS, play
from tuners.upgrade_sched.durations.base import GRID
from tuners.upgrade_sched.siblings import Likeness

from .made import history

COLUMN = {name: i for i, name in enumerate(COUNTS)}
HOUR = 3600.0


def demand(windows: list[list[float]], *, slots: int = 2, length: float = HOUR) -> Demand:
    sizes = [len(window) for window in windows]
    total = sum(sizes)
    first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    durations = np.array([d for window in windows for d in window], dtype=float)
    return Demand(np.arange(total), first, np.zeros(total), durations, length, slots)


def by_hand(durations: list[float], predicted: list[float], slots: int, length: float, lean: float) -> dict[str, float]:
    """One window, played one event at a time."""
    free = [(0.0, slot) for slot in range(slots)]
    waiting = list(range(len(durations)))
    counts = dict.fromkeys(COUNTS, 0.0)
    while free:
        now, slot = heapq.heappop(free)
        if now >= length:
            continue
        able = [i for i in waiting if predicted[i] <= length - now]
        if not able:
            continue
        best = min(able, key=lambda i: (-(max(predicted[i], 1.0) ** (lean - 1)), i))
        waiting.remove(best)
        counts["scheduled"] += 1
        if durations[best] <= length - now:
            counts["completed"] += 1
            counts["useful_s"] += durations[best]
            heapq.heappush(free, (now + durations[best], slot))
        else:
            counts["cancelled"] += 1
            counts["wasted_s"] += length - now
    return counts


lengths = st.floats(1, 2 * HOUR)


@given(
    st.lists(st.lists(st.tuples(lengths, lengths), max_size=40), min_size=1, max_size=5),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
@settings(max_examples=60, deadline=None)
def test_all_windows_at_once_are_as_each_by_hand(
    windows: list[list[tuple[float, float]]], slots: int, lean: float
) -> None:
    made = demand([[d for d, _ in window] for window in windows], slots=slots)
    predicted = np.array([p for window in windows for _, p in window], dtype=float)
    played = play(made, PointPolicy(predicted, lean)).counts
    for counts, window in zip(played, windows, strict=True):
        expected = by_hand([d for d, _ in window], [p for _, p in window], slots, HOUR, lean)
        for name in ("scheduled", "completed", "cancelled", "useful_s", "wasted_s"):
            assert counts[COLUMN[name]] == pytest.approx(expected[name]), name


@given(st.lists(lengths, min_size=1, max_size=60), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_what_is_counted_adds_up_under_any_policy(durations: list[float], slots: int, seed: int) -> None:
    made = demand([durations], slots=slots)
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.uniform(1, 2 * HOUR, size=(len(GRID), len(durations))), axis=0)
    policy = some_policy(made, quantiles, risk=rng.uniform(0, 1), learn=True, stop=0.2)
    played = play(made, policy)
    counts = {name: played.counts[0, i] for name, i in COLUMN.items()}
    assert counts["offered"] == len(durations)
    assert counts["scheduled"] == counts["completed"] + counts["cancelled"] == played.started.sum()
    assert counts["useful_s"] + counts["wasted_s"] <= counts["capacity_s"] + 1e-6
    assert counts["long"] == sum(d > HOUR for d in durations)
    assert counts["long_deferred"] == sum(d > HOUR and not s for d, s in zip(durations, played.started, strict=True))
    assert counts["completed"] <= counts["offered"] - counts["long"]
    assert counts["stopped_early"] <= counts["cancelled"]


def some_policy(
    made: Demand, quantiles: np.ndarray, *, risk: float, learn: bool = False, stop: float = 0.0, lean: float = 0.0
) -> RiskPolicy:
    count = len(made.rows)
    window = np.repeat(np.arange(len(made)), np.diff(made.first))
    z = np.sort(np.random.default_rng(0).normal(size=count))[np.argsort(np.argsort(made.duration_s))]
    like = Likeness(("entity",), ("entity",), 0.5, 0.5)
    known = chances(GRID, quantiles, made.window_s, z, like, window, np.arange(count))
    known = replace(known, subgroup=window, group_of=np.arange(len(made)))
    return RiskPolicy(known, risk, lean, 1.0, learn, stop)


def test_a_distribution_narrowed_to_a_point_plays_as_the_point() -> None:
    rng = np.random.default_rng(1)
    windows = [list(rng.integers(1, 60, size=30) * 60.0) for _ in range(8)]
    made = demand(windows)
    exact = play(made, PointPolicy(made.duration_s, 0.0)).counts.sum(axis=0)
    sharp = np.tile(made.duration_s - 1e-6, (len(GRID), 1))
    narrow = play(made, some_policy(made, sharp, risk=0.9)).counts.sum(axis=0)
    # The time left is looked up in steps, so the last minute of a window may be lost.
    assert narrow[COLUMN["cancelled"]] == 0
    assert narrow[COLUMN["completed"]] >= 0.95 * exact[COLUMN["completed"]]


def test_more_risk_admits_more() -> None:
    rng = np.random.default_rng(2)
    made = demand([list(rng.lognormal(7.0, 1.0, size=40)) for _ in range(10)])
    quantiles = np.exp(7.0 + np.sort(rng.normal(size=(len(GRID), len(made.rows))), axis=0))
    scheduled = [
        play(made, some_policy(made, quantiles, risk=risk)).counts[:, COLUMN["scheduled"]].sum()
        for risk in (0.2, 0.5, 0.8, 0.99)
    ]
    assert scheduled == sorted(scheduled, reverse=True)


def test_siblings_that_took_long_keep_others_out() -> None:
    # One slot, three alike: the first takes far longer than foretold, and the rest would now overrun.
    made = demand([[2000.0, 1500.0, 1500.0]], slots=1)
    quantiles = np.exp(np.log(700.0) + np.linspace(-2, 2, len(GRID))[:, None] * np.ones(3) * 0.5)
    blind = play(made, some_policy(made, quantiles, risk=0.8)).counts[0]
    known = some_policy(made, quantiles, risk=0.8, learn=True)
    known = replace(known, chances=replace(known.chances, truth=np.array([2.5, 2.0, 2.0])))
    warned = play(made, known).counts[0]
    assert blind[COLUMN["scheduled"]] == 2
    assert warned[COLUMN["scheduled"]] == 1


def test_an_upgrade_past_hope_is_given_up_for_another() -> None:
    made = demand([[3590.0, 100.0]], slots=1)
    quantiles = np.tile(np.concatenate((np.full(len(GRID) - 4, 300.0), [9000.0] * 4))[:, None], (1, 2))
    patient = play(made, some_policy(made, quantiles, risk=0.5)).counts[0]
    strict = play(made, some_policy(made, quantiles, risk=0.5, stop=0.5)).counts[0]
    assert patient[COLUMN["completed"]] == 1
    assert (strict[COLUMN["completed"]], strict[COLUMN["stopped_early"]]) == (1, 1)
    assert strict[COLUMN["wasted_s"]] < 1000


def test_a_timeout_kills_what_a_cutoff_lets_run() -> None:
    made = demand([[2400.0, 600.0]], slots=1)
    thirty = np.full(2, 1800.0)
    assert play(made, PointPolicy(thirty, 0.0)).counts[0, COLUMN["completed"]] == 1
    killed = play(made, PointPolicy(thirty, 0.0, 1800.0)).counts[0]
    assert (killed[COLUMN["cancelled"]], killed[COLUMN["completed"]], killed[COLUMN["wasted_s"]]) == (1, 1, 1800.0)


@given(st.integers(0, 5), st.sampled_from([0.8, 1.2, 3.0]), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_each_window_is_offered_its_load_in_order(seed: int, load: float, slots: int) -> None:
    made = history(400, seed=seed, censored=0.1)
    cut = cut_windows(made, np.arange(50, 400), HOUR, slots, load, most=10_000, seed=0)
    assert not made.censored[cut.rows].any()
    assert np.all(np.diff(cut.rows) > 0)
    work = np.minimum(cut.duration_s, HOUR)
    for w in range(len(cut)):
        part = slice(cut.first[w], cut.first[w + 1])
        # A record begins its work inside the window's share, so no window is off by more than a record's length.
        assert abs(work[part].sum() - load * slots * HOUR) <= HOUR + 1e-6
        assert np.all(cut.at[part] == made.submit[cut.rows[part][0]])
        assert np.all(made.submit[cut.rows[part]] >= cut.at[part])


def test_windows_are_drawn_by_seed_and_keep_their_order() -> None:
    made = history(1000)
    every = cut_windows(made, np.arange(1000), HOUR, 1, 1.2, most=10_000, seed=0)
    some = cut_windows(made, np.arange(1000), HOUR, 1, 1.2, most=20, seed=0)
    again = cut_windows(made, np.arange(1000), HOUR, 1, 1.2, most=20, seed=0)
    assert len(every) > 100
    assert len(some) == 20
    np.testing.assert_array_equal(some.rows, again.rows)
    assert set(some.rows.tolist()) < set(every.rows.tolist())
    assert len(some.head(5)) == 5
    np.testing.assert_array_equal(some.head(5).rows, some.rows[: some.first[5]])


def test_records_to_learn_from_are_seen_as_late_as_those_asked_about() -> None:
    made = history(300)
    at = opening_times(made, np.arange(300), HOUR, 2, 2.0)
    assert np.all(at <= made.submit)
    assert np.all(np.diff(at) >= 0)
    assert 1 < len(np.unique(at)) < 300


def windows_of(**named: float) -> np.ndarray:
    counts = np.zeros((10, len(COUNTS)))
    for name, value in named.items():
        counts[:, COLUMN[name]] = value
    return counts


def test_figures_ratios_and_their_intervals() -> None:
    ours = resample(windows_of(scheduled=10, completed=9, cancelled=1, useful_s=60, wasted_s=6, capacity_s=100), 0)
    other = resample(windows_of(scheduled=5, completed=3, cancelled=2, useful_s=30, wasted_s=6, capacity_s=100), 0)
    shown = row(ours)
    assert shown["cancelled_share"]["value"] == pytest.approx(0.1)
    assert shown["utilisation"]["value"] == pytest.approx(0.6)
    assert shown["wasted_minutes"]["value"] == pytest.approx(1.0)
    found = ratios(ours, other, ("scheduled", "completed", "cancelled_share", "utilisation"))
    assert [round(found[name]["value"], 3) for name in found] == [2.0, 3.0, 0.25, 2.0]
    for interval in found.values():  # all windows are alike, so there is no doubt
        assert interval["low"] == pytest.approx(interval["value"]) == interval["high"]


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        counts = windows_of()[:1].repeat(60, axis=0)
        counts[:, COLUMN["completed"]] = np.random.default_rng(seed).poisson(5, size=60)
        shown = row(resample(counts, seed))["completed"]
        held += shown["low"] <= 300 <= shown["high"]
    assert held >= 85


def test_a_ratio_to_nothing_is_finite() -> None:
    ours = resample(windows_of(scheduled=10, completed=9, useful_s=5, capacity_s=100), 0)
    nothing = resample(windows_of(capacity_s=100), 0)
    for interval in ratios(ours, nothing, ("scheduled", "completed", "cancelled_share", "utilisation")).values():
        assert np.isfinite([interval["value"], interval["low"], interval["high"]]).all()


def test_goals_that_nobody_reaches_pull_nowhere() -> None:
    goals = {"scheduled": 1.33}
    other = windows_of(scheduled=10)[0]
    best = windows_of(scheduled=11)[0]
    assert shortfall(windows_of(scheduled=11)[0], other, [best], goals) == 0
    assert shortfall(windows_of(scheduled=9)[0], other, [best], goals) > 0
    reachable = windows_of(scheduled=20)[0]
    assert shortfall(windows_of(scheduled=11)[0], other, [reachable], goals) > 0
    assert meets("scheduled", 1.4, 1.33)
    assert not meets("cancelled_share", 0.5, 1 / 2.4)


def test_wasted_time_costs_its_ratio() -> None:
    sums = windows_of(useful_s=50, wasted_s=20, capacity_s=100).sum(axis=0)
    assert cost(sums, 4.0) == pytest.approx(0.3 + 4 * 0.2)
    assert figures(sums[None, :])["utilisation"][0] == pytest.approx(0.5)
