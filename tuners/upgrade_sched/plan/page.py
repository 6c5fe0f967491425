"""A plan as one self-contained HTML page: timeline, domains, slack, accuracy, costs; it computes no plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from tuners.upgrade_sched.pages import templates
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Schedule

MOST_BARS = 4000  # beyond this many upgrades a window is one bar, not a row of lanes
MOST_LANES = 60
WIDTH = 1000.0
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def page(plan: Mapping[str, Any], c: Compiled, schedule: Schedule, actual: Mapping[str, float] | None = None) -> str:
    """The page's text. ``actual``: measured seconds of upgrades that have run, for predicted against actual."""
    environment = templates(Path(__file__).parent / "templates")
    return (
        environment.get_template("plan.html.j2").render(
            plan=plan,
            timeline=timeline(c, schedule),
            domains=tightest(c, schedule),
            accuracy=accuracy(c, actual) if actual else None,
            width=WIDTH,
        )
        + "\n"
    )


def timeline(c: Compiled, schedule: Schedule) -> list[dict[str, Any]]:
    """For each window its lanes with bars (x and width in parts of ``WIDTH``), or none where there are too many."""
    rows = []
    detailed = int(schedule.placed.sum()) <= MOST_BARS
    colours = _colours(c)
    for number, window in enumerate(c.problem.windows):
        jobs = np.nonzero(schedule.window == number)[0]
        lanes: list[dict[str, Any]] = []
        if detailed:
            for row, lane in enumerate(np.unique(schedule.lane[jobs])[:MOST_LANES]):
                mine = jobs[schedule.lane[jobs] == lane]
                mine = mine[np.argsort(schedule.start[mine])]
                lanes.append(_lane(c, schedule, number, int(lane), mine.tolist(), colours) | {"top": row * 16 + 1})
        rows.append({"name": window.name, "lanes": lanes, "more": len(np.unique(schedule.lane[jobs])) - len(lanes)})
    return rows


def _lane(
    c: Compiled, schedule: Schedule, number: int, lane: int, jobs: list[int], colours: Sequence[int]
) -> dict[str, Any]:
    window, upgrades = c.problem.windows[number], c.problem.upgrades
    scale = WIDTH / window.length
    bars: list[dict[str, Any]] = [
        {
            "x": round((int(schedule.start[job]) - window.start) * scale, 2),
            "width": round(max(float(upgrades.mean_s[job]) * scale, 0.5), 2),
            "hue": colours[job],
            "title": f"{upgrades.ids[job]} {upgrades.type[job]}: {int(upgrades.mean_s[job]) / 60:.0f} min",
        }
        for job in jobs
    ]
    mean = float(upgrades.mean_s[jobs].sum())
    reserve = c.problem.risk.reserve(mean, float((upgrades.spread_s[jobs].astype(float) ** 2).sum()))
    end = bars[-1]["x"] + bars[-1]["width"]
    return {"lane": lane + 1, "bars": bars, "buffer": {"x": end, "width": round((reserve - mean) * scale, 2)}}


def _colours(c: Compiled) -> list[int]:
    """A hue for each upgrade, by its first domain."""
    first = next(iter(c.problem.fleet.domains.values()), None)
    if first is None:
        return [210] * len(c.problem.upgrades)
    codes: list[int] = first.codes[c.problem.upgrades.server].tolist()
    return [210 if code < 0 else code * 137 % 360 for code in codes]


def tightest(c: Compiled, schedule: Schedule, most: int = 15) -> list[dict[str, Any]]:
    """The groups that come closest to their limit: the most that run at once against what may."""
    placed = np.nonzero(schedule.placed)[0]
    if not c.membership.shape[1] or not len(placed):
        return []
    start, end = schedule.start[placed], (schedule.start + c.problem.upgrades.mean_s)[placed]
    peak = np.zeros(len(c.groups), np.int64)
    for column in range(c.membership.shape[1]):
        group = c.membership[placed, column]
        inside = group >= 0
        moment = np.concatenate((start[inside], end[inside]))
        change = np.concatenate((np.ones(inside.sum(), np.int64), -np.ones(inside.sum(), np.int64)))
        of_group = np.concatenate((group[inside], group[inside]))
        order = np.lexsort((change, moment, of_group))
        np.maximum.at(peak, of_group[order], np.cumsum(change[order]))
    known = np.unique(c.membership[c.membership >= 0])
    cap = [group.cap for group in c.groups]
    most_of: list[int] = peak.tolist()
    closest = sorted(known.tolist(), key=lambda g: (-most_of[g] / max(cap[g], 1), -most_of[g]))[:most]
    return [{"group": c.groups[g].reason, "most": most_of[g], "cap": cap[g]} for g in closest]


def accuracy(c: Compiled, actual: Mapping[str, float]) -> dict[str, Any]:
    """Predicted against actual: points on a logarithmic square (0 to 1), and for each level the share of upgrades that
    took no longer than the predicted quantile (of a lognormal with the predicted mean and spread)."""
    upgrades = c.problem.upgrades
    known = [(upgrades.index[name], seconds) for name, seconds in actual.items() if name in upgrades.index]
    known = [(job, seconds) for job, seconds in known if seconds > 0]
    if not known:
        return {"count": 0, "points": [], "levels": []}
    jobs = np.array([job for job, _ in known])
    seconds = np.array([value for _, value in known])
    mean = upgrades.mean_s[jobs].astype(float)
    shape = np.log1p((upgrades.spread_s[jobs] / mean) ** 2)
    levels = []
    for level in LEVELS:
        quantile = mean * np.exp(NormalDist().inv_cdf(level) * np.sqrt(shape) - shape / 2)
        levels.append({"level": level, "share": round(float((seconds <= quantile).mean()), 4)})
    low = math.log(max(1.0, min(mean.min(), seconds.min())))
    span = max(math.log(max(mean.max(), seconds.max())) - low, 1e-9)
    points = [
        {"x": round((math.log(max(m, 1.0)) - low) / span, 4), "y": round((math.log(max(s, 1.0)) - low) / span, 4)}
        for m, s in zip(mean[:3000], seconds[:3000], strict=True)
    ]
    error = seconds - mean
    return {
        "count": len(known),
        "points": points,
        "levels": levels,
        "bias_min": round(float(error.mean()) / 60, 2),
        "mean_absolute_error_min": round(float(np.abs(error).mean()) / 60, 2),
    }
