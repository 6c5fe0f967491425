"""Single values out of history files: times, durations, words, numbers; each fault becomes an issue with its mend."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

from tuners.upgrade_sched.history.lines import Found

LATEST = 4_102_444_800.0  # 2100-01-01
LONGEST_S = 400 * 86_400.0
UNITS = {"seconds": 1.0, "milliseconds": 0.001, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
TRUE, FALSE = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f", "")


def blank(value: Any) -> bool:
    """Whether a cell says nothing."""
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


@dataclass
class Values:
    """Reads the cells of one file. Each method gives None for what it had to refuse."""

    file: str
    found: Found
    zone: dt.tzinfo = dt.UTC

    def bad(self, kind: str, line: int, field: str, message: str, mend: str) -> None:
        self.found.issues.add(kind, self.file, line, field, message, mend)

    def time(self, value: Any, line: int, field: str, form: str = "") -> float | None:
        """Unix seconds. ``form`` is a strptime format, ``unix``, ``unix_ms`` or empty (Unix seconds or ISO 8601)."""
        if blank(value):
            self.bad("time-missing", line, field, "no time is given", "Give one, or leave the record out.")
            return None
        seconds = self._seconds(value, form)
        if seconds is None:
            wanted = f"in the form {form}" if form else "Unix seconds or ISO 8601, such as 2026-03-01T02:00:00Z"
            self.bad("time-unreadable", line, field, f"{_show(value)} is no time", f"Write it {wanted}.")
            return None
        if not 0 <= seconds < LATEST:
            hint = 'Divide milliseconds by 1000 (format = "unix_ms")' if seconds >= LATEST else "Use a later one"
            self.bad("time-range", line, field, f"{_show(value)} is not between 1970 and 2100", f"{hint}.")
            return None
        return seconds

    def _seconds(self, value: Any, form: str) -> float | None:
        try:
            if isinstance(value, dt.datetime):
                moment = value
            elif form in ("unix", "unix_ms"):
                number = float(value)
                return _finite(number / 1000 if form == "unix_ms" else number)
            elif form:
                moment = dt.datetime.strptime(str(value).strip(), form)
            else:
                try:
                    return _finite(float(value))
                except (TypeError, ValueError):
                    moment = dt.datetime.fromisoformat(str(value).strip())
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self.zone)
            return moment.timestamp()
        except (TypeError, ValueError, OverflowError, OSError):
            return None

    def duration(self, value: Any, line: int, field: str, unit: str = "seconds") -> float | None:
        """Seconds from a number in ``unit`` or from [D-]HH:MM:SS."""
        try:
            seconds = _clock(value) if isinstance(value, str) and ":" in value else float(value) * UNITS[unit]
        except (TypeError, ValueError):
            mend = f"Write a number of {unit}, or HH:MM:SS."
            self.bad("duration-unreadable", line, field, f"{_show(value)} is no duration", mend)
            return None
        if not math.isfinite(seconds):
            self.bad("duration-infinite", line, field, f"{_show(value)} is not finite", "Give a finite duration.")
            return None
        if seconds < 0:
            self.bad("duration-negative", line, field, f"{_show(value)} is negative", "A duration is 0 or more.")
            return None
        if seconds > LONGEST_S:
            mend = "Check the unit, or leave the record out."
            self.bad("duration-long", line, field, f"{_show(value)} {unit} is more than 400 days", mend)
            return None
        return seconds

    def number(self, value: Any, line: int, field: str) -> float | None:
        """A finite number; NaN for an empty cell."""
        if blank(value):
            return math.nan
        try:
            number = float(value)
        except (TypeError, ValueError):
            self.bad(
                "number-unreadable",
                line,
                field,
                f"{_show(value)} is no number",
                "Correct it, or map the column as text.",
            )
            return None
        if not math.isfinite(number):
            self.bad("number-infinite", line, field, f"{_show(value)} is not finite", "Leave the cell empty instead.")
            return None
        return number

    def truth(self, value: Any, line: int, field: str) -> bool | None:
        """A yes or no."""
        text = str(value).strip().lower() if not blank(value) else ""
        if text not in TRUE + FALSE:
            mend = "Write true or false, or name the values that mean censored in the mapping."
            self.bad("truth-unreadable", line, field, f"{_show(value)} is neither yes nor no", mend)
            return None
        return text in TRUE


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _clock(text: str) -> float:
    """[D-]HH:MM:SS[.fff] or MM:SS as seconds. Raises ValueError."""
    text = text.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    days, _, clock = text.lstrip("-").rpartition("-")
    parts = clock.split(":")
    if not 2 <= len(parts) <= 3 or any(not part for part in parts):
        raise ValueError(text)
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + float(part)
    return sign * (seconds + (int(days) if days else 0) * 86_400)


def _show(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
