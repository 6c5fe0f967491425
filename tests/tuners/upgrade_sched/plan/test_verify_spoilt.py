"""The independent checker against a naive one, on schedules that are spoilt in every way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.model import (
    NEVER,
    Blackout,
    Constraints,
    Fleet,
    FleetProblem,
    Labels,
    Schedule,
    Upgrades,
    Wave,
    Window,
)
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.verify import executed_violations, violations

from .naive import broken_rules
from .problems import make, problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]
HOUR = 3600
ORDER = {"wave"}


def spoil(problem: FleetProblem, schedule: Schedule, rng: np.random.Generator) -> Schedule:
    """Move, swap, drop or add some upgrades without a look at any rule."""
    spoilt, count = schedule.copy(), len(problem.upgrades)
    for _ in range(int(rng.integers(1, 4))):
        job = int(rng.integers(0, count))
        way = int(rng.integers(0, 6))
        if way == 0:
            spoilt.start[job] += int(rng.integers(-HOUR, HOUR))
        elif way == 1:
            other = int(rng.integers(0, count))
            for column in (spoilt.window, spoilt.lane, spoilt.start):
                column[[job, other]] = column[[other, job]]
        elif way == 2:
            spoilt.lane[job] += int(rng.integers(-1, 2))
        elif way == 3:
            spoilt.window[job] = spoilt.lane[job] = -1
        elif way == 4:
            which = int(rng.integers(0, len(problem.windows)))
            spoilt.window[job], spoilt.lane[job] = which, int(rng.integers(0, problem.windows[which].slots))
            spoilt.start[job] = problem.windows[which].start + int(rng.integers(0, HOUR))
        else:
            other = int(rng.integers(0, count))
            spoilt.start[job] = spoilt.start[other]
    return spoilt


def agree(problem: FleetProblem, schedule: Schedule) -> set[str]:
    named = {one.rule for one in violations(problem, schedule)} - ORDER
    # A server that runs two upgrades at once is one breach; whether it counts once or twice as down is not another.
    left = {"limit", "floor"} if "server" in named else set()
    assert named - left == broken_rules(problem, schedule) - left
    return named


@given(problems(most=25), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None, suppress_health_check=RELAXED)
def test_a_spoilt_schedule_is_called_what_it_is(problem: FleetProblem, seed: int) -> None:
    schedule = build(compile_problem(problem))
    assert agree(problem, schedule) == set()
    agree(problem, spoil(problem, schedule, np.random.default_rng(seed)))


def test_every_kind_of_constraint_is_broken_and_named_at_some_time() -> None:
    rng, seen = np.random.default_rng(11), Counter[str]()
    for number in range(120):
        options = {"twice": number % 2 == 0, "chains": number % 3 == 0, "blackouts": number % 3}
        problem = make(rng, 20, overlapping=number % 4 == 0, **options)  # type: ignore[arg-type]  # flags and counts
        schedule = build(compile_problem(problem))
        for _ in range(3):
            seen.update(agree(problem, spoil(problem, schedule, rng)))
    wanted = {"slots", "window", "not_before", "server", "max_running", "limit", "floor", "after"}
    assert set(seen) == wanted | {"lane", "risk", "deadline", "blackout"}, seen


def in_waves(soak: tuple[int, int], steps: tuple[int, int, int]) -> FleetProblem:
    """Three upgrades of ten minutes on three servers, a window of ten hours, two waves."""
    fleet = Fleet(("a", "b", "c"), {"zone": Labels.of(["x", "x", "y"])}, np.zeros(3, bool))
    upgrades = Upgrades(
        ("a", "b", "c"), np.arange(3), ("os",) * 3, np.ones(3), np.full(3, 600), np.zeros(3, np.int64),
        np.zeros(3, np.int64), np.full(3, NEVER), np.array(steps),
    )  # fmt: skip
    rules = Constraints(waves=(Wave("one", soak[0]), Wave("two", soak[1])))
    return FleetProblem(fleet, upgrades, (Window("w", 0, 10 * HOUR, 3),), rules, Risk())


def scheduled(*starts: int | None) -> Schedule:
    window = np.array([-1 if one is None else 0 for one in starts])
    return Schedule(window, np.where(window < 0, -1, np.arange(3)), np.array([one or 0 for one in starts]))


@pytest.mark.parametrize(
    ("soak", "steps", "starts", "words"),
    [
        ((HOUR, 0), (0, 1, -1), (0, 600 + HOUR, 1200 + HOUR), ""),
        ((HOUR, 0), (0, 1, -1), (0, 599 + HOUR, 1200 + HOUR), "wave one has soaked"),
        ((HOUR, 0), (0, 1, -1), (0, 600 + HOUR, 1199 + HOUR), "wave two has soaked"),
        ((0, HOUR), (0, 0, 1), (0, 600, 1200), ""),
        ((0, HOUR), (0, 0, 1), (0, 600, 700), "wave one has soaked"),
        ((0, HOUR), (0, 0, -1), (0, 0, 600 + HOUR), ""),
        ((0, HOUR), (0, 0, -1), (0, 0, 599 + HOUR), "wave two has soaked"),
        ((HOUR, 0), (0, 0, -1), (0, 0, 600), "wave one has soaked"),
        ((0, 0), (0, 1, -1), (None, 600, 1200), "a is still to come"),
        ((0, 0), (0, 1, -1), (0, None, 1200), "b is still to come"),
        ((0, 0), (0, 1, -1), (0, 600, None), ""),
    ],
)
def test_the_fixed_order_is_kept_to_the_second(
    soak: tuple[int, int], steps: tuple[int, int, int], starts: tuple[int | None, ...], words: str
) -> None:
    found = [str(one) for one in violations(in_waves(soak, steps), scheduled(*starts))]
    assert (not found) if not words else any(words in one for one in found), found


def test_those_that_no_order_concerns_may_go_first() -> None:
    problem = in_waves((HOUR, HOUR), (0, 1, -1))
    free = replace(problem, constraints=replace(problem.constraints, rest_is_free=True))
    assert violations(free, scheduled(0, 600 + HOUR, 0)) == []


def test_an_upgrade_that_can_never_run_holds_no_wave_up() -> None:
    problem = in_waves((0, 0), (0, 1, -1))
    dark = (Blackout("always", 0, 10 * HOUR, {"zone": ("y",)}),)
    steps = np.array([1, -1, 0])
    problem = replace(
        problem,
        constraints=replace(problem.constraints, blackouts=dark),
        upgrades=replace(problem.upgrades, wave=steps),
    )
    assert violations(problem, scheduled(0, 600, None)) == []


def test_an_execution_keeps_to_slots_and_to_the_servers_of_a_window() -> None:
    problem = in_waves((0, 0), (-1, -1, -1))
    problem = replace(problem, windows=(Window("w", 0, 10 * HOUR, 2, {"zone": ("x",)}),))
    runs = [(0, 0, 600, True), (1, 0, 600, True)]
    assert executed_violations(problem, runs) == []
    crowd = [*runs, (0, 300, 900, True)]
    assert {"slots", "server"} <= {one.rule for one in executed_violations(problem, crowd)}
    elsewhere = executed_violations(problem, [(2, 0, 600, True)])
    assert [str(one) for one in elsewhere] == ["window: c ran in a window that is not for its server"]
