"""^C and SIGTERM as an event, so that a run ends in good order; it ends nothing itself."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def halt_on_signals() -> Iterator[threading.Event]:
    """Set the event at the first ^C or SIGTERM; a second one ends the program at once."""
    halt = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if halt.is_set():
            raise KeyboardInterrupt
        halt.set()
        # A write of its own: the interrupted code may be in the middle of one to the same stream.
        os.write(2, b"\nsysmith: stopping; what is done is kept (^C again to stop at once)\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield halt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
