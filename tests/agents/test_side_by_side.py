"""Many problems at once: results as they come, failures and stopping; what one loop does is tested elsewhere."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from agents.loop import run_many
from agents.protocols import Problem
from sysmith_errors import Interrupted, MissingPart

PROBLEMS = [Problem(str(number)) for number in range(20)]


def test_all_are_done_with_at_most_so_many_at_once() -> None:
    lock = threading.Lock()
    now = most = 0

    def one(problem: Problem) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return problem.name

    assert sorted(run_many(PROBLEMS, one, jobs=3), key=int) == [problem.name for problem in PROBLEMS]
    assert most == 3
    assert list(run_many([], one, jobs=3)) == []
    with pytest.raises(ValueError, match="at least 1"):
        run_many(PROBLEMS, one, jobs=0)


def test_a_fast_result_does_not_wait_for_a_slow_one() -> None:
    first_seen = threading.Event()

    def one(problem: Problem) -> str:
        if problem.name == "0":
            assert first_seen.wait(20)
        return problem.name

    results = run_many(PROBLEMS[:2], one, jobs=2)
    assert next(results) == "1"
    first_seen.set()
    assert list(results) == ["0"]


def test_halt_yields_what_settles_and_raises() -> None:
    halt = threading.Event()
    begun: list[str] = []

    def one(problem: Problem) -> str:
        begun.append(problem.name)
        if problem.name == "3":
            halt.set()
        return problem.name

    results: list[str] = []
    with pytest.raises(Interrupted, match="stopped after 4 problems"):
        results.extend(run_many(PROBLEMS, one, jobs=1, halt=halt))
    assert begun == ["0", "1", "2", "3"]


def test_what_does_not_settle_in_time_is_abandoned() -> None:
    halt, never = threading.Event(), threading.Event()

    def one(problem: Problem) -> str:
        if problem.name == "0":
            halt.set()
            never.wait(30)
        return problem.name

    begun = time.monotonic()
    with pytest.raises(Interrupted, match="1 still at work were abandoned"):
        list(run_many(PROBLEMS, one, jobs=1, halt=halt, grace_s=0.3))
    assert time.monotonic() - begun < 10
    never.set()


def test_control_c_lets_the_one_in_flight_settle() -> None:
    results: list[str] = []

    def one(problem: Problem) -> str:
        if problem.name == "2":
            time.sleep(0.5)  # until the main thread waits for this result; elsewhere it would be the test that is hit
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.3)
        return problem.name

    def collect() -> None:
        for result in run_many(PROBLEMS, one, jobs=1):
            results.append(result)

    try:
        with pytest.raises(Interrupted, match="Resume"):
            collect()
    except KeyboardInterrupt:  # would end the whole session
        pytest.fail("the interrupt got out")
    assert results == ["0", "1", "2"]


def test_the_first_error_ends_the_others_and_is_raised_itself() -> None:
    begun: list[str] = []

    def one(problem: Problem) -> str:
        begun.append(problem.name)
        if problem.name == "1":
            raise MissingPart("no compiler")
        time.sleep(0.02)
        return problem.name

    with pytest.raises(MissingPart, match="no compiler"):
        list(run_many(PROBLEMS, one, jobs=2))
    assert len(begun) < len(PROBLEMS)


def test_an_error_in_the_problems_themselves_is_raised() -> None:
    def problems() -> Iterator[Problem]:
        yield PROBLEMS[0]
        raise MissingPart("catalog is away")

    with pytest.raises(MissingPart, match="catalog"):
        list(run_many(problems(), lambda problem: problem.name, jobs=2))


def test_a_caller_that_stops_listening_halts_the_loops() -> None:
    halt = threading.Event()
    results = run_many(PROBLEMS, lambda problem: time.sleep(0.01), halt=halt)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator, declared as an Iterator
    assert halt.is_set()
