"""Many problems at once on threads, with a clean stop; the work itself happens in processes that evaluators start."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from agents.protocols import Problem
from sysmith_errors import Interrupted

T = TypeVar("T")
_TICK_S = 0.1


def run_many(
    problems: Iterable[Problem],
    run_one: Callable[[Problem], T],
    *,
    jobs: int = 1,
    halt: threading.Event | None = None,
    grace_s: float = 10.0,
) -> Iterator[T]:
    """Call ``run_one`` on each problem, at most ``jobs`` at a time, and yield the results as they come.

    ``run_one`` is usually ``run_loop`` with all but the problem filled in, ``halt`` included. When ``halt`` is set
    (from a signal handler, which is the surest way) or on KeyboardInterrupt, no problem is begun any more; those in
    flight get ``grace_s`` seconds to settle, their results are yielded, the rest is abandoned, and Interrupted is
    raised. The first error that ``run_one`` raises ends the others in the same way and is raised itself. Raises
    ValueError for less than one job.
    """
    if jobs < 1:
        raise ValueError(f"jobs is at least 1, not {jobs}")
    halt = halt or threading.Event()
    return _results(iter(problems), run_one, jobs, halt, grace_s)


class _Done:
    """A worker thread ended; ``error`` is why, where it did not end of itself."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def _results(
    problems: Iterator[Problem], run_one: Callable[[Problem], T], jobs: int, halt: threading.Event, grace_s: float
) -> Iterator[T]:
    inbox: queue.SimpleQueue[tuple[T] | _Done] = queue.SimpleQueue()
    turn = threading.Lock()
    ending = threading.Event()  # no further problem is begun, whoever asked for that

    def work() -> None:
        try:
            while not (ending.is_set() or halt.is_set()):
                with turn:
                    problem = next(problems, None)
                    if problem is None:
                        break
                inbox.put((run_one(problem),))
            inbox.put(_Done())
        except BaseException as error:  # carried to the caller's thread and raised there
            ending.set()
            inbox.put(_Done(error))

    running = 0
    to_start = jobs
    failure: BaseException | None = None
    stopped = False
    deadline: float | None = None
    finished = 0
    try:
        while True:
            try:  # all but the hand-over is in here, because the user's interrupt may come between any two steps
                if not (running or to_start):
                    break
                if deadline is None and (stopped or failure or halt.is_set()):
                    deadline = time.monotonic() + grace_s
                    ending.set()
                    to_start = 0
                    continue
                if to_start:
                    to_start, running = to_start - 1, running + 1
                    # A daemon, so that an abandoned evaluation cannot keep the program from ending.
                    threading.Thread(target=work, name=f"loop-{to_start}", daemon=True).start()
                    continue
                if deadline is not None and time.monotonic() >= deadline:
                    break
                try:
                    message = inbox.get(timeout=_TICK_S)
                except queue.Empty:
                    continue
            except KeyboardInterrupt:
                if stopped:  # asked twice: wait no longer
                    break
                stopped = True
                halt.set()
                continue
            if isinstance(message, _Done):
                running -= 1
                failure = failure or message.error
                if failure:
                    halt.set()
            else:
                finished += 1
                yield message[0]
    finally:
        ending.set()
        if running:  # also when the caller stops listening
            halt.set()
    if failure:
        raise failure
    if halt.is_set():
        left = f", {running} still at work were abandoned" if running else ""
        raise Interrupted(f"stopped after {finished} problems{left}", mend="Resume the run to carry on.")
