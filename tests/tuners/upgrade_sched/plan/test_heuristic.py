"""The scheduler against the independent checker on random fleets, and against its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tuners.upgrade_sched.plan.bench import bench
from tuners.upgrade_sched.plan.bound import upper_bound
from tuners.upgrade_sched.plan.explain import reasons
from tuners.upgrade_sched.plan.fleets import random_fleet
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import Policy, build
from tuners.upgrade_sched.plan.model import FleetProblem
from tuners.upgrade_sched.plan.verify import violations

from .problems import problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]


def check(problem: FleetProblem) -> None:
    compiled = compile_problem(problem)
    bound = upper_bound(compiled)
    for policy in (Policy(), Policy(1, 2.0, 5)):
        schedule = build(compiled, policy)
        assert [str(one) for one in violations(problem, schedule)] == []
        value = float(problem.upgrades.weight[schedule.placed].sum())
        assert value <= bound.value * (1 + 1e-9) + 1e-6
        assert not np.any(schedule.placed & ~compiled.possible)
        assert set(compiled.why_not) == set(np.nonzero(~compiled.possible)[0].tolist())


@given(problems())
@settings(max_examples=150, deadline=None, suppress_health_check=RELAXED)
def test_no_constraint_is_ever_violated(problem: FleetProblem) -> None:
    check(problem)


@pytest.mark.slow
@given(problems(most=120))
@settings(max_examples=400, deadline=None, suppress_health_check=RELAXED)
def test_no_constraint_is_ever_violated_in_larger_fleets(problem: FleetProblem) -> None:
    check(problem)


def test_the_same_input_gives_the_same_schedule() -> None:
    c = compile_problem(random_fleet(1500, seed=3))
    first, second = build(c), build(compile_problem(random_fleet(1500, seed=3)))
    assert first.window.tolist() == second.window.tolist()
    assert first.start.tolist() == second.start.tolist()


@pytest.mark.parametrize("load", [0.5, 0.9, 1.2, 3.0])
def test_large_fleets_come_close_to_the_bound(load: float) -> None:
    row = bench(10_000, seed=1, load=load)
    assert row["violations"] == 0
    assert row["gap_percent"] < 2.5
    assert row["operations"] < 25 * row["upgrades"]  # what it costs on any machine; seconds come from the bench command


def test_what_cannot_run_is_told_apart_and_nothing_is_dropped() -> None:
    problem = random_fleet(200, seed=5)
    problem.upgrades.mean_s[:3] = 30 * 3600
    c = compile_problem(problem)
    schedule = build(c)
    assert not schedule.placed[:3].any()
    assert all(c.why_not[job].startswith("longer than any window") for job in range(3))
    rows = reasons(c, schedule)
    assert len(rows) == int((~schedule.placed).sum())
    assert [row["kind"] for row in rows if row["upgrade"] in problem.upgrades.ids[:3]] == ["impossible"] * 3


def test_priorities_decide_who_is_left_out() -> None:
    problem = random_fleet(3000, seed=2, load=2.0)
    schedule = build(compile_problem(problem))
    weight = problem.upgrades.weight
    shares = [schedule.placed[weight == level].mean() for level in (1, 3, 5)]
    assert shares[0] < shares[1] < shares[2]
    mean_window = [schedule.window[schedule.placed & (weight == level)].mean() for level in (2, 5)]
    assert mean_window[1] < mean_window[0]
