"""A hard limit on the time that one call may take; what it was doing then is abandoned, not stopped.

The timeouts of HTTP clients are for each read, and some servers send a blank now and then to keep a connection open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

GRACE_S = 1.0  # the client's own timeout, where it works, tells more


class TimeLimit(Exception):
    """The time was over."""


def within(seconds: float | None, work: Callable[[], T]) -> T:
    """``work()``, or TimeLimit once it took ``seconds`` and a second of grace. Raises what ``work`` raises."""
    if seconds is None:
        return work()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # carried to the caller's thread and raised there
            errors.append(error)

    thread = threading.Thread(target=run, name="model-call", daemon=True)
    thread.start()
    thread.join(seconds + GRACE_S)
    if errors:
        raise errors[0]
    if not results:
        raise TimeLimit
    return results[0]
