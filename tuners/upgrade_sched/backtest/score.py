"""Turns counted windows into the figures of a report, with bootstrap intervals; it plays nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuners.upgrade_sched.backtest.simulate import COUNTS
from tuners.upgrade_sched.types import Floats

RESAMPLES = 1000
INTERVAL = (0.025, 0.975)
_COLUMN = {name: i for i, name in enumerate(COUNTS)}

# The published claim: learned against a fixed cutoff, and against squared error. For ``cancelled_share`` a ratio must
# stay below, for the others it must be reached.
CUTOFF_GOALS = {"utilisation": 1.25, "scheduled": 1.33, "completed": 1.41, "cancelled_share": 1 / 2.4}
SQUARED_GOALS = {"completed": 1.08, "cancelled_share": 1 / 1.6}
FIGURES = ("scheduled", "completed", "cancelled_share", "utilisation", "wasted_minutes", "deferred_long")


def figures(total: Floats) -> dict[str, Floats]:
    """The figures of sums of counts (resamples x ``COUNTS``).

    ``scheduled``, ``completed``: upgrades. ``cancelled_share``: of those scheduled. ``utilisation``: minutes of
    completed upgrades over capacity. ``wasted_minutes``: slot minutes held by what was cancelled. ``deferred_long``:
    upgrades longer than the window that were never started; those started count as cancelled.
    """

    def part(name: str) -> Floats:
        return total[:, _COLUMN[name]]

    return {
        "scheduled": part("scheduled"),
        "completed": part("completed"),
        "cancelled_share": part("cancelled") / np.maximum(part("scheduled"), 1),
        "utilisation": part("useful_s") / np.maximum(part("capacity_s"), 1e-9),
        "wasted_minutes": part("wasted_s") / 60,
        "deferred_long": part("long_deferred"),
        "completed_share": part("completed") / np.maximum(part("offered"), 1),
    }


@dataclass(frozen=True)
class Resampled:
    """Sums of counts: ``once`` as they are (1 x ``COUNTS``), ``often`` over windows drawn with replacement."""

    once: Floats
    often: Floats


def resample(windows: Floats, seed: int) -> Resampled:
    """Draw whole windows with replacement (Efron 1979). The same ``seed`` draws the same windows, so that policies
    played on them are compared window by window."""
    weights = np.random.default_rng(seed).multinomial(len(windows), np.full(len(windows), 1 / len(windows)), RESAMPLES)
    return Resampled(windows.sum(axis=0, keepdims=True), weights @ windows)


def row(sums: Resampled) -> dict[str, dict[str, float]]:
    """Each figure as ``value``, ``low`` and ``high`` (95 % interval)."""
    once, often = figures(sums.once), figures(sums.often)
    return {name: _interval(float(once[name][0]), often[name]) for name in (*FIGURES, "completed_share")}


def ratios(ours: Resampled, other: Resampled, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """``ours`` over ``other`` for each figure of ``names``. Where the other has none of it a count of one half stands
    in, so that a ratio is always finite."""
    a_once, b_once, a_often, b_often = (figures(x) for x in (ours.once, other.once, ours.often, other.often))
    result = {}
    for name in names:
        least = _least(name, other.once)
        value = float(a_once[name][0] / max(float(b_once[name][0]), least))
        result[name] = _interval(value, a_often[name] / np.maximum(b_often[name], least))
    return result


def _least(name: str, total: Floats) -> float:
    if name in ("scheduled", "completed", "deferred_long"):
        return 0.5
    if name == "cancelled_share":
        return 0.5 / max(float(total[0, _COLUMN["scheduled"]]), 1.0)
    return 1e-6


def _interval(value: float, often: Floats) -> dict[str, float]:
    low, high = np.quantile(often, INTERVAL)
    return {"value": value, "low": float(low), "high": float(high)}


def meets(name: str, ratio: float, goal: float) -> bool:
    """Whether a ratio reaches its goal."""
    return ratio <= goal if name == "cancelled_share" else ratio >= goal


def shortfall(
    ours: Floats, other: Floats, oracles: Sequence[Floats], goals: Mapping[str, float], margin: float = 1.04
) -> float:
    """How far ``ours`` falls short of ``goals`` times ``other`` (sums of counts): natural logarithms, added up.

    A goal that the oracle misses in every order of ``oracles`` counts only as far as the oracle gets: no policy
    should be bent towards what cannot be had. ``margin`` asks for a little more than the goal, as the test is not the
    validation.
    """
    a, b = (figures(sums[None, :]) for sums in (ours, other))
    best = figures(np.array(oracles))
    total = 0.0
    for name, goal in goals.items():
        least = _least(name, other[None, :])
        base = max(float(b[name][0]), least)
        if name == "cancelled_share":
            total += max(0.0, np.log(max(float(a[name][0]) / base, 1e-3) / (goal / margin)))
        else:
            within_reach = min(goal * margin, 0.98 * float(best[name].max()) / base)
            total += max(0.0, np.log(max(within_reach, 1e-3) / max(float(a[name][0]) / base, 1e-3)))
    return float(total)


def cost(sums: Floats, cost_ratio: float) -> float:
    """Idle slot time plus ``cost_ratio`` times wasted slot time, over capacity."""
    capacity = max(float(sums[_COLUMN["capacity_s"]]), 1e-9)
    wasted = float(sums[_COLUMN["wasted_s"]])
    idle = capacity - float(sums[_COLUMN["useful_s"]]) - wasted
    return (idle + cost_ratio * wasted) / capacity
