"""The bounds hold for every schedule, are no looser than the one they tighten, and cost about as much as the fleet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tuners.upgrade_sched.plan.bench import growth
from tuners.upgrade_sched.plan.bound import combinatorial_bound, pressed, upper_bound
from tuners.upgrade_sched.plan.cpsat import solve
from tuners.upgrade_sched.plan.fleets import constrained_fleet, random_fleet
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import Policy, build
from tuners.upgrade_sched.plan.lp import lp_bound
from tuners.upgrade_sched.plan.model import FleetProblem, Schedule
from tuners.upgrade_sched.plan.polish import fill
from tuners.upgrade_sched.plan.prices import priced_bound
from tuners.upgrade_sched.plan.relaxed import relax
from tuners.upgrade_sched.plan.verify import violations
from tuners.upgrade_sched.plan.waves import releases

from .problems import problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]


def worth(problem: FleetProblem, schedule: Schedule) -> float:
    return float(problem.upgrades.weight[schedule.placed].sum())


def against_the_optimum(problem: FleetProblem, effort: float) -> None:
    """CP-SAT's best schedule of the whole problem against each bound."""
    c = compile_problem(problem)
    start = fill(c, build(c))
    jobs = np.nonzero(c.possible)[0].tolist()
    answer = solve(c, start, list(range(len(problem.windows))), jobs, effort=effort, seed=0)
    best = answer.schedule or start
    assert violations(problem, best) == []
    value = max(worth(problem, best), worth(problem, start))
    for bound in (combinatorial_bound(c).value, upper_bound(c).value, lp_bound(c).value, priced_bound(relax(c), 5)):
        assert value <= bound * (1 + 1e-9) + 1e-6


@given(problems(most=6))
@settings(max_examples=40, deadline=None, suppress_health_check=RELAXED)
def test_no_bound_is_below_the_optimum_of_a_tiny_fleet(problem: FleetProblem) -> None:
    against_the_optimum(problem, 0.3)


@pytest.mark.slow
@given(problems(most=10))
@settings(max_examples=80, deadline=None, suppress_health_check=RELAXED)
def test_no_bound_is_below_the_optimum_of_a_small_fleet(problem: FleetProblem) -> None:
    against_the_optimum(problem, 0.6)


@given(problems(most=40))
@settings(max_examples=120, deadline=None, suppress_health_check=RELAXED)
def test_no_schedule_begins_a_wave_before_its_release(problem: FleetProblem) -> None:
    c = compile_problem(problem)
    if not problem.windows:
        return
    release = releases(c)
    for policy in (Policy(), Policy(1, 0.5, 3)):
        schedule = fill(c, build(c, policy))
        for step, time in release.items():
            begins = schedule.start[schedule.placed & (problem.step == step)]
            assert np.all(begins >= time)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_constrained_fleet_keeps_everything_and_its_bound_is_much_tighter(seed: int) -> None:
    problem = constrained_fleet(400, seed=seed)
    c = compile_problem(problem)
    schedule = fill(c, build(c))
    assert violations(problem, schedule) == []
    loose, tight = combinatorial_bound(c).value, upper_bound(c).value
    assert worth(problem, schedule) <= tight < 0.95 * loose


def test_prices_find_the_bound_of_an_open_fleet() -> None:
    c = compile_problem(random_fleet(2000, seed=4))
    assert not pressed(c)
    known = combinatorial_bound(c).value
    assert known * (1 - 1e-9) <= priced_bound(relax(c)) <= known * 1.002


def test_more_steps_never_make_a_bound_worse_by_much() -> None:
    r = relax(compile_problem(constrained_fleet(300, seed=2)))
    few, many = priced_bound(r, 10), priced_bound(r, 200)
    assert many <= few * 1.001


def test_a_large_fleet_is_priced_on_a_part_first(monkeypatch: pytest.MonkeyPatch) -> None:
    c = compile_problem(constrained_fleet(3000, seed=1))
    r = relax(c)
    whole = priced_bound(r, 60)
    monkeypatch.setattr("tuners.upgrade_sched.plan.prices.SAMPLE", 800)
    assert whole * 0.98 <= priced_bound(r, 5) <= whole * 1.05
    assert worth(c.problem, build(c)) <= priced_bound(r, 1)


@pytest.mark.parametrize(("fleet", "most"), [(random_fleet, 1.1), (constrained_fleet, 1.35)])
def test_operations_grow_about_linearly(fleet: Callable[[int], FleetProblem], most: float) -> None:
    """Operations, not seconds: these are the same on any machine, however busy."""
    rows = []
    for size in (500, 1500, 4500):
        facts = build(compile_problem(fleet(size))).facts
        rows.append({"servers": size, "operations": facts["operations"], "cpu_seconds": 1.0})
    exponents = growth(rows)
    assert exponents is not None
    assert exponents["operations"] < most
    assert growth(rows[:1]) is None


def test_the_heuristic_counts_the_same_operations_each_time() -> None:
    c = compile_problem(constrained_fleet(500, seed=3))
    assert build(c).facts["operations"] == build(c).facts["operations"] > 500
