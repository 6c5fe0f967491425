"""A plan mended after what happened, with as few changes as can be; it never undoes what is done.

What is over or running stays where it was, with its real or newly predicted duration. Of the rest each upgrade keeps
its place if that is still allowed. Then those that lost theirs, those that failed and those that were never placed are
put into what is left, highest worth first; an upgrade that finds no room may push out one that is worth less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.board import Board, Place
from tuners.upgrade_sched.plan.groups import Compiled, compile_problem
from tuners.upgrade_sched.plan.happened import Happened
from tuners.upgrade_sched.plan.model import NEVER, NOWHERE, FleetProblem, Schedule
from tuners.upgrade_sched.plan.online import remaining
from tuners.upgrade_sched.plan.verify import Violation, violations

PUSHED = 50  # upgrades worth less that are tried for one that finds no room


@dataclass(frozen=True)
class Replanned:
    """The new schedule, its problem (with real durations of what is over), and what changed, by kind."""

    compiled: Compiled
    schedule: Schedule
    changes: dict[str, list[dict[str, str]]]
    settled: frozenset[int] = frozenset()
    gave_up: Mapping[int, str] = field(default_factory=dict)


def replan(problem: FleetProblem, schedule: Schedule, happened: Happened, *, now: int, attempts: int = 2) -> Replanned:
    """``schedule`` is the old plan on ``problem`` (which may have other windows and constraints than it was made for);
    ``now`` in Unix seconds. An upgrade that failed ``attempts`` times is given up."""
    upgrades, index = problem.upgrades, problem.upgrades.index
    done = {index[name]: times for name, times in happened.done.items() if name in index}
    running = {index[name]: times for name, times in happened.started.items() if name in index}
    failed = {index[name]: count for name, count in happened.failures.items() if name in index}
    problem = _as_it_went(problem, done, {job: times[0] for job, times in running.items()}, now)
    gave_up = {job for job, count in failed.items() if count >= attempts and job not in done and job not in running}
    c = compile_problem(problem)
    possible = c.possible.copy()
    possible[[*done, *running]] = True
    c = replace(c, possible=possible)
    settled = _settled(problem, schedule, happened, done, running)
    outside = [job for job in (*done, *running) if settled.window[job] < 0]
    if outside:
        c = _without(c, outside, now)
    board = Board(c, settled, now=now)
    # One that is given up still counts as possible: a wave whose canary failed for good must not go on.
    out = {*done, *running, *gave_up}
    waiting = [job for job in range(len(upgrades)) if c.possible[job] and job not in out]
    # What was left out before waits until all that had a place has one again, and pushes nobody out.
    had = [job for job in waiting if schedule.window[job] >= 0 or job in failed]
    pushed: set[int] = set()
    loose = _keep(board, schedule, had)
    while loose:
        # What is first in the order finds its new place before the rest is tried again: most of that may stay.
        first = _foremost(board, loose)
        pushed |= _insert(board, first, schedule)
        loose = _keep(board, schedule, [job for job in loose if job not in set(first)])
    _insert(board, [job for job in waiting if board.schedule.window[job] < 0], schedule, push=False)
    result = board.schedule
    changes = _changes(problem, schedule, result, waiting, pushed, gave_up)
    words = {job: f"it failed {failed[job]} times" for job in gave_up}
    return Replanned(c, result, changes, frozenset([*done, *running]), words)


def _as_it_went(
    problem: FleetProblem, done: dict[int, tuple[int, int]], running: dict[int, int], now: int
) -> FleetProblem:
    """The problem with real durations of what is over and newly predicted ones of what runs."""
    upgrades = problem.upgrades
    mean, spread = upgrades.mean_s.copy(), upgrades.spread_s.copy()
    late, early = upgrades.deadline.copy(), upgrades.not_before.copy()
    for job, (begin, end) in done.items():
        mean[job], spread[job] = max(1, end - begin), 0
    for job, begin in running.items():
        elapsed = max(0, now - begin)
        left, wide = remaining(float(mean[job]), float(spread[job]), float(elapsed))
        mean[job], spread[job] = elapsed + max(1, round(left)), round(wide)
    for job in (*done, *running):
        late[job], early[job] = NEVER, 0
    fresh = replace(upgrades, mean_s=mean, spread_s=spread, deadline=late, not_before=early)
    return replace(problem, upgrades=fresh)


def _without(c: Compiled, outside: list[int], now: int) -> Compiled:
    """The problem without upgrades that ran outside every window: they hold nobody up, but what comes after them
    waits for now and, in the order of waves, for the longest soak."""
    problem, gone = c.problem, set(outside)
    early, possible = problem.upgrades.not_before.copy(), c.possible.copy()
    possible[outside] = False
    late = problem.upgrades.deadline.copy()
    late[outside] = 1  # nothing can be done about them any more, which is what the checker goes by
    for job in outside:
        step = int(problem.step[job])
        if step >= 0:
            soak = max((wave.soak_s for wave in problem.constraints.waves[step:]), default=0)
            early = np.where(problem.step > step, np.maximum(early, now + soak), early)
    after = {job: tuple(n for n in names if n not in gone) for job, names in problem.upgrades.after.items()}
    upgrades = replace(problem.upgrades, after=after, not_before=early, deadline=late)
    why_not = dict(c.why_not) | dict.fromkeys(outside, "it ran outside every window")
    return replace(c, problem=replace(problem, upgrades=upgrades), possible=possible, why_not=why_not)


def _settled(
    problem: FleetProblem,
    old: Schedule,
    happened: Happened,
    done: dict[int, tuple[int, int]],
    running: dict[int, tuple[int, str, int]],
) -> Schedule:
    """A schedule of what is over or runs, where it was (in a free lane where that is not known)."""
    settled, ids = Schedule.empty(len(problem.upgrades)), problem.upgrades.ids
    names = {window.name: number for number, window in enumerate(problem.windows)}
    taken: dict[tuple[int, int], list[tuple[int, int]]] = {}
    begun = {job: times[0] for job, times in done.items()} | {job: times[0] for job, times in running.items()}
    for job, begin in sorted(begun.items(), key=lambda item: item[1]):
        name, lane = happened.where.get(ids[job], ("", -1)) if job in done else running[job][1:]
        window = names.get(name, NOWHERE)
        if window < 0:
            inside = [n for n, one in enumerate(problem.windows) if one.start <= begin < one.end]
            planned = int(old.window[job])
            window = planned if planned in inside else inside[0] if inside else NOWHERE
        if window < 0:
            continue  # it ran outside every window: it is over, and takes no lane
        end = begin + int(problem.upgrades.mean_s[job])
        slots = problem.windows[window].slots
        wanted = lane if lane >= 0 else int(old.lane[job]) if int(old.window[job]) == window else 0
        lanes = [wanted % slots, *range(slots)]
        free = (n for n in lanes if all(e <= begin or b >= end for b, e in taken.get((window, n), [])))
        chosen = next(free, wanted % slots)
        taken.setdefault((window, chosen), []).append((begin, end))
        settled.window[job], settled.lane[job], settled.start[job] = window, chosen, begin
    return settled


def _keep(board: Board, old: Schedule, waiting: Sequence[int]) -> list[int]:
    """Put back what can stay where it was, in order of time; return the rest."""
    loose = []
    for job in sorted(waiting, key=lambda job: (old.start[job], old.window[job], old.lane[job])):
        place = _old_place(board, job, old)
        if place is not None:
            board.put(job, place)
        else:
            loose.append(job)
    return loose


def _foremost(board: Board, loose: list[int]) -> list[int]:
    """Those of the earliest step that wait for nothing else that is loose."""
    step, after, open_ones = board.problem.step, board.problem.upgrades.after, set(loose)
    free = [job for job in loose if not open_ones.intersection(after.get(job, ()))]
    ordered = [int(step[job]) for job in free if step[job] >= 0]
    return [job for job in free if step[job] < 0 or step[job] == min(ordered)]


def _old_place(board: Board, job: int, old: Schedule) -> Place | None:
    """Where the old plan has an upgrade, if that is still to come and allowed."""
    if old.window[job] < 0 or old.start[job] < board.now:
        return None
    place = Place(int(old.window[job]), int(old.lane[job]), int(old.start[job]))
    return place if board.allows(job, place) else None


def _insert(board: Board, loose: list[int], old: Schedule, *, push: bool = True) -> set[int]:
    """Place what is loose, where it was if that has become possible; return what was pushed out for it and found no
    other place."""
    upgrades, step = board.problem.upgrades, np.maximum(board.problem.step, 0)
    queue = sorted(loose, key=lambda job: (step[job], -upgrades.weight[job], upgrades.mean_s[job]))
    pushed: set[int] = set()
    progress = True
    while queue and progress:
        progress, rest = False, []
        for job in queue:
            place = _old_place(board, job, old) or board.first_place(job)
            if place is not None:
                board.put(job, place)
                progress = True
            elif push and (out := _push(board, job)) is not None:
                pushed |= out
                progress = True
            else:
                rest.append(job)
        # What was placed may let in what comes after it.
        queue = rest if upgrades.after or board.problem.constraints.waves else []
    return pushed


def _push(board: Board, job: int) -> set[int] | None:
    """Make room by taking out one upgrade that is worth less; it is placed elsewhere if it can be. None: no room."""
    upgrades, schedule, now = board.problem.upgrades, board.schedule, board.now
    needed = {earlier for names in upgrades.after.values() for earlier in names}
    less = np.nonzero(schedule.placed & (upgrades.weight < upgrades.weight[job]) & (schedule.start >= now))[0]
    less = less[upgrades.mean_s[less] >= upgrades.mean_s[job] // 2]
    for other in less[np.argsort(upgrades.weight[less], kind="stable")][:PUSHED].tolist():
        if other in needed or (board.problem.step[other] >= 0 and board.problem.constraints.waves):
            continue
        back = Place(int(schedule.window[other]), int(schedule.lane[other]), int(schedule.start[other]))
        if not board.is_last(other):
            continue
        board.lift(other)
        place = board.first_place(job)
        if place is None:
            board.put(other, back)
            continue
        board.put(job, place)
        again = board.first_place(other)
        if again is None:
            return {other}
        board.put(other, again)
        return set()
    return None


def _changes(
    problem: FleetProblem,
    old: Schedule,
    new: Schedule,
    waiting: Sequence[int],
    pushed: set[int],
    gave_up: set[int],
) -> dict[str, list[dict[str, str]]]:
    changes: dict[str, list[dict[str, str]]] = {
        kind: [] for kind in ("kept", "shifted", "moved", "added", "dropped", "gave_up")
    }
    names = [window.name for window in problem.windows]
    for job in waiting:
        was, now = int(old.window[job]), int(new.window[job])
        row = {"upgrade": problem.upgrades.ids[job], "text": ""}
        if was < 0 and now < 0:
            continue
        if was < 0:
            changes["added"].append(row | {"text": f"to {names[now]}"})
        elif now < 0:
            why = "for one that is worth more" if job in pushed else "no room is left for it"
            changes["dropped"].append(row | {"text": f"from {names[was]}: {why}"})
        elif was != now:
            changes["moved"].append(row | {"text": f"from {names[was]} to {names[now]}"})
        elif old.start[job] != new.start[job] or old.lane[job] != new.lane[job]:
            minutes = (int(new.start[job]) - int(old.start[job])) / 60
            changes["shifted"].append(row | {"text": f"by {minutes:+.0f} min in {names[now]}"})
        else:
            changes["kept"].append(row)
    for job in sorted(gave_up):
        changes["gave_up"].append({"upgrade": problem.upgrades.ids[job], "text": "it failed too often"})
    return changes


def broken(result: Replanned) -> list[Violation]:
    """What the new plan breaks, by the independent checker; what is over or running is history and not the plan's."""
    problem = result.compiled.problem
    past = {problem.upgrades.ids[job] for job in result.settled}
    return [one for one in violations(problem, result.schedule) if one.upgrade not in past and one.upgrade]


def summary_of(changes: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """How many of each kind."""
    return {kind: len(rows) for kind, rows in changes.items()}
