"""Several answers to one question at once, on threads; it knows nothing of what is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sysmith_errors import BudgetExhausted, Interrupted, SysmithError

T = TypeVar("T")


def gather(one: Callable[[int], T], count: int) -> list[T]:
    """``one(0)`` to ``one(count - 1)`` side by side; the results that came, in order.

    Raises Interrupted, and errors that are no SysmithError, whatever else came; where nothing came, BudgetExhausted
    before any other, else the first error. Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"at least 1 sample is asked for, not {count}")
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}

    def work(number: int) -> None:
        try:
            results[number] = one(number)
        except BaseException as error:  # carried to the caller's thread and raised there
            errors[number] = error

    # Daemons, so that a call nobody waits for any more cannot keep the program from ending.
    threads = [threading.Thread(target=work, args=(n,), name=f"sample-{n}", daemon=True) for n in range(1, count)]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    failures = [errors[number] for number in sorted(errors)]
    for error in failures:
        if isinstance(error, Interrupted) or not isinstance(error, SysmithError):
            raise error
    if results:
        return [results[number] for number in sorted(results)]
    raise next((error for error in failures if isinstance(error, BudgetExhausted)), failures[0])
