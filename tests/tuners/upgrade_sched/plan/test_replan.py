"""Replanning: nothing changes without news, little changes with it, and the result keeps every constraint."""

from __future__ import annotations

import dataclasses
import heapq
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.happened import Happened, read_events
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.load import load
from tuners.upgrade_sched.plan.model import NEVER, FleetProblem, Schedule
from tuners.upgrade_sched.plan.online import Controller
from tuners.upgrade_sched.plan.replan import broken, replan, summary_of
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.simulate import draw

from .files import write
from .problems import problems

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(problems())
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
def test_without_news_everything_stays(problem: FleetProblem) -> None:
    schedule = build(compile_problem(problem))
    result = replan(problem, schedule, Happened(), now=0)
    counts = summary_of(result.changes)
    assert (counts["moved"], counts["shifted"], counts["dropped"]) == (0, 0, 0)
    assert counts["kept"] == schedule.placed.sum()
    assert broken(result) == []


def half_way(problem: FleetProblem, schedule: Schedule, seed: int) -> tuple[Happened, int]:
    """What the first half of an execution would report, one upgrade in five failing."""
    rng, c = np.random.default_rng(seed), compile_problem(problem)
    seconds, control, told = draw(c, seed), Controller(c, schedule), Happened()
    stop = int(np.quantile(schedule.start[schedule.placed], 0.5)) if schedule.placed.any() else 0
    ends: list[tuple[int, int]] = []
    now = min(window.start for window in problem.windows)
    while now <= stop:
        while ends and ends[0][0] <= now:
            moment, job = heapq.heappop(ends)
            name, start, begun = problem.upgrades.ids[job], control.running[job], control.since[job]
            completed = bool(rng.random() < 0.8)
            control.end(job, moment, completed=completed)
            told.started.pop(name)
            if completed:
                told.done[name] = (begun, moment)
                told.where[name] = (problem.windows[start.window].name, start.lane)
            else:
                told.failures[name] = told.failures.get(name, 0) + 1
            told.last = moment
        for start in control.admit(now):
            window = problem.windows[start.window]
            heapq.heappush(ends, (min(now + max(1, math.ceil(seconds[start.job])), window.end), start.job))
            told.started[problem.upgrades.ids[start.job]] = (now, window.name, start.lane)
        now = min(ends[0][0] if ends else NEVER, control.next_release(now))
    return told, stop


@given(problems(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
def test_a_replanned_rest_keeps_every_constraint(problem: FleetProblem, seed: int) -> None:
    schedule = build(compile_problem(problem))
    happened, now = half_way(problem, schedule, seed)
    result = replan(problem, schedule, happened, now=now)
    assert [str(one) for one in broken(result)] == []
    index = problem.upgrades.index
    open_ones = [job for job in np.nonzero(result.schedule.placed)[0] if job not in result.settled]
    assert all(result.schedule.start[job] >= now for job in open_ones)
    assert {index[name] for name in (*happened.done, *happened.started)} == set(result.settled)


def test_a_failure_moves_only_what_it_must(tmp_path: Path) -> None:
    problem = load(write(tmp_path, rules=""), Risk())
    schedule = build(compile_problem(problem))
    index, begin = problem.upgrades.index, problem.windows[0].start
    failed = next(name for name in ("a2", "b1", "a1") if schedule.start[index[name]] == begin)
    ids = problem.upgrades.ids
    others = [ids[job] for job in np.nonzero(schedule.start == begin)[0] if ids[job] != failed]
    happened = Happened(dict.fromkeys(others, (begin, "one", -1)), failures={failed: 1}, last=begin + 300)
    result = replan(problem, schedule, happened, now=begin + 300)
    counts = summary_of(result.changes)
    assert result.schedule.placed[index[failed]]
    assert counts["moved"] + counts["shifted"] <= 2
    assert counts["dropped"] == 0
    assert broken(result) == []
    again = replan(problem, schedule, Happened(failures={failed: 2}), now=begin + 300)
    assert [row["upgrade"] for row in again.changes["gave_up"]] == [failed]
    assert not again.schedule.placed[index[failed]]


def test_a_lost_window_moves_its_upgrades(tmp_path: Path) -> None:
    problem = load(write(tmp_path, rules=""), Risk())
    schedule = build(compile_problem(problem))
    inside = schedule.window == 0
    later = dataclasses.replace(problem, windows=problem.windows[1:])
    moved = schedule.copy()
    moved.window[:] = np.where(inside, -1, moved.window - 1)
    result = replan(later, moved, Happened(), now=0)
    assert broken(result) == []
    assert result.schedule.placed.sum() >= (~inside).sum()


EVENTS = """{"time": "2026-03-01T22:00:00Z", "upgrade": "a1", "event": "started", "window": "one", "lane": 0}
{"time": "2026-03-01T22:20:00Z", "upgrade": "a1", "event": "finished"}
{"time": 1772404000, "upgrade": "b1", "event": "started"}
{"time": 1772404100, "upgrade": "b1", "event": "failed"}
"""


def test_events_are_read_and_a_torn_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(EVENTS + '{"time": 177240')
    known = {"a1": 0, "b1": 1}
    happened = read_events(path, known)
    assert happened.torn
    assert happened.durations() == {"a1": 1200.0}
    assert happened.failures == {"b1": 1}
    assert happened.where["a1"] == ("one", 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"time": 1, "upgrade": "z", "event": "started"}', "no upgrade 'z'"),
        ('{"time": 1, "upgrade": "a1", "event": "paused"}', "is no event"),
        ('{"upgrade": "a1", "event": "started"}', "field time: is missing"),
        ('{"time": "now", "upgrade": "a1", "event": "started"}', "is not a time"),
        ('{"time": 1, "upgrade": "a1", "event": "finished"}', "has not started"),
        ("[1]", "is not an object"),
        ("{", "is not JSON"),
    ],
)
def test_bad_events_are_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line + "\n" + EVENTS)
    with pytest.raises(InputError, match="line 1") as caught:
        read_events(path, {"a1": 0, "b1": 1})
    assert words in str(caught.value)
