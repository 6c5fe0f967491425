"""CP-SAT and the linear program: never worse, never in breach, never above the bound."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tuners.upgrade_sched.plan import cpsat
from tuners.upgrade_sched.plan import polish as polishing
from tuners.upgrade_sched.plan.bound import upper_bound
from tuners.upgrade_sched.plan.fleets import constrained_fleet, only, random_fleet
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.lp import lp_bound
from tuners.upgrade_sched.plan.model import FleetProblem
from tuners.upgrade_sched.plan.polish import fill, polish, worth
from tuners.upgrade_sched.plan.verify import violations

from .problems import make, problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]


def check(problem: FleetProblem, effort: float) -> None:
    c = compile_problem(problem)
    start = build(c)
    filled, polished = fill(c, start), polish(c, start, effort=effort)
    loose, tight = upper_bound(c).value, lp_bound(c).value
    assert violations(problem, filled) == []
    assert violations(problem, polished) == []
    assert worth(c, start) <= worth(c, filled)
    assert worth(c, filled)[0] <= worth(c, polished)[0] <= tight + 1e-6
    assert tight <= loose * (1 + 1e-6) + 1e-5


@given(problems(most=12))
@settings(max_examples=15, deadline=None, suppress_health_check=RELAXED)
def test_polish_is_sound_and_never_worse(problem: FleetProblem) -> None:
    check(problem, 0.2)


@pytest.mark.slow
@given(problems(most=40))
@settings(max_examples=25, deadline=None, suppress_health_check=RELAXED)
def test_polish_is_sound_and_never_worse_on_more(problem: FleetProblem) -> None:
    check(problem, 0.6)


def test_polish_finds_what_the_heuristic_misses_and_repeats_itself() -> None:
    rng = np.random.default_rng(3)
    gained = 0.0
    for _ in range(6):
        c = compile_problem(make(rng, 16, chains=True, overlapping=True))
        start = build(c)
        first, second = polish(c, start, effort=0.5), polish(c, start, effort=0.5)
        assert first.start.tolist() == second.start.tolist()
        gained += worth(c, first)[0] - worth(c, start)[0]
    assert gained > 0


def caught() -> int:
    """The signals that this process handles, as the kernel sees it (a bit mask)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)


def test_an_interrupt_still_reaches_the_program_after_a_polish(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = []

    def solve(*given: Any, **more: Any) -> cpsat.Answer:
        solved.append(1)
        return cpsat.solve(*given, **more)

    monkeypatch.setattr(polishing, "solve", solve)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        c = compile_problem(make(np.random.default_rng(3), 16, chains=True, overlapping=True))
        polish(c, build(c), effort=0.5)
        assert solved
        assert caught() >> (signal.SIGINT - 1) & 1
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_fleet_too_large_for_one_model_is_searched_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuners.upgrade_sched.plan.polish.CHOICES", 0)
    problem = random_fleet(80, load=1.5, nights=4)
    c = compile_problem(problem)
    start = build(c)
    better = polish(c, start, effort=0.25)
    assert violations(problem, better) == []
    assert worth(c, better) >= worth(c, start)
    assert better.facts["polish_rounds"] > 1


def test_the_solver_starts_from_the_schedule_that_it_is_given() -> None:
    """With next to no effort, what it answers is worth no less: its hint is a whole solution."""
    for kinds in (("zone",), ("waves", "dependencies", "max-running")):
        c = compile_problem(only(constrained_fleet(150, seed=1), kinds))
        start = build(c)
        windows = [2, 3]
        jobs = np.nonzero(np.isin(start.window, windows))[0].tolist()
        answer = cpsat.solve(c, start, windows, jobs, effort=0.5, seed=0)
        assert answer.schedule is not None
        assert worth(c, answer.schedule)[0] >= worth(c, start)[0]
        assert violations(c.problem, answer.schedule) == []
