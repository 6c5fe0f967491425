"""What each point of a sweep costs, and which points are Pareto-efficient; it plays and selects nothing.

Minutes are slot minutes of all test windows. A cost is in minutes of idle slot time: idle minutes plus the cost ratio
times wasted minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuners.upgrade_sched.backtest.pareto import efficient
from tuners.upgrade_sched.backtest.score import INTERVAL, Resampled, resample, row
from tuners.upgrade_sched.backtest.simulate import COUNTS
from tuners.upgrade_sched.types import Floats

OURS = "sysmith"
ORACLE = "oracle"
_COLUMN = {name: i for i, name in enumerate(COUNTS)}


def tradeoff(
    cells: Mapping[tuple[float, str], Sequence[Floats]], ratios: Sequence[float], loads: Sequence[float], seed: int
) -> dict[str, Any]:
    """``cells`` holds counts of test windows (windows x ``COUNTS``), split after split, for each load and policy."""
    cells = _without_repeats(cells)
    sums = {key: resample(np.concatenate(parts), seed) for key, parts in cells.items()}
    windows = {key: sum(len(part) for part in parts) for key, parts in cells.items()}
    points, costs = [], []
    for load in loads:
        here = {policy: one for (at, policy), one in sums.items() if at == load}
        found = [_point(load, policy, one, windows[load, policy], ratios) for policy, one in here.items()]
        mark(found)
        points += found
        costs += [_cost(load, ratio, here) for ratio in ratios]
    return {"cost_ratios": list(ratios), "points": points, "costs": costs}


def _without_repeats(
    cells: Mapping[tuple[float, str], Sequence[Floats]],
) -> dict[tuple[float, str], Sequence[Floats]]:
    """``cells`` with a policy that does the same in every order kept once, under its name alone."""
    kept: dict[tuple[float, str], Sequence[Floats]] = {}
    for (load, policy), parts in cells.items():
        base = policy.partition(" ")[0]
        orders = [own for (at, name), own in cells.items() if at == load and name.partition(" ")[0] == base]
        same = all(np.array_equal(np.concatenate(parts), np.concatenate(own)) for own in orders)
        kept[load, base if same and base != OURS else policy] = parts
    return kept


def _point(load: float, policy: str, sums: Resampled, windows: int, ratios: Sequence[float]) -> dict[str, Any]:
    ratio = next((ratio for ratio in ratios if point_name(ratio) == policy), None)
    kind = "selected" if ratio is not None or policy == OURS else "baseline"
    kind = "limit" if policy.split(" ")[0] == ORACLE else kind
    figures = row(sums) | {"idle_minutes": idle(sums)}
    return {"load": load, "policy": policy, "kind": kind, "cost_ratio": ratio, "windows": windows} | figures


def _cost(load: float, ratio: float, here: Mapping[str, Resampled]) -> dict[str, Any]:
    """What was selected for ``ratio`` against the baseline that turned out cheapest, and the cheapest limit."""
    spent = {policy: spending(one, ratio) for policy, one in here.items()}
    once = {policy: float(both[0][0]) for policy, both in spent.items()}
    limits = [name for name in once if name.split(" ")[0] == ORACLE]
    others = [name for name in once if name not in limits and not name.startswith(OURS)]
    ours = spent[point_name(ratio)]
    best = min(others, key=lambda name: once[name]) if others else None
    against = None
    if best is not None:
        value = ours[0][0] / max(spent[best][0][0], 1e-9)
        against = interval(value, ours[1] / np.maximum(spent[best][1], 1e-9))
    return {
        "load": load,
        "cost_ratio": ratio,
        "policy": point_name(ratio),
        "cost": interval(ours[0][0], ours[1]),
        "best_baseline": best,
        "best_baseline_cost": interval(spent[best][0][0], spent[best][1]) if best is not None else None,
        "cost_over_best_baseline": against,
        "limit_cost": min(once[name] for name in limits),
    }


def mark(points: Sequence[dict[str, Any]]) -> None:
    """Say of the points of one load which are efficient: idle against wasted minutes, and completed against the share
    cancelled. A limit is neither (None)."""
    real = [point for point in points if point["kind"] != "limit"]
    pairs = {
        "efficient_idle_wasted": [[p["idle_minutes"]["value"], p["wasted_minutes"]["value"]] for p in real],
        "efficient_completed_cancelled": [[-p["completed"]["value"], p["cancelled_share"]["value"]] for p in real],
    }
    for name, values in pairs.items():
        for point in points:
            point[name] = None
        for point, is_efficient in zip(real, efficient(np.array(values, dtype=float).reshape(-1, 2)), strict=True):
            point[name] = bool(is_efficient)


def point_name(ratio: float) -> str:
    """What a policy selected for ``ratio`` is called in a report."""
    return f"sysmith {ratio:g}:1"


def idle(sums: Resampled) -> dict[str, float]:
    """Slot minutes in which nothing ran, with their interval."""
    once, often = (_idle_s(counts) / 60 for counts in (sums.once, sums.often))
    return interval(once[0], often)


def spending(sums: Resampled, ratio: float) -> tuple[Floats, Floats]:
    """Idle minutes plus ``ratio`` times wasted minutes: once, and resampled."""
    once, often = ((_idle_s(c) + ratio * c[:, _COLUMN["wasted_s"]]) / 60 for c in (sums.once, sums.often))
    return once, often


def _idle_s(counts: Floats) -> Floats:
    result: Floats = counts[:, _COLUMN["capacity_s"]] - counts[:, _COLUMN["useful_s"]] - counts[:, _COLUMN["wasted_s"]]
    return result


def interval(value: float, often: Floats) -> dict[str, float]:
    """A figure with its 95 % interval."""
    low, high = np.quantile(often, INTERVAL)
    return {"value": float(value), "low": float(low), "high": float(high)}
