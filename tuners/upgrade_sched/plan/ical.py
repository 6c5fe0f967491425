"""A plan as an iCalendar file (RFC 5545): an event for each window, or for each upgrade; it knows no schedule rules."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LISTED = 200  # servers named in a window's description


def fold(line: str) -> str:
    """Fold a content line: at most 75 octets without the line end, continued by CRLF and a space (section 3.1);
    characters of several octets are kept whole."""
    parts, current, room = [], b"", 75
    for character in line:
        octets = character.encode("utf-8")
        if len(current) + len(octets) > room:
            parts.append(current)
            current, room = b"", 74  # the space counts
        current += octets
    parts.append(current)
    return "\r\n ".join(part.decode("utf-8") for part in parts)


def escape(text: str) -> str:
    """Escape a TEXT value (section 3.3.11)."""
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return re.sub(r"\r\n|\r|\n", "\\\\n", text)


def _utc(text: str | float) -> str:
    moment = dt.datetime.fromisoformat(text) if isinstance(text, str) else dt.datetime.fromtimestamp(text, dt.UTC)
    return moment.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def _uid(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32] + "@sysmith"


def calendar(plan: Mapping[str, Any], *, stamp: float, each: str = "window") -> str:
    """The calendar's text, CRLF line ends included. ``stamp`` is when it is written (Unix seconds); ``each`` is
    ``window`` or ``upgrade``. UIDs stay the same from plan to plan, so that importing again replaces events."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Sysmith//upgrade-sched//EN", "CALSCALE:GREGORIAN"]
    events = _windows(plan) if each == "window" else _upgrades(plan)
    for uid, start, end, title, text, place in events:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{uid}",
            f"DTSTAMP:{_utc(stamp)}",
            f"DTSTART:{_utc(start)}",
            f"DTEND:{_utc(end)}",
        ]
        lines += [f"SUMMARY:{escape(title)}", f"DESCRIPTION:{escape(text)}"]
        lines += [f"LOCATION:{escape(place)}"] if place else []
        lines += ["TRANSP:TRANSPARENT", "END:VEVENT"]
    lines.append("END:VCALENDAR")
    return "".join(fold(line) + "\r\n" for line in lines)


def _windows(plan: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str, str, str]]:
    of_window: dict[str, list[Mapping[str, Any]]] = {}
    for row in plan["schedule"]:
        of_window.setdefault(row["window"], []).append(row)
    for window in plan["windows"]:
        rows = of_window.get(window["window"], [])
        if not rows:
            continue
        rows = sorted(rows, key=lambda row: (row["start"], row["lane"]))
        listed = [f"{row['start']} lane {row['lane'] + 1}: {row['upgrade']} ({row['type']})" for row in rows[:_LISTED]]
        more = [f"and {len(rows) - _LISTED} more"] if len(rows) > _LISTED else []
        title = f"{len(rows)} upgrades in {window['window']}"
        yield _uid("window", window["window"]), window["start"], window["end"], title, "\n".join(listed + more), ""


def _upgrades(plan: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str, str, str]]:
    for row in plan["schedule"]:
        title = f"Upgrade {row['upgrade']}" + (f" ({row['type']})" if row["type"] else "")
        text = f"Window {row['window']}, lane {row['lane'] + 1}\nReserved until {row['reserved_until']}"
        yield _uid("upgrade", row["upgrade"]), row["start"], row["end"], title, text, row["server"]
