"""One request to one model: reserved, logged, tried again while that may help, and booked; it reads no answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from agents.budget import Budget, Reservation
from agents.costs import LLM_COMPLETED, LLM_FAILED, LLM_REQUESTED, LLM_RETRIED, cost_to_json
from agents.events import EventLog
from agents.llm.errors import LLMError, Unreachable
from agents.llm.secrets import Redactor
from agents.llm.types import Completion, Request, Transport
from agents.protocols import Cost
from sysmith_errors import BudgetExhausted, InputError

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
_TICK_S = 0.05


class Call:
    """What all tries of one request share. ``place`` is what all its events have in common (``agents.costs``)."""

    def __init__(
        self,
        request: Request,
        transport: Transport,
        *,
        problem: str | None,
        budget: Budget,
        place: Mapping[str, Any],
        log: EventLog | None,
        redactor: Redactor,
        pause: Callable[[float], None],
        timeout_s: float,
        attempts: int,
        rng: random.Random,
    ) -> None:
        self.request, self.transport, self.problem, self.budget = request, transport, problem, budget
        self._log, self._redactor, self._pause = log, redactor, pause
        self._timeout_s, self._attempts, self._rng = timeout_s, attempts, rng
        self._place = dict(place)

    def make(self) -> tuple[Completion, Cost]:
        """The completion and what was booked for it, earlier tries included.

        Raises BudgetExhausted where the call, or the wait before another try, does not fit; LLMError where the
        provider refuses or cannot be reached in so many attempts; Interrupted while waiting.
        """
        most = self.transport.most(self.request)
        booked = Cost()
        for attempt in range(1, self._attempts + 1):
            self._pause(0)
            reservation = self._reserve(most)
            with reservation:
                self._start(attempt, most)
                try:
                    completion = self.transport.complete(self.request, self._patience())
                except (LLMError, InputError) as error:
                    lost = most if isinstance(error, Unreachable) and error.perhaps_billed else Cost()
                    booked += lost
                    wait = self._wait(error, attempt)
                    kind = LLM_FAILED if wait is None else LLM_RETRIED
                    try:
                        self._close(kind, lost, error=str(error), wait_s=wait or 0.0)
                    finally:
                        reservation.settle(lost)
                    if wait is None:
                        raise
                    self._check_clock(wait, error)
                else:
                    completion = replace(completion, text=self._redactor.text(completion.text))
                    # Where the provider counts nothing, what was reserved is what a limit can rely on.
                    cost = completion.cost if completion.reported else most
                    try:  # the event first: a snapshot in the log must never hold what no event accounts for
                        self._close(LLM_COMPLETED, cost, completion=asdict(completion))
                    finally:
                        reservation.settle(cost)
                    return completion, booked + cost
            self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _reserve(self, most: Cost) -> Reservation:
        """Calls in flight elsewhere mostly cost less than they reserved, so what may fit later waits for them."""
        while True:
            try:
                return self.budget.reserve(most)
            except BudgetExhausted as error:
                left = self.budget.remaining().wall_s
                if left == 0 or not self.budget.may_fit_later(most):
                    raise self._exhausted(error, most) from error
            self._pause(_TICK_S)

    def _exhausted(self, error: BudgetExhausted, most: Cost) -> BudgetExhausted:
        money = f" and ${most.dollars:.4f}" if most.dollars else ""
        name = self.transport.model
        return BudgetExhausted(
            f"{error.message} (the next call to {name} may take up to {most.tokens} tokens{money})", mend=error.mend
        )

    def _start(self, attempt: int, most: Cost) -> None:
        # A patient transport's request is not billed before it is answered, so a killed run owes nothing for it.
        reserved = Cost() if self.transport.patient else most
        request = self.request.to_json() if attempt == 1 else None
        self._append(LLM_REQUESTED, attempt=attempt, reserved=cost_to_json(reserved), request=request)

    def _close(self, kind: str, cost: Cost, **data: Any) -> None:
        self._append(kind, cost=cost_to_json(cost), **data)

    def _append(self, kind: str, **data: Any) -> None:
        if self._log is not None:
            self._log.append(kind, self._redactor.value(data) | self._place, problem=self.problem)

    def _patience(self) -> float | None:
        """How long this try may take: the call's own limit and what the clock leaves, in seconds."""
        left = self.budget.remaining().wall_s
        own = None if self.transport.patient else self._timeout_s
        return min((limit for limit in (left, own) if limit is not None), default=None)

    def _wait(self, error: Exception, attempt: int) -> float | None:
        """Seconds before the next try, None where there is none: exponential backoff with full jitter, and never
        sooner than the provider asked."""
        if not isinstance(error, Unreachable) or attempt >= self._attempts:
            return None
        if self.transport.patient:
            return 0.0  # only the clock ends a wait for a person, and the next reservation sees that
        most = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
        return self._rng.uniform(0, most) + (error.retry_after_s or 0.0)

    def _check_clock(self, wait: float, error: Exception) -> None:
        left = self.budget.remaining().wall_s
        if wait and left is not None and wait >= left:
            raise BudgetExhausted(
                f"{self.transport.model} can only be asked again in {wait:.0f} s, and {left:.0f} s are left",
                mend="Raise the limit on time and resume the run.",
            ) from error


class KeyedLocks:
    """One lock for each key, so that two threads never pay for the same request."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}

    def of(self, key: Any) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())
