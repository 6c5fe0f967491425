"""What has happened to a plan's upgrades, read from an event file; it decides nothing.

One JSON object a line: {"time": "2026-03-01T22:05:00Z", "upgrade": "node-07", "event": "started"}, where the event is
started, finished, failed or cancelled; started may name the window and the lane. A torn last line (a writer that was
killed) is left out with a note.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuners.upgrade_sched.plan.fields import Reader
from tuners.upgrade_sched.plan.issues import Issues
from tuners.upgrade_sched.plan.tables import read_text

EVENTS = ("started", "finished", "failed", "cancelled")


@dataclass
class Happened:
    """``started``: upgrade -> (time, window or "", lane or -1) of those running now; ``done``: upgrade -> (begin, end);
    ``failures``: upgrade -> how often it failed or was cancelled; ``last``: the time of the newest event."""

    started: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    done: dict[str, tuple[int, int]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    where: dict[str, tuple[str, int]] = field(default_factory=dict)
    last: int = 0
    torn: bool = False

    def durations(self) -> dict[str, float]:
        """Measured seconds of those that finished."""
        return {name: float(end - begin) for name, (begin, end) in self.done.items() if end > begin}


def read_events(path: Path, known: Mapping[str, int], zone: dt.tzinfo = dt.UTC) -> Happened:
    """Read an event file; ``known`` are the plan's upgrades. Raises InputError naming line and field of a fault."""
    issues = Issues()
    read, found = Reader(str(path), issues, zone), Happened()
    text = read_text(path, issues)
    lines = (text or "").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines):
                found.torn = True
                break
            read.bad("json", number, "", "is not JSON", "Write one event on each line.")
            continue
        _event(row, number, known, read, found)
    issues.raise_if_any()
    return found


def _event(row: Any, line: int, known: Mapping[str, int], read: Reader, found: Happened) -> None:
    if not isinstance(row, dict):
        read.bad("object", line, "", "is not an object", 'Write {"time": ..., "upgrade": ..., "event": ...}.')
        return
    name, kind = read.text(row.get("upgrade"), line, "upgrade"), read.text(row.get("event"), line, "event")
    time = read.time(row.get("time"), line, "time")
    if name not in known:
        read.bad("unknown-upgrade", line, "upgrade", f"the plan has no upgrade {name!r}", "Correct its name.")
        return
    if kind not in EVENTS:
        read.bad("event", line, "event", f"{kind!r} is no event", f"Use one of {', '.join(EVENTS)}.")
        return
    if time is None:
        if row.get("time") in (None, ""):
            read.bad("missing", line, "time", "is missing", "Say when it happened.")
        return
    if time < found.last:
        read.bad("order", line, "time", "is before the event above it", "Keep events in order of time.")
    found.last = max(found.last, time)
    if kind == "started":
        if name in found.started:
            read.bad("twice", line, "event", f"{name!r} is running already", "Report its end first.")
        lane = read.count(row.get("lane"), line, "lane")
        found.started[name] = (time, read.text(row.get("window"), line, "window"), -1 if lane is None else lane)
        return
    if name not in found.started:
        read.bad("not-started", line, "event", f"{name!r} has not started", "Report its start first.")
        return
    begin, window, lane = found.started.pop(name)
    found.where[name] = (window, lane)
    if kind == "finished":
        found.done[name] = (begin, time)
    else:
        found.failures[name] = found.failures.get(name, 0) + 1
