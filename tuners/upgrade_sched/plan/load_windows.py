"""Maintenance windows from a table, with repeats written out; it knows no upgrade."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tuners.upgrade_sched.plan.fields import Reader
from tuners.upgrade_sched.plan.model import Fleet, Window
from tuners.upgrade_sched.plan.tables import Table

KNOWN = (
    "window",
    "start",
    "end",
    "slots",
    "repeat",
    "every_hours",
    "every_days",
    "length_min",
    "length_hours",
    "where",
)
MOST_REPEATS = 10_000
MOST_SLOTS = 1_000_000


def read_windows(table: Table, fleet: Fleet, read: Reader) -> tuple[Window, ...]:
    """The windows, earliest first. ``start`` with ``end`` or a length; ``slots``; optionally ``repeat`` (how many in
    all) with ``every_days`` (same wall-clock time) or ``every_hours``; any column named after a domain, or ``where``,
    limits the window to those servers."""
    found: list[Window] = []
    lines: list[int] = []
    for name in table.columns:
        if name not in KNOWN and name not in fleet.domains:
            mend = f"Known: {', '.join(KNOWN)} and the fleet's domains ({', '.join(fleet.domains) or 'none'})."
            read.bad("unknown-column", 1, name, "is neither a field of a window nor a domain of the fleet", mend)
    for number, line in enumerate(table.lines):
        row = {name: column[number] for name, column in table.columns.items()}
        found += (made := _window(row, line, number, fleet, read))
        lines += [line] * len(made)
    seen: dict[str, int] = {}
    for window, line in zip(found, lines, strict=True):
        if window.name in seen:
            message = f"{window.name!r} is on line {seen[window.name]} too"
            read.bad("duplicate", line, "window", message, "Rename one of them.")
        seen.setdefault(window.name, line)
    return tuple(sorted(found, key=lambda window: (window.start, window.end, window.name)))


def _window(row: dict[str, Any], line: int, number: int, fleet: Fleet, read: Reader) -> list[Window]:
    name = read.text(row.get("window"), line, "window") or f"window-{number + 1}"
    before = read.issues.count
    start, end = read.time(row.get("start"), line, "start"), read.time(row.get("end"), line, "end")
    length = read.seconds(row, "length", line)
    slots = read.count(row.get("slots"), line, "slots", least=1)
    repeat = read.count(row.get("repeat"), line, "repeat", least=1) or 1
    hours = read.number(row.get("every_hours"), line, "every_hours", above=True)
    days = read.count(row.get("every_days"), line, "every_days", least=1)
    where = _where(row, line, fleet, read)
    if read.issues.count > before:
        return []
    if start is None:
        read.bad("missing", line, "start", "is empty", "Say when the window begins.")
        return []
    if (end is None) == (length is None):
        message = "is given beside a length" if end is not None else "is empty, and no length is given"
        read.bad("window-end", line, "end", message, "Give end, or length_min, or length_hours.")
        return []
    end = end if end is not None else start + round(length or 0)
    if end <= start:
        message = f"{_given(row, 'end')} is not after start {_given(row, 'start')}"
        read.bad("window-order", line, "end", message, "Swap them, or correct the date.")
        return []
    if slots is None or slots > MOST_SLOTS:
        message = "is empty" if slots is None else f"{slots} is more than {MOST_SLOTS}"
        read.bad("slots", line, "slots", message, "Say how many upgrades may run in the window at once.")
        return []
    if repeat > 1 and hours is None and days is None:
        read.bad("repeat", line, "repeat", "has no step", "Give every_days or every_hours.")
        return []
    if repeat > MOST_REPEATS:
        read.bad("repeat", line, "repeat", f"{repeat} is more than {MOST_REPEATS}", "Plan a shorter time.")
        return []
    windows = []
    for turn in range(repeat):
        first = _shift(start, turn, days, hours, read)
        label = name if repeat == 1 else f"{name}-{turn + 1}"
        windows.append(Window(label, first, first + end - start, slots, where))
    return windows


def _given(row: dict[str, Any], name: str) -> str:
    return f"{str(row.get(name))!r:.60}"


def _shift(start: int, turn: int, days: int | None, hours: float | None, read: Reader) -> int:
    if days is not None:
        # The same time on the wall, also when clocks change in between.
        wall = dt.datetime.fromtimestamp(start, read.zone).replace(tzinfo=None) + dt.timedelta(days=days * turn)
        return round(wall.replace(tzinfo=read.zone).timestamp())
    return start + round(turn * (hours or 0.0) * 3600)


def _where(row: dict[str, Any], line: int, fleet: Fleet, read: Reader) -> dict[str, tuple[str, ...]]:
    where: dict[str, tuple[str, ...]] = {}
    nested = row.get("where")
    if nested not in (None, "") and not isinstance(nested, dict):
        read.bad("where", line, "where", f"{nested!r:.60} is not a table", 'Write where = { zone = ["a", "b"] }.')
        nested = None
    for domain, cell in [*row.items(), *(nested or {}).items()]:
        if domain in KNOWN:
            continue
        if domain not in fleet.domains:
            if domain in (nested or {}):
                mend = f"Domains: {', '.join(fleet.domains) or 'none'}."
                read.bad("unknown-domain", line, domain, "is not a domain of the fleet", mend)
            continue
        values = read.texts(cell, line, domain)
        for value in values:
            if value not in fleet.domains[domain].values:
                read.bad("unknown-value", line, domain, f"no server has {value!r}", "Correct its spelling.")
        if values:
            where[domain] = values
    return where
