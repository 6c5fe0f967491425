"""The scheduler against the independent checker on random fleets, and against its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tuners.upgrade_sched.plan.bound import upper_bound
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
