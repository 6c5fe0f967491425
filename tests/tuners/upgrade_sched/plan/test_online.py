"""Admission and simulation: constraints hold whatever the durations; what is left is predicted anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.load import load
from tuners.upgrade_sched.plan.model import FleetProblem, Schedule
from tuners.upgrade_sched.plan.online import Controller, Start, overrun_probability, remaining
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.simulate import controller_of, draw, play, simulate

from .files import write
from .problems import problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(problems(), st.integers(0, 1000), st.sampled_from(["plan", "online", "cutoff:60"]))
@settings(max_examples=80, deadline=None, suppress_health_check=RELAXED)
def test_no_execution_breaks_a_constraint(problem: FleetProblem, seed: int, policy: str) -> None:
    c = compile_problem(problem)
    result = play(c, controller_of(policy, c, build(c)), draw(c, seed))
    assert result["first_violation"] == ""
    assert result["completed"] + result["cancelled"] == result["started"]
    assert 0 <= result["utilisation"] <= 1


@pytest.mark.parametrize("elapsed", [0.0, 600.0, 1800.0, 3600.0, 7200.0])
def test_what_is_left_is_the_conditional_mean(elapsed: float) -> None:
    mean, spread = 2400.0, 1200.0
    shape = np.log1p((spread / mean) ** 2)
    drawn = mean * np.exp(np.sqrt(shape) * np.random.default_rng(0).standard_normal(2_000_000) - shape / 2)
    alive = drawn[drawn > elapsed]
    left, wide = remaining(mean, spread, elapsed)
    assert left == pytest.approx(float((alive - elapsed).mean()), rel=0.03)
    assert wide == pytest.approx(float(alive.std()), rel=0.06)
    over = overrun_probability(mean, spread, elapsed, 900.0)
    assert over == pytest.approx(float((alive > elapsed + 900).mean()), abs=0.01)


def test_the_edges_of_prediction() -> None:
    assert remaining(100.0, 0.0, 30.0) == (70.0, 0.0)
    assert remaining(100.0, 0.0, 300.0) == (0.0, 0.0)
    left, wide = remaining(100.0, 10.0, 1e6)
    assert left > 0
    assert np.isfinite(wide)
    assert overrun_probability(100.0, 0.0, 50.0, 49.0) == 1.0
    assert overrun_probability(100.0, 0.0, 50.0, 51.0) == 0.0


@pytest.fixture
def control(tmp_path: Path) -> Controller:
    c = compile_problem(load(write(tmp_path), Risk()))
    return Controller(c, build(c))


def names(control: Controller, starts: list[Start]) -> set[str]:
    return {control.c.problem.upgrades.ids[start.job] for start in starts}


def test_the_canary_goes_alone_and_its_soak_is_kept(control: Controller) -> None:
    begin, index = control.windows[0].start, control.c.problem.upgrades.index
    held: Counter[str] = Counter()
    assert names(control, control.admit(begin, held)) == {"a1"}
    assert held["wave canary is not complete"] > 0
    control.end(index["a1"], begin + 1500, completed=True)
    assert control.admit(begin + 1500) == []
    assert control.next_release(begin + 1500) == begin + 1800  # the blackout's or not_before's or soak's next moment
    assert "a2" not in names(control, control.admit(begin + 1500 + 3599))
    assert names(control, control.admit(begin + 1500 + 3600)) <= {"b1", "b2"}


def test_a_failed_canary_holds_everybody_until_it_is_done(control: Controller) -> None:
    begin, index = control.windows[0].start, control.c.problem.upgrades.index
    control.admit(begin)
    control.end(index["a1"], begin + 600, completed=False)
    assert names(control, control.admit(begin + 600)) == {"a1"}
    control.end(index["a1"], begin + 900, completed=False, again=False)
    control.give_up(index["a1"])
    assert control.admit(begin + 900) == []


def test_measured_durations_replace_drawn_ones(tmp_path: Path) -> None:
    c = compile_problem(load(write(tmp_path), Risk()))
    schedule = build(c)
    measured = dict.fromkeys(c.problem.upgrades.ids, 600.0)
    answer = simulate(c, schedule, ["plan", "online"], actual=measured)
    assert (answer["repeats"], answer["durations"]) == (1, "measured")
    assert [row["completed"] for row in answer["policies"]] == [5, 5]
    late = simulate(c, schedule, ["plan"], actual={"a1": 7100.0}, repeats=2)
    assert late["durations"].startswith("1 measured")


def test_an_overrun_is_cancelled_at_the_windows_end_and_costs_its_time(tmp_path: Path) -> None:
    c = compile_problem(load(write(tmp_path, rules=""), Risk()))
    only = Schedule.empty(5)
    only.window[0], only.lane[0], only.start[0] = 0, 0, c.problem.windows[0].start
    row = simulate(c, only, ["plan"], actual=dict.fromkeys(c.problem.upgrades.ids, 900000.0))["policies"][0]
    # Cancelled at the first window's end; its second chance would need the second window's plan.
    assert (row["completed"], row["cancelled"], row["wasted_min"]) == (0.0, 1.0, 120.0)


@pytest.mark.parametrize("policy", ["", "best", "cutoff:", "cutoff:-3", "cutoff:nan"])
def test_a_policy_that_is_none_is_refused(tmp_path: Path, policy: str) -> None:
    c = compile_problem(load(write(tmp_path), Risk()))
    with pytest.raises(InputError, match="policy"):
        controller_of(policy, c, Schedule.empty(5))
