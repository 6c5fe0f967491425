"""Which upgrades are worth their time, in what order, and an upper bound on any schedule's worth; it places nothing.

Each upgrade's size (``Risk.sizes``) is the least part of a lane that it takes in any schedule that keeps the risk, so a
set of upgrades fits into windows only if sum(size) <= slots * length over them. What is due by window t must fit into
the windows up to t: a chain of knapsacks. Its fractional optimum is found by dropping, at each overfull prefix, what is
worth least for its size (a greedy algorithm on a nested polymatroid; Edmonds 1970), and bounds every schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Bools, Floats, Ints


@dataclass(frozen=True)
class Policy:
    """What the loop may vary. ``classes``: how many classes of variance lanes are kept apart by; ``reach``: how far,
    in parts of a window, a lane's end may reach into later windows. ``seed`` mixes upgrades of equal priority."""

    classes: int = 4
    reach: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Choice:
    """``rank``: the position of each upgrade in the order of preference; ``chosen``: what the knapsack keeps;
    ``due``: the last window (position by start) open to it; ``latest``: the last window it should wait for;
    ``size``: lane seconds."""

    rank: Ints
    chosen: Bools
    due: Ints
    latest: Ints
    size: Floats


def sizes_of(c: Compiled) -> Floats:
    """Each upgrade's size in lane seconds, taken at the longest window: no less in any other."""
    upgrades = c.problem.upgrades
    longest = max((window.length for window in c.problem.windows), default=1)
    return c.problem.risk.sizes(upgrades.mean_s, upgrades.spread_s.astype(float) ** 2, longest)


def due_windows(c: Compiled) -> Ints:
    """The last window (by start) that is open to each upgrade before its deadline; -1 where there is none."""
    due = np.full(len(c.problem.upgrades), -1)
    for position, window in enumerate(c.problem.windows):
        open_to = c.eligible[c.signature, position] & (window.start < c.problem.upgrades.deadline)
        due[open_to & c.possible] = position
    return due


def nested_knapsack(size: Floats, worth: Floats, due: Ints, capacity: Floats) -> Floats:
    """The share of each item kept, by the fractional optimum of the chain of knapsacks; ``capacity[t]`` is the total
    up to and including window t. Items with ``due`` -1 are dropped."""
    kept = (due >= 0).astype(float)
    demand = np.cumsum(np.bincount(due[due >= 0], weights=size[due >= 0], minlength=len(capacity)))
    if not np.any(demand > capacity):
        return kept
    by_density = np.argsort(worth / size, kind="stable")
    for t in range(len(capacity)):
        if t and not np.any(due == t):
            continue
        inside = by_density[due[by_density] <= t]
        inside = inside[kept[inside] > 0]
        load = size[inside] * kept[inside]
        over = load.sum() - capacity[t]
        if over <= 0:
            continue
        run = np.cumsum(load)
        last = int(np.searchsorted(run, over))
        kept[inside[:last]] = 0.0
        if last < len(inside):
            left = run[last] - over
            kept[inside[last]] = left / size[inside[last]]
    return kept


def capacity_of(c: Compiled) -> Floats:
    """Lane seconds of the windows up to and including each, in their order by start."""
    lanes = [min(window.slots, len(c.problem.upgrades)) * window.length for window in c.problem.windows]
    return np.cumsum(np.array(lanes, float))


def choose(c: Compiled, seed: int = 0) -> Choice:
    """The order of preference: waves first, then what the knapsack keeps by weight and worth for its size, then the
    rest."""
    size, capacity = sizes_of(c), capacity_of(c)
    worth, due = inherited(c)
    forced = worth.copy()
    step = c.problem.step
    # An early wave holds up all that comes after it, so it is not left out for being long.
    forced[(step >= 0) & (step < step.max(initial=0))] *= 1e6
    share = nested_knapsack(size, forced, due, capacity) if len(capacity) else np.zeros(len(size))
    chosen = share >= 1.0
    # Among equals the order is mixed: windows of nothing but long upgrades would end with holes that nothing fills.
    mixed = np.random.default_rng(seed).permutation(len(size))
    order = np.lexsort(
        (np.where(chosen, mixed, size / worth), np.where(chosen, -worth, 0.0), ~chosen, np.maximum(step, 0))
    )
    rank = np.empty(len(size), np.int64)
    rank[order] = np.arange(len(size))
    return Choice(rank, chosen, due, latest_windows(rank, chosen, due, size, c), size)


def inherited(c: Compiled) -> tuple[Floats, Ints]:
    """Weight and due window of each upgrade; what others wait for is worth as much as they are, and due as early."""
    worth, due, after = c.problem.upgrades.weight.copy(), due_windows(c), c.problem.upgrades.after
    for number in reversed(list(TopologicalSorter(dict(after)).static_order())):
        for earlier in after.get(number, ()):
            worth[earlier] = max(worth[earlier], worth[number])
            if 0 <= due[number] < due[earlier]:
                due[earlier] = due[number]
    return worth, due


def latest_windows(rank: Ints, chosen: Bools, due: Ints, size: Floats, c: Compiled) -> Ints:
    """For each chosen upgrade the last window it can wait for when all are packed as late as deadlines allow.

    Going back through the windows, each is filled with what is preferred least among what may still go there.
    """
    final = len(c.problem.windows) - 1
    latest = np.where(due >= 0, due, final)
    if final < 0 or not np.any(chosen & (due < final)):
        return np.full(len(due), final)
    per_window = np.diff(capacity_of(c), prepend=0.0)
    pool = np.empty(0, np.int64)
    for t in range(final, -1, -1):
        pool = np.concatenate((pool, np.nonzero(chosen & (due == t))[0]))
        pool = pool[np.argsort(-rank[pool], kind="stable")]
        fits = int(np.searchsorted(np.cumsum(size[pool]), per_window[t], side="right"))
        latest[pool[:fits]] = t
        pool = pool[fits:]
    latest[pool] = 0
    return latest
