"""Follows the event log of a run while another process writes it; changes nothing and never waits for its lock."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator

from agents.events import Event, read_events
from agents.run_dir import RunInfo, is_open_here
from agents.run_reading import EVENTS

POLL_S = 0.2
_FLOCK = "hhqqi"  # struct flock of Linux on 64-bit processors: type, whence, start, length, process


def is_live(info: RunInfo) -> bool:
    """Whether some process has the run open for writing. It asks about the lock without taking it."""
    if is_open_here(info.path):  # to open and close the file here would give the lock up (POSIX)
        return True
    try:
        handle = os.open(info.path / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        query = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, query))[0]
        return bool(kind != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(handle)


def follow(
    info: RunInfo,
    *,
    last: int | None = None,
    wait: bool = True,
    poll_s: float = POLL_S,
    live: Callable[[RunInfo], bool] = is_live,
) -> Iterator[Event]:
    """Each event of a run, then each new one as it is written, until no process has the run open any more.

    ``last`` begins with so many of the events there are; without ``wait`` it ends with them. Half a line at the end is
    left until its other half is there. Raises InputError naming file and line for damage.
    """
    path = info.path / EVENTS
    seen = size = 0

    def new() -> list[Event]:
        nonlocal seen, size
        now = path.stat().st_size if path.exists() else 0
        if now == size:
            return []
        events = read_events(path)
        size, fresh = now, events[seen:]
        seen = len(events)
        return fresh

    # Asked before reading: what was written before the run was closed is then always read.
    still = wait and live(info)
    events = new()
    yield from events if last is None else events[len(events) - min(last, len(events)) :]
    while still:
        time.sleep(poll_s)
        still = live(info)
        yield from new()
