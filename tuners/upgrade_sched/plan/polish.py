"""Improve a small or tightly constrained schedule with OR-Tools CP-SAT; the result is never worse than the start.

First every hole is tried for what is not scheduled (``board``). Then CP-SAT solves the whole problem where it is small,
else one neighbourhood after another: a few windows, what is in them and some of what is not scheduled, with the rest
held fixed. Each starts from the schedule so far as its hint. What comes back is checked by ``verify`` and kept only if
it breaks nothing and is worth more, or the same and earlier. Effort is CP-SAT's deterministic time, so that the same
input gives the same schedule on any machine.
"""

from __future__ import annotations

import time

import numpy as np

from tuners.upgrade_sched.plan.board import Board
from tuners.upgrade_sched.plan.cpsat import solve
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Schedule
from tuners.upgrade_sched.plan.verify import violations

WHOLE = 60  # upgrades in a neighbourhood
CHOICES = 6000  # upgrades times lanes of a problem that CP-SAT takes as a whole
MOST_FILL = 3000  # unscheduled upgrades that are tried in every hole


def worth(c: Compiled, schedule: Schedule) -> tuple[float, float]:
    """What a schedule is compared by: the weight scheduled, then how early it is (weighted, negative seconds)."""
    placed, upgrades = schedule.placed, c.problem.upgrades
    begin = min((window.start for window in c.problem.windows), default=0)
    ends = schedule.start[placed] + upgrades.mean_s[placed] - begin
    return float(upgrades.weight[placed].sum()), -float((upgrades.weight[placed] * ends).sum())


def better(c: Compiled, new: Schedule, old: Schedule) -> bool:
    """Whether ``new`` is worth more, or as much and is earlier, and breaks nothing."""
    return worth(c, new) > worth(c, old) and not violations(c.problem, new)


def fill(c: Compiled, schedule: Schedule) -> Schedule:
    """Put what is not scheduled into the holes that are left, worth most for its time first."""
    upgrades = c.problem.upgrades
    left = np.nonzero(~schedule.placed & c.possible)[0]
    if not len(left) or len(left) > MOST_FILL:
        return schedule
    board = Board(c, schedule)
    step = np.maximum(c.problem.step, 0)
    order = left[np.lexsort((upgrades.mean_s[left] / upgrades.weight[left], step[left]))]
    again = True
    while again:  # what was placed may open the way for what comes after it
        again = False
        for job in order.tolist():
            if board.schedule.window[job] < 0 and (place := board.first_place(job)) is not None:
                board.put(job, place)
                again = bool(upgrades.after) or bool(c.problem.constraints.waves)
    return board.schedule


def polish(c: Compiled, schedule: Schedule, *, effort: float = 5.0, seed: int = 0) -> Schedule:
    """A schedule at least as good. ``effort`` is CP-SAT's deterministic time in all, about seconds."""
    began, best = time.perf_counter(), schedule
    filled = fill(c, schedule)
    if better(c, filled, best):
        best = filled
    possible = int(c.possible.sum())
    rounds, spent, solved = 0, 0.0, False
    rng = np.random.default_rng(seed)
    lanes = sum(min(window.slots, possible) for window in c.problem.windows)
    whole = possible * lanes <= CHOICES
    while spent < effort and not solved and possible:
        windows, jobs = _everything(c) if whole else _neighbourhood(c, best, rng)
        share = effort if whole else min(effort - spent, max(0.1, effort / 8))
        answer = solve(c, best, windows, jobs, effort=share, seed=seed + rounds)
        rounds, spent = rounds + 1, spent + max(answer.effort, 0.02)
        solved = whole
        if answer.schedule is not None and better(c, answer.schedule, best):
            best = answer.schedule
    facts = dict(schedule.facts) | {
        "scheduler": "heuristic, then CP-SAT" if best is not schedule else schedule.facts.get("scheduler", "heuristic"),
        "polish_rounds": rounds,
        "polish_gain": worth(c, best)[0] - worth(c, schedule)[0],
        "seconds": round(float(schedule.facts.get("seconds", 0.0)) + time.perf_counter() - began, 4),
    }
    return Schedule(best.window, best.lane, best.start, facts)


def _everything(c: Compiled) -> tuple[list[int], list[int]]:
    return list(range(len(c.problem.windows))), np.nonzero(c.possible)[0].tolist()


def _neighbourhood(c: Compiled, schedule: Schedule, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """One or two windows next to each other and some of what is not scheduled; a wave's members stay where they are
    unless the window is theirs."""
    upgrades, count = c.problem.upgrades, len(c.problem.windows)
    first = int(rng.integers(0, count))
    windows = [first]
    inside = np.nonzero(schedule.window == first)[0]
    beside = first + 1
    if beside < count:
        both = np.concatenate((inside, np.nonzero(schedule.window == beside)[0]))
        if len(both) <= WHOLE * 2 // 3:
            windows, inside = [first, beside], both
    if len(inside) > WHOLE * 2 // 3:
        # Too many for one model: whole lanes of the window, as many as fit.
        lanes = rng.permutation(np.unique(schedule.lane[inside]))
        sizes = np.array([int((schedule.lane[inside] == lane).sum()) for lane in lanes])
        chosen = lanes[: max(1, int(np.searchsorted(np.cumsum(sizes), WHOLE * 2 // 3, side="right")))]
        inside = inside[np.isin(schedule.lane[inside], chosen)]
    left = np.nonzero(~schedule.placed & c.possible)[0]
    density = upgrades.weight[left] / upgrades.mean_s[left] * rng.uniform(0.5, 1.0, len(left))
    extra = left[np.argsort(-density, kind="stable")][: max(0, WHOLE - len(inside))]
    return windows, np.concatenate((inside, extra)).tolist()
