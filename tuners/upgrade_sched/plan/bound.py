"""An upper bound on what any schedule can be worth, beside which every schedule is shown; it makes no schedule.

Three relaxations, the smallest of which counts: the chain of knapsacks over windows and deadlines (``select``); one
knapsack over all windows in which no group exceeds its own capacity (a laminar polymatroid, greedy as well); and, where
waves, scopes, blackouts, a late begin, dependencies or groups press, prices on every window (``prices``). All keep the
risk on lanes; none knows order within a window. ``lp`` has a tighter one for small cases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Floats, Schedule
from tuners.upgrade_sched.plan.prices import priced_bound
from tuners.upgrade_sched.plan.relaxed import relax
from tuners.upgrade_sched.plan.select import capacity_of, due_windows, nested_knapsack, sizes_of

PRESSED = 0.5  # a group's work in parts of all its time from which on it may decide what fits


@dataclass(frozen=True)
class Bound:
    """``value``: no schedule's weights sum to more. ``windows``: no schedule of all possible upgrades ends before this
    many windows are used. ``demand_s`` and ``capacity_s``: lane seconds asked for and there."""

    value: float
    windows: int
    demand_s: float
    capacity_s: float
    method: str

    def gap(self, schedule: Schedule, weight: Floats) -> float:
        """1 - value / bound: 0 is proven best."""
        value = float(weight[schedule.placed].sum())
        return 0.0 if self.value <= 0 else max(0.0, 1.0 - value / self.value)


def upper_bound(c: Compiled, steps: int | None = None) -> Bound:
    """The best of the relaxations. ``steps``: how many for the prices; None: as many as suit the size."""
    base = combinatorial_bound(c)
    if base.value <= 0 or not pressed(c):
        return base
    priced = priced_bound(relax(c), steps)
    return replace(base, value=priced, method="prices on windows and domains") if priced < base.value else base


def combinatorial_bound(c: Compiled) -> Bound:
    """The better of both knapsacks."""
    upgrades = c.problem.upgrades
    if not c.problem.windows or not c.possible.any():
        return Bound(0.0, 0, 0.0, 0.0, "nothing can run")
    size, due, capacity = sizes_of(c), due_windows(c), capacity_of(c)
    chain = float((nested_knapsack(size, upgrades.weight, due, capacity) * upgrades.weight).sum())
    value, method = chain, "windows and deadlines"
    grouped = _with_groups(c, size, capacity[-1])
    if grouped < value:
        value, method = grouped, "windows and domains"
    demand = float(size[c.possible].sum())
    enough = int(np.searchsorted(capacity, demand * (1 - 1e-12))) + 1
    # Everything can be placed in less than all windows only if it fits; else the bound is one past the last.
    return Bound(value, min(enough, len(capacity) + 1), demand, float(capacity[-1]), method)


def pressed(c: Compiled) -> bool:
    """Whether anything but lanes and deadlines can decide what fits: else the chain of knapsacks says it all."""
    upgrades, jobs = c.problem.upgrades, np.nonzero(c.possible)[0]
    begin = min(window.start for window in c.problem.windows)
    if c.problem.constraints.waves or upgrades.after or any(c.blackouts) or not c.eligible[c.signature[jobs]].all():
        return True
    if np.any(upgrades.not_before[jobs] > begin):
        return True
    open_s = _union(sorted((window.start, window.end) for window in c.problem.windows))
    # A limit on all that is no less than the lanes there are at one time decides nothing.
    lanes = _most_lanes(c)
    caps = np.array([group.cap if group.cap < lanes else np.inf for group in c.groups])
    for column in range(c.membership.shape[1]):
        group = c.membership[jobs, column]
        load = np.bincount(group[group >= 0], upgrades.mean_s[jobs[group >= 0]], len(c.groups))
        if np.any(load > PRESSED * caps * open_s):
            return True
    return False


def _most_lanes(c: Compiled) -> int:
    changes = [(w.start, w.slots) for w in c.problem.windows] + [(w.end, -w.slots) for w in c.problem.windows]
    return int(np.cumsum([change for _, change in sorted(changes)]).max())


def _with_groups(c: Compiled, size: Floats, capacity: float) -> float:
    """One knapsack for all windows, in which each group of one constraint is a smaller one; the best constraint."""
    upgrades = c.problem.upgrades
    open_s = _union(sorted((window.start, window.end) for window in c.problem.windows))
    best = np.inf
    for column in range(c.membership.shape[1]):
        group = c.membership[:, column]
        member = c.possible & (group >= 0)
        if not member.any():
            continue
        # An upgrade is down for its mean; in terms of sizes the group's room grows by the largest size over mean.
        stretch = np.zeros(len(c.groups))
        np.maximum.at(stretch, group[member], size[member] / upgrades.mean_s[member])
        caps = np.array([one.cap for one in c.groups]) * open_s * stretch
        share = _capped(size, upgrades.weight, np.where(member, group, -1), caps) * c.possible
        best = min(best, _knapsack(size * share, upgrades.weight * share, capacity))
    return float(best)


def _union(intervals: list[tuple[int, int]]) -> int:
    total, reach = 0, -(2**62)
    for start, end in intervals:
        total += max(0, end - max(start, reach))
        reach = max(reach, end)
    return total


def _capped(size: Floats, worth: Floats, group: np.ndarray, caps: Floats) -> Floats:
    """The share of each item kept when every group is a fractional knapsack of its own."""
    share = np.ones(len(size))
    load = np.bincount(group[group >= 0], weights=size[group >= 0], minlength=len(caps))
    tight = np.nonzero(load > caps)[0]
    if not len(tight):
        return share
    items = np.nonzero(np.isin(group, tight))[0]
    items = items[np.lexsort((-(worth[items] / size[items]), group[items]))]
    run = np.cumsum(size[items])
    first = np.searchsorted(group[items], group[items])  # where each item's group begins
    before = run - size[items] - np.where(first > 0, run[first - 1], 0.0)
    share[items] = np.clip((caps[group[items]] - before) / size[items], 0.0, 1.0)
    return share


def _knapsack(size: Floats, worth: Floats, capacity: float) -> float:
    some = size > 0
    size, worth = size[some], worth[some]
    order = np.argsort(-(worth / size), kind="stable")
    before = np.cumsum(size[order]) - size[order]
    return float((worth[order] * np.clip((capacity - before) / size[order], 0.0, 1.0)).sum())
