"""Limits on evaluations, wall time, tokens, dollars and model calls, reserved before spending; it measures nothing.

All but wall time add up. Wall time is the clock since the budget was made: work that runs side by side shares it, and
a resumed run gets it anew.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from agents.protocols import Cost
from sysmith_errors import BudgetExhausted, InternalFault

_SLACK = 1e-9  # dollars and seconds are floats; a sum of cents must not miss its limit by rounding


@dataclass(frozen=True)
class Limits:
    """What may be spent at most; None is no limit. ``wall_s`` is in seconds, ``dollars`` in US dollars."""

    evaluations: int | None = None
    wall_s: float | None = None
    tokens: int | None = None
    dollars: float | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and (math.isnan(value) or value < 0):
                raise ValueError(f"a limit is not negative, but {name} is {value}")


_WORDS = {
    "evaluations": "evaluations",
    "wall_s": "seconds",
    "tokens": "tokens",
    "dollars": "dollars",
    "calls": "model calls",
}


class Reservation:
    """A part of a budget set aside. Settle it with what was really spent, or release it; leaving the ``with`` block
    without settling releases it."""

    def __init__(self, budget: Budget, cost: Cost) -> None:
        self._budget = budget
        self.cost = cost
        self._open = True

    def settle(self, actual: Cost) -> None:
        """Book ``actual`` in place of the reservation. More than was reserved is booked too: spent is spent.

        Raises InternalFault if the reservation was settled or released before.
        """
        with self._budget._lock:
            if not self._open:
                raise InternalFault("a reservation was settled twice")
            self.release()
            self._budget.charge(actual)

    def release(self) -> None:
        """Give the reserved part back, with nothing spent; harmless when already settled."""
        with self._budget._lock:
            if self._open:
                self._open = False
                self._budget._forget(self)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Budget:
    """Thread-safe. What a child reserves and spends counts against its parents too, in one step.

    As long as nothing settles for more than it reserved, and nothing is charged, no limit is ever passed.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        name: str = "the run",
        parent: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self.name = name
        self.parent = parent
        self._clock = clock
        self._begun = clock()
        self._spent = Cost()
        self._reserved: dict[int, Reservation] = {}
        # One lock for the whole family, so that a child and its parents are always checked and booked together.
        self._lock: threading.RLock = parent._lock if parent else threading.RLock()

    def child(self, name: str, limits: Limits | None = None) -> Budget:
        """A budget within this one, with limits of its own or none."""
        return Budget(limits, name=name, parent=self, clock=self._clock)

    @property
    def spent(self) -> Cost:
        """What was settled or charged; its ``wall_s`` sums the work, not the clock."""
        with self._lock:
            return self._spent

    @property
    def reserved(self) -> Cost:
        """What is set aside for work in flight."""
        with self._lock:
            return sum((reservation.cost for reservation in self._reserved.values()), Cost())

    def remaining(self) -> Limits:
        """What may still be reserved, here and in the parents; None is no limit."""
        with self._lock:
            return Limits(*(self._least_left(name) for name in vars(self.limits)))

    def _least_left(self, name: str) -> Any:
        left = [limit - b._used(name) for b in self.line() if (limit := getattr(b.limits, name)) is not None]
        return max(0, min(left)) if left else None

    def reserve(self, cost: Cost) -> Reservation:
        """Set ``cost`` aside here and in all parents, or raise BudgetExhausted, naming the limit.

        A wall time in ``cost`` asks that so much be left on the clock.
        """
        with self._lock:
            for budget in self.line():
                for name, limit in budget._each():
                    asked = getattr(cost, name)
                    if limit is not None and asked > 0 and budget._used(name) + asked > limit + _SLACK:
                        raise BudgetExhausted(budget._reason(name), mend="Raise the limit and resume the run.")
                if budget._clock_is_up():
                    raise BudgetExhausted(budget._reason("wall_s"), mend="Raise the limit and resume the run.")
            reservation = Reservation(self, cost)
            for budget in self.line():
                budget._reserved[id(reservation)] = reservation
            return reservation

    def may_fit_later(self, cost: Cost) -> bool:
        """Whether ``cost`` would fit if all that is in flight came to nothing: then it is worth waiting for it."""
        with self._lock:
            return not any(
                limit is not None and name != "wall_s" and getattr(budget._spent + cost, name) > limit + _SLACK
                for budget in self.line()
                for name, limit in budget._each()
            )

    def charge(self, cost: Cost, *, parents: bool = True) -> None:
        """Book what is already spent (work replayed from a log), even past a limit; without ``parents`` where they
        know of it from elsewhere."""
        with self._lock:
            for budget in self.line() if parents else [self]:
                budget._spent = budget._spent + cost

    def exhausted(self) -> tuple[str, ...]:
        """For each limit with nothing left, here or in a parent, one clause that names it, such as
        ``the limit of 20 evaluations for the run is reached``. What is in flight counts as used."""
        with self._lock:
            return tuple(budget._reason(name) for budget in self.line() for name in budget._full())

    def stops_evaluation(self) -> str | None:
        """The clause of the limit that rules out any further evaluation, or None. Tokens and dollars do not: proposers
        that cost nothing may go on."""
        with self._lock:
            for budget in self.line():
                for name in budget._full():
                    if name in ("evaluations", "wall_s"):
                        return budget._reason(name)
        return None

    def _each(self) -> list[tuple[str, float | None]]:
        return list(vars(self.limits).items())

    def line(self) -> list[Budget]:
        """This budget, its parent, and so on up to the run's."""
        line: list[Budget] = [self]
        while (parent := line[-1].parent) is not None:
            line.append(parent)
        return line

    def _used(self, name: str) -> float:
        if name == "wall_s":
            return self._clock() - self._begun
        used: float = getattr(self._spent, name) + getattr(self.reserved, name)
        return used

    def _clock_is_up(self) -> bool:
        return self.limits.wall_s is not None and self._used("wall_s") >= self.limits.wall_s

    def _full(self) -> list[str]:
        return [name for name, limit in self._each() if limit is not None and self._used(name) >= limit - _SLACK]

    def _reason(self, name: str) -> str:
        limit = getattr(self.limits, name)
        return f"the limit of {limit:g} {_WORDS[name]} for {self.name} is reached"

    def _forget(self, reservation: Reservation) -> None:
        for budget in self.line():
            budget._reserved.pop(id(reservation), None)
