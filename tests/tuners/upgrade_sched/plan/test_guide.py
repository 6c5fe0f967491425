"""Where constraints press: prices choose, waves end early, and each kind of constraint alone costs little."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from tuners.upgrade_sched.plan.bench import bench
from tuners.upgrade_sched.plan.bound import pressed, upper_bound
from tuners.upgrade_sched.plan.crowd import Crowd, Haste
from tuners.upgrade_sched.plan.fleets import KINDS, constrained_fleet, only
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.guide import guided, returns
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.model import FleetProblem, Schedule
from tuners.upgrade_sched.plan.reading import reading
from tuners.upgrade_sched.plan.select import Policy, choose
from tuners.upgrade_sched.plan.sweep import Sweep
from tuners.upgrade_sched.plan.verify import violations
from tuners.upgrade_sched.plan.waves import least_ends, releases
from tuners.upgrade_sched.plan.wavesweep import WaveSweep


def worth(problem: FleetProblem, schedule: Schedule) -> float:
    return float(problem.upgrades.weight[schedule.placed].sum())


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_of_constraint_alone_leaves_a_small_gap(kind: str) -> None:
    row = bench(600, kinds=[kind])
    assert row["violations"] == 0
    assert row["gap_percent"] < 6.5
    assert (row["constrained"], row["kinds"]) == (True, [kind])


@pytest.mark.parametrize(("servers", "seed"), [(300, 1), (1200, 0)])
def test_all_kinds_together_leave_a_tenth_at_most(servers: int, seed: int) -> None:
    row = bench(servers, seed=seed, constrained=True)
    assert row["violations"] == 0
    assert row["gap_percent"] < 11


@pytest.mark.parametrize("kinds", [("max-running",), ("waves", "blackouts"), KINDS])
def test_prices_choose_better_than_the_knapsack_does(kinds: tuple[str, ...]) -> None:
    problem = only(constrained_fleet(800, seed=1), kinds)
    c = compile_problem(problem)
    assert pressed(c)
    choice = choose(c)
    plain = Sweep(c, choice, Policy(), np.zeros(len(problem.upgrades), bool))
    plain.next_step(min(window.start for window in problem.windows))
    assert worth(problem, build(c)) > 1.02 * worth(problem, plain.run())


def test_the_order_has_waves_first_and_everything_once() -> None:
    problem = constrained_fleet(400, seed=2)
    c = compile_problem(problem)
    choice, gain = choose(c), returns(c)
    assert np.all(gain >= 0)
    assert np.all(gain[~c.possible] == 0)
    for mixed in (True, False):
        order = guided(c, choice, gain, 0, mixed=mixed)
        assert sorted(order.rank.tolist()) == list(range(len(gain)))
        assert order.chosen[c.possible & (problem.step < 2)].all()
        first = order.rank[problem.step == 0].max(initial=-1)
        assert first < order.rank[problem.step == 2].min()
    kept = guided(c, choice, gain, 0, mixed=True).chosen
    assert gain[kept & (problem.step == 2)].min() >= 1.0 > gain[~kept & (problem.step == 2)].max()


def test_a_crowd_takes_from_the_group_with_most_left_to_do() -> None:
    problem = only(constrained_fleet(400, seed=2), ("waves", "service"))
    c = compile_problem(problem)
    jobs = np.nonzero(c.possible & (problem.step == 1))[0]
    crowd = Crowd(c, jobs, Haste(np.zeros(len(c.possible), np.int64), [0, 1], own=0.0))
    room = 4 * 3600.0
    found = crowd.candidates(1, room, 0.0, 0.0)
    assert sorted(found) == jobs.tolist()
    before = crowd.work.max()
    (group,) = c.members[found[0]]
    assert crowd.work[group] == before
    crowd.take(found[0])
    assert found[0] not in crowd.candidates(1, room, 0.0, 0.0)
    assert crowd.work[group] < before
    crowd.run(c.members[found[0]] * c.groups[group].cap, 1)
    assert not any(group in c.members[job] for job in crowd.candidates(1, room, 0.0, 0.0))
    assert crowd.candidates(1, 1.0, 0.0, 0.0) == []
    pushed = np.zeros(len(c.possible), np.int64)
    last = crowd.candidates(1, room, 0.0, 0.0)[-1]
    pushed[last] = 1000
    assert Crowd(c, jobs, Haste(pushed, [0, 1])).candidates(1, room, 0.0, 0.0)[0] == last


@pytest.mark.parametrize(("servers", "seed"), [(500, 0), (2000, 3)])
def test_waves_end_in_the_first_window_that_the_bound_allows(servers: int, seed: int) -> None:
    problem = constrained_fleet(servers, seed=seed)
    c = compile_problem(problem)
    schedule = build(c)
    begun = schedule.start[schedule.placed & (problem.step == 2)].min()
    earliest = releases(c)[2]
    assert earliest <= begun
    nights = [window.start for window in problem.windows if window.end > earliest]
    zoned = [window.start for window in problem.windows if window.end > earliest and not window.where]
    assert begun < zoned[0] + 4 * 3600 or begun < nights[0] + 4 * 3600
    assert violations(problem, schedule) == []


def test_buffers_and_caps_together_say_when_a_wave_is_over() -> None:
    """At 500 servers seven of eight lanes may run, and a wave asks for nine tenths of that: too much for one night."""
    problem = constrained_fleet(500, seed=0)
    alone = only(problem, [kind for kind in KINDS if kind != "max-running"])
    with_it, without = (least_ends(compile_problem(one))[1] for one in (problem, alone))
    assert without < problem.windows[1].end < with_it


def test_a_wave_too_large_for_a_crowd_comes_from_the_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuners.upgrade_sched.plan.wavesweep.MOST", 5)
    problem = constrained_fleet(400, seed=1)
    c = compile_problem(problem)
    schedule = build(c)
    assert violations(problem, schedule) == []
    assert schedule.placed[problem.step == 1].sum() > 5
    assert worth(problem, schedule) <= upper_bound(c).value


def test_a_sweep_repeats_itself() -> None:
    c = compile_problem(constrained_fleet(300, seed=4))
    haste = Haste(np.zeros(len(c.possible), np.int64), [0, 1])
    runs = []
    for _ in range(2):
        sweep = WaveSweep(c, choose(c), Policy(), haste)
        sweep.next_step(min(window.start for window in c.problem.windows))
        runs.append((sweep.run().start.tolist(), sweep.operations))
    assert runs[0] == runs[1]
    assert build(c).start.tolist() == build(c).start.tolist()


def test_only_lifts_all_other_kinds() -> None:
    whole = constrained_fleet(300, seed=0)
    assert only(whole, KINDS) == whole
    bare = only(whole, ())
    assert (bare.constraints.limits, bare.constraints.floors, bare.constraints.waves) == ((), (), ())
    assert not pressed(compile_problem(bare))


def test_bench_takes_kinds_and_names_a_wrong_one() -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["upgrade-sched", "bench", "--servers", "200", "--only", "zone, waves", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["runs"][0]["kinds"] == ["zone", "waves"]
    done = runner.invoke(app, ["upgrade-sched", "bench", "--only", "zones"], standalone_mode=False)
    assert "there is no kind 'zones'" in str(done.exception)


def test_a_gap_is_explained_where_constraints_press() -> None:
    assert bench(300)["gap_reading"] == ""
    assert bench(300, kinds=[])["gap_reading"] == ""
    row = bench(300, constrained=True)
    at_least = f"at least {100 - row['gap_percent']:.1f} % of the best"
    assert at_least in row["gap_reading"]
    assert "how much of the rest could be had is not known" in row["gap_reading"]
    assert "What comes after the waves" not in row["gap_reading"]


def test_a_wave_that_ends_late_is_named() -> None:
    c = compile_problem(constrained_fleet(300, seed=0))
    schedule, bound = build(c), upper_bound(c)
    assert "What comes after the waves" not in reading(c, schedule, bound)
    later = schedule.copy()
    later.window[(c.problem.step == 2) & (schedule.window < 4)] = -1
    assert "begins in night-5; the bound allows night-3" in reading(c, later, bound)
    later.window[c.problem.step == 2] = -1
    assert "begins in no window" in reading(c, later, bound)
