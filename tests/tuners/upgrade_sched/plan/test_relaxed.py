"""Every row of the relaxation holds for every schedule, and the rows say what they should about simple cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuners.upgrade_sched.plan.bound import upper_bound
from tuners.upgrade_sched.plan.fleets import constrained_fleet, only
from tuners.upgrade_sched.plan.groups import Compiled, compile_problem
from tuners.upgrade_sched.plan.heuristic import Policy, build
from tuners.upgrade_sched.plan.lp import lp_bound
from tuners.upgrade_sched.plan.model import Blackout, FleetProblem, Schedule
from tuners.upgrade_sched.plan.polish import fill
from tuners.upgrade_sched.plan.prices import least_costs, priced
from tuners.upgrade_sched.plan.relaxed import Relaxed, relax
from tuners.upgrade_sched.plan.risk import Risk

from .problems import problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]


def shares(c: Compiled, r: Relaxed, schedule: Schedule) -> np.ndarray:
    """1 where an upgrade runs in a part of a window: the last part of its window that opens before it starts."""
    found = np.zeros(r.fits.shape)
    for n, job in enumerate(r.jobs.tolist()):
        if schedule.window[job] < 0:
            continue
        places = [w for w in range(len(r.lanes)) if r.window[w] == schedule.window[job]]
        begins = [(r.begin[w], w) for w in places if r.begin[w] <= schedule.start[job]]
        found[max(begins)[1], n] = 1.0
    return found


def check_rows(c: Compiled, schedule: Schedule) -> None:
    r = relax(c)
    x = shares(c, r, schedule)
    slack = 1e-6
    assert np.all(x <= r.fits)
    assert np.all((x * r.size).sum(axis=1) <= r.lanes + slack)
    for cut in r.cuts:
        assert float(x[cut.window, cut.members] @ cut.size) <= cut.room * (1 + 1e-9) + slack
    for kind in r.kinds:
        for w in range(len(r.lanes)):
            load = np.bincount(kind.group + 1, r.mean * x[w], kind.room.shape[1] + 1)[1:]
            assert np.all(load <= kind.room[w] + slack)
    runs = x.sum(axis=0)
    assert np.all(runs[r.order[:, 0]] <= runs[r.order[:, 1]])


@given(problems(most=40))
@settings(max_examples=40, deadline=None, suppress_health_check=RELAXED)
def test_every_row_holds_for_every_schedule(problem: FleetProblem) -> None:
    c = compile_problem(problem)
    if c.possible.any():
        for policy in (Policy(), Policy(1, 0.5, 3)):
            check_rows(c, fill(c, build(c, policy)))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_row_holds_for_a_full_fleet(seed: int) -> None:
    c = compile_problem(constrained_fleet(300, seed=seed))
    check_rows(c, fill(c, build(c)))


@given(
    st.lists(st.tuples(st.integers(60, 7200), st.floats(0.0, 1.5)), min_size=1, max_size=12),
    st.floats(0.0, 1.0),
    st.floats(0.5, 0.99),
)
@settings(max_examples=300, deadline=None)
def test_a_lane_pays_for_its_tail(jobs: list[tuple[int, float]], part: float, level: float) -> None:
    """The inequality behind the tails, for one lane: what must run before the last d seconds, plus d, is no less than
    the row says."""
    length, risk = 14_400.0, Risk("spread", level)
    mean = np.array([job[0] for job in jobs], float)
    spread = np.array([job[0] * job[1] for job in jobs])
    while len(mean) and risk.reserve(mean.sum(), (spread**2).sum()) > length:
        mean, spread = mean[:-1], spread[:-1]
    total, buffer = mean.sum(), risk.z * np.sqrt((spread**2).sum())
    d = part * length
    size = risk.sizes(mean, spread**2, length)
    before = max(0.0, total - max(0.0, d - buffer))
    assert np.minimum(size, mean + size * (d / length)).sum() <= before + d + 1e-6


def test_fewer_running_than_lanes_lowers_the_bound() -> None:
    """Full lanes keep a fifth as their buffer, and nine tenths of them may run: the bound knows that both add up."""
    problem = only(constrained_fleet(600, seed=0), ("max-running",))
    free = only(constrained_fleet(600, seed=0), ())
    with_it, without = (upper_bound(compile_problem(one)).value for one in (problem, free))
    assert with_it < 0.98 * without


def test_a_dark_hour_costs_its_buffers_too() -> None:
    problem = only(constrained_fleet(300, seed=0), ())
    window = problem.windows[0]
    dark = Blackout("dark", window.start + 7200, window.start + 7260)
    rules = replace(problem.constraints, blackouts=(dark,))
    r = relax(compile_problem(replace(problem, constraints=rules)))
    assert r.window.tolist()[:3] == [0, 0, 1]
    assert np.all(r.size[0][r.fits[0]] > r.size[2][r.fits[0]])


def test_prices_come_close_to_the_linear_program() -> None:
    c = compile_problem(constrained_fleet(400, seed=1))
    r = relax(c)
    value, prices = priced(r)
    assert lp_bound(c).value <= value * (1 + 1e-6) <= 1.015 * lp_bound(c).value
    costs = least_costs(r, prices)
    assert np.all(np.isfinite(costs) == r.fits.any(axis=0))
