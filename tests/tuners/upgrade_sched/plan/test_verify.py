"""The independent checker finds each kind of violation when a sound schedule is spoilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.load import load
from tuners.upgrade_sched.plan.model import FleetProblem, Limit, Schedule
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.verify import executed_violations, violations

from .files import RULES, write

HOUR = 3600


@pytest.fixture
def sound(tmp_path: Path) -> tuple[FleetProblem, Schedule]:
    problem = load(write(tmp_path), Risk())
    schedule = build(compile_problem(problem))
    assert schedule.placed.all()
    assert violations(problem, schedule) == []
    return problem, schedule


def at(problem: FleetProblem, schedule: Schedule, name: str, *, start: int | None = None, lane: int | None = None,
       window: int | None = None) -> None:  # fmt: skip
    job = problem.upgrades.index[name]
    if start is not None:
        schedule.start[job] = start
    if lane is not None:
        schedule.lane[job] = lane
    if window is not None:
        schedule.window[job] = window


def together(problem: FleetProblem, schedule: Schedule, lanes: tuple[int, int]) -> None:
    """a1 and a2, which share a rack, at the same time."""
    for name, lane in zip(("a1", "a2"), lanes, strict=True):
        at(problem, schedule, name, window=0, lane=lane, start=first(problem))


def first(problem: FleetProblem) -> int:
    return problem.windows[0].start


SPOILS: list[tuple[str, Callable[[FleetProblem, Schedule], None]]] = [
    ("window", lambda p, s: at(p, s, "a1", start=first(p) - 60)),
    ("window", lambda p, s: at(p, s, "a1", window=9)),
    ("slots", lambda p, s: at(p, s, "a1", lane=2)),
    ("not_before", lambda p, s: at(p, s, "b2", window=0, start=first(p), lane=1)),
    ("risk", lambda p, s: at(p, s, "a1", start=p.windows[0].end - 1800)),
    ("deadline", lambda p, s: at(p, s, "b1", window=1, start=p.windows[1].end - 1260, lane=0)),
    ("lane", lambda p, s: together(p, s, lanes=(0, 0))),
    ("limit", lambda p, s: together(p, s, lanes=(0, 1))),
    ("wave", lambda p, s: at(p, s, "b1", window=0, lane=1, start=first(p))),
    ("after", lambda p, s: s.window.__setitem__(p.upgrades.index["a1"], -1)),
    ("blackout", lambda p, s: at(p, s, "a2", window=1, lane=0, start=p.windows[1].start)),
    ("shape", lambda p, s: s.__dict__.__setitem__("lane", s.lane[:2])),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "spoil"), SPOILS)
def test_a_spoilt_schedule_is_found(
    sound: tuple[FleetProblem, Schedule], rule: str, spoil: Callable[[FleetProblem, Schedule], None]
) -> None:
    problem, schedule = sound
    spoil(problem, schedule)
    assert rule in {one.rule for one in violations(problem, schedule)}


def test_floors_and_concurrency_are_checked(sound: tuple[FleetProblem, Schedule], tmp_path: Path) -> None:
    problem, schedule = sound
    tight = load(write(tmp_path, rules=RULES.replace("min_up = 1", "min_up_share = 1.0")), Risk())
    assert "floor" in {one.rule for one in violations(tight, schedule)}
    schedule.start[:2] = schedule.start[0]
    schedule.lane[:2] = 0, 1
    schedule.window[:2] = schedule.window[0]
    one = replace(problem, constraints=replace(problem.constraints, max_running=1, limits=()))
    assert "max_running" in {found.rule for found in violations(one, schedule)}


def test_two_upgrades_of_a_server_may_not_overlap(tmp_path: Path) -> None:
    upgrades = "server,type,mean_min\na1,os,10\na1,fw,10\n"
    problem = load(write(tmp_path, upgrades=upgrades, rules=""), Risk())
    begin = first(problem)
    schedule = Schedule(np.array([0, 0]), np.array([0, 1]), np.array([begin, begin + 300]))
    assert [one.rule for one in violations(problem, schedule)] == ["server"]


def test_an_execution_is_checked_on_what_really_ran(sound: tuple[FleetProblem, Schedule]) -> None:
    problem, schedule = sound
    runs = [(j, int(schedule.start[j]), int(schedule.start[j] + problem.upgrades.mean_s[j]), True) for j in range(5)]
    assert executed_violations(problem, runs) == []
    early = [(2, runs[0][1] - 10 * HOUR, runs[0][1], True), *runs[:2]]
    rules = {one.rule for one in executed_violations(problem, early)}
    assert {"window", "after", "wave"} <= rules


def test_a_limit_given_as_a_share_allows_at_least_one(tmp_path: Path) -> None:
    problem = load(write(tmp_path, rules=""), Risk())
    problem = replace(problem, constraints=replace(problem.constraints, limits=(Limit("zone", share=0.1),)))
    schedule = build(compile_problem(problem))
    assert schedule.placed.any()
    assert violations(problem, schedule) == []
