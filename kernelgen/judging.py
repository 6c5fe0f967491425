"""A pool of judging processes for one run: starts them, hands out operators, replaces one that dies; judges nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from kernelgen.evaluate.judge import HASH_SEED, judge_in_process, start_process
from kernelgen.evaluate.verdict import Verdict
from sysmith_errors import InternalFault, Interrupted

A = TypeVar("A")
B = TypeVar("B")


def _ready() -> None:
    """Do nothing: makes the pool start a process."""


class JudgePool:
    """``jobs`` judging processes, each with its own sandboxed candidate server; safe to use from several threads."""

    def __init__(self, jobs: int, *, timeout_s: float, memory_bytes: int, allow_unsandboxed: bool) -> None:
        self.jobs = jobs
        self.limits = (timeout_s, memory_bytes)
        self._arguments = (timeout_s, memory_bytes, allow_unsandboxed)
        self._lock = threading.Lock()
        self._closed = False
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(
            self.jobs, mp_context=get_context("spawn"), initializer=start_process, initargs=self._arguments
        )
        # Ignored signals are inherited: ^C in the terminal must reach the parent alone.
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        # Some of OpInfo's samples come in the order of a set, so both sides must hash strings alike.
        hash_seed = os.environ.get("PYTHONHASHSEED")
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        try:
            for _ in range(self.jobs):
                pool.submit(_ready)
        finally:
            if main:
                signal.signal(signal.SIGINT, before)
            os.environ.pop("PYTHONHASHSEED")
            if hash_seed is not None:
                os.environ["PYTHONHASHSEED"] = hash_seed
        return pool

    def judge(self, name: str, dtypes: Sequence[str], sources: Mapping[str, str], limit: int | None) -> Verdict:
        """Judge one operator; blocks. Raises InternalFault when its judging process died twice, and Interrupted when
        the pool was closed meanwhile."""

        def ask(pool: ProcessPoolExecutor) -> Verdict:
            future: Future[dict[str, Any]] = pool.submit(judge_in_process, name, dtypes, sources, limit)
            return Verdict.from_json(future.result())

        return self._asked(f"judged {name}", ask)

    def each(self, function: Callable[[A], B], items: Sequence[A]) -> list[B]:
        """Return ``function`` of every item, in order, spread over the judging processes; both must pickle."""
        return self._asked("linted", lambda pool: list(pool.map(function, items, chunksize=8)))

    def _asked(self, what: str, ask: Callable[[ProcessPoolExecutor], B]) -> B:
        """Return the pool's answer; a pool with a dead process is replaced and asked once more."""
        for attempt in (1, 2):
            pool = self._pool
            try:
                return ask(pool)
            except BrokenProcessPool:
                with self._lock:
                    if self._pool is pool and not self._closed:
                        pool.shutdown(wait=False, cancel_futures=True)
                        self._pool = self._start()
                if self._closed:  # says nothing about the operator, so no trial may be made of it
                    raise Interrupted(f"the run ended before it {what}") from None
                if attempt == 2:
                    raise InternalFault(f"the process that {what} died twice") from None
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Stop all processes at once; work in flight is abandoned."""
        self._closed = True
        pool = self._pool
        processes = list((pool._processes or {}).values())
        for process in processes:
            process.kill()
        # Waiting is short, as all workers are dead, and lets the pool's own thread end before the interpreter does.
        pool.shutdown(wait=True, cancel_futures=True)
