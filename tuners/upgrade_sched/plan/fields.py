"""Single values out of tables: times, durations, counts, shares, lists; each fault becomes an issue with its mend."""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.issues import Issues

LATEST = 4_102_444_800  # 2100-01-01: a later time is milliseconds, or a typing error
LONGEST = 366 * 86_400
_TRUE, _FALSE = ("true", "yes", "1", "y"), ("false", "no", "0", "n")


def zone_of(name: str) -> dt.tzinfo:
    """The time zone called ``name``. Raises InputError where there is none."""
    try:
        return dt.UTC if name.upper() in ("UTC", "Z") else zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"there is no time zone {name!r}", mend="Use a name such as Europe/Berlin, or UTC.") from None


@dataclass(frozen=True)
class Reader:
    """Turns cells of one file into values; an empty cell (None or "") gives None."""

    file: str
    issues: Issues
    zone: dt.tzinfo = dt.UTC

    def bad(self, kind: str, line: int, field: str, message: str, mend: str) -> None:
        """Note a problem."""
        self.issues.add(kind, self.file, line, field, message, mend)

    def time(self, value: Any, line: int, field: str) -> int | None:
        """Unix seconds from a number, ISO 8601 text or TOML date-time; one without an offset is in ``zone``."""
        if value is None or value == "":
            return None
        moment: dt.datetime | None = None
        seconds: float | None = None
        try:
            if isinstance(value, dt.datetime):
                moment = value
            elif isinstance(value, dt.date):
                moment = dt.datetime(value.year, value.month, value.day)
            elif isinstance(value, bool):
                raise ValueError
            elif isinstance(value, int | float):
                seconds = float(value)
            else:
                try:
                    seconds = float(value)
                except ValueError:
                    moment = dt.datetime.fromisoformat(str(value))
            if moment is not None:
                seconds = (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).timestamp()
        except (ValueError, OverflowError):
            seconds = None
        if seconds is None or not math.isfinite(seconds):
            mend = "Write it as 2026-03-01T22:00:00+01:00 or in Unix seconds."
            self.bad("time", line, field, f"{value!r:.60} is not a time", mend)
            return None
        if not 0 <= seconds <= LATEST:
            mend = "Give seconds, not milliseconds, between 1970 and 2100."
            self.bad("time-range", line, field, f"{value!r:.60} is not between 1970 and 2100", mend)
            return None
        return round(seconds)

    def number(
        self, value: Any, line: int, field: str, *, least: float = 0.0, above: bool = False, most: float = math.inf
    ) -> float | None:
        """A finite number of at least ``least`` (more than it if ``above``) and at most ``most``."""
        if value is None or value == "":
            return None
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(value)
        except (TypeError, ValueError):
            self.bad("number", line, field, f"{value!r:.60} is not a number", "Write a plain number such as 12.5.")
            return None
        if not math.isfinite(number) or number < least or (above and number == least) or number > most:
            low = f"more than {least:g}" if above else f"at least {least:g}"
            high = f" and at most {most:g}" if most < math.inf else ""
            self.bad("range", line, field, f"{value!r:.60} is out of range", f"Give a finite number of {low}{high}.")
            return None
        return number

    def count(self, value: Any, line: int, field: str, *, least: int = 0) -> int | None:
        """A whole number of at least ``least``."""
        number = self.number(value, line, field, least=least, most=1e9)
        if number is not None and number != int(number):
            self.bad("whole", line, field, f"{value!r:.60} is not a whole number", "Give a whole number.")
            return None
        return None if number is None else int(number)

    def text(self, value: Any, line: int, field: str) -> str:
        """A text without control characters; a number is taken as text, nothing as ""."""
        if value is None:
            return ""
        if isinstance(value, bool | list | dict):
            self.bad("text", line, field, f"{value!r:.60} is not a text", "Write a plain text.")
            return ""
        text = str(value).strip()
        if not text.isprintable():
            self.bad("control", line, field, f"{text!r:.60} holds control characters", "Remove them.")
            return ""
        return text

    def flag(self, value: Any, line: int, field: str) -> bool:
        """True or false; nothing is false."""
        if isinstance(value, bool):
            return value
        text = "" if value is None else str(value).strip().lower()
        if text in _TRUE:
            return True
        if text and text not in _FALSE:
            self.bad("flag", line, field, f"{value!r:.60} is neither true nor false", "Write true or false.")
        return False

    def texts(self, value: Any, line: int, field: str) -> tuple[str, ...]:
        """A list of texts: a list, or one text with ``;`` between its parts."""
        if value is None or value == "":
            return ()
        parts: Sequence[Any] = value if isinstance(value, list) else str(value).split(";")
        return tuple(text for part in parts if (text := self.text(part, line, field)))

    def seconds(
        self, row: dict[str, Any], name: str, line: int, read: Callable[..., float | None] | None = None
    ) -> float | None:
        """The duration ``name`` of a row: from ``<name>_s``, ``<name>_min`` or ``<name>_hours``, whichever is there."""
        found: list[tuple[str, float]] = []
        for suffix, factor in (("_s", 1), ("_min", 60), ("_hours", 3600)):
            number = (read or self.number)(row.get(name + suffix), line, name + suffix)
            if number is not None:
                found.append((name + suffix, number * factor))
        if len(found) > 1:
            self.bad("twice", line, found[1][0], f"is given beside {found[0][0]}", "Give one of them.")
        if found and found[0][1] > LONGEST:
            message = f"{str(row[found[0][0]])!r:.60} is longer than a year"
            self.bad("range", line, found[0][0], message, "Check its unit.")
            return None
        return found[0][1] if found else None
