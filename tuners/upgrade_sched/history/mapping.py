"""The column mapping of a history table, from TOML or guessed from the column names; it reads no table.

entity = ["rack", "host"]            # joined by "/"
type = {first_of = ["os", "bios"]}   # the first that is not empty
timezone = "Europe/Berlin"           # of times that name none
start = {column = "begin", format = "%d.%m.%Y %H:%M"}
duration = {column = "took", unit = "minutes"}      # or end = "finish"
censored = {column = "status", values = ["KILLED"]}
outcome = {column = "status", completed = ["OK"], cancelled = ["KILLED"]}
submit = "due"
numbers = ["memory"]                 # features
texts = ["model"]
"""

from __future__ import annotations

import datetime as dt
import tomllib
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from tuners.upgrade_sched.history.values import UNITS
from tuners.upgrade_sched.types import OUTCOMES

FORMATS = ("csv", "jsonl", "parquet", "swf", "sacct", "apt", "dnf", "kubernetes")
_KEYS = (
    *("format", "delimiter", "timezone", "entity", "type", "start", "end", "duration", "submit", "censored"),
    *("outcome", "numbers", "texts"),
)
_GUESSES = {
    "entity": ("entity", "server", "host", "node", "hostname", "machine", "user"),
    "type": ("type", "kind", "package", "cause", "upgrade", "queue"),
    "start": ("start", "start_time", "started", "begin", "timestamp"),
    "end": ("end", "end_time", "ended", "finish", "finished"),
    "duration": ("duration_s", "duration", "seconds", "elapsed", "runtime"),
    "submit": ("submit", "submit_time", "submitted", "due"),
    "censored": ("censored",),
    "outcome": ("outcome",),
}


@dataclass(frozen=True)
class Names:
    """One or more columns that make a name: joined by ``/``, or the first that is not empty."""

    columns: tuple[str, ...] = ()
    first: bool = False


@dataclass(frozen=True)
class Mapping:
    """Which column says what. Empty: not given. ``rest`` takes every column not named as a feature."""

    format: str = ""
    delimiter: str = ""
    zone: dt.tzinfo = dt.UTC
    entity: Names = Names()
    type: Names = Names()
    start: str = ""
    start_format: str = ""
    end: str = ""
    end_format: str = ""
    duration: str = ""
    unit: str = "seconds"
    submit: str = ""
    submit_format: str = ""
    censored: str = ""
    censored_values: tuple[str, ...] = ()
    outcome: str = ""
    outcomes: tuple[tuple[str, str], ...] = ()
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    rest: bool = False

    def columns(self) -> list[str]:
        """Every column the mapping names."""
        single = (self.start, self.end, self.duration, self.submit, self.censored, self.outcome)
        named = [*self.entity.columns, *self.type.columns, *single, *self.numbers, *self.texts]
        return [name for name in dict.fromkeys(named) if name]


def load_mapping(path: Path) -> Mapping:
    """Read a mapping. Raises InputError naming the file and the key for whatever is wrong with it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"mapping {path} cannot be read: {error.strerror}", mend="Check its name and rights."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"mapping {path} is not TOML: {error}", mend="Correct that line.") from error
    return _Parser(str(path)).parse(document)


def guess_mapping(columns: Sequence[str], file: str) -> Mapping:
    """A mapping from customary column names; other columns become features. Raises InputError where a necessary one is
    not among them."""
    lower = {name.strip().lower(): name for name in columns}
    found = {key: next((lower[g] for g in guesses if g in lower), "") for key, guesses in _GUESSES.items()}
    for key in ("entity", "start"):
        if not found[key]:
            raise InputError(
                f"{file}: no column is called {key} (or {', '.join(_GUESSES[key][1:4])})",
                mend=f"Say which it is in a mapping: --mapping FILE.toml. The columns are {', '.join(columns)}.",
            )
    if not found["duration"] and not found["end"]:
        raise InputError(
            f"{file}: no column is called duration_s or end",
            mend=f"Say which it is in a mapping: --mapping FILE.toml. The columns are {', '.join(columns)}.",
        )
    return Mapping(
        entity=Names((found["entity"],)),
        type=Names((found["type"],) if found["type"] else ()),
        start=found["start"],
        end=found["end"],
        duration=found["duration"],
        submit=found["submit"],
        censored=found["censored"],
        outcome=found["outcome"],
        rest=True,
    )


@dataclass
class _Parser:
    file: str

    def bad(self, key: str, message: str, mend: str) -> InputError:
        return InputError(f"mapping {self.file}, key {key}: {message}", mend=mend)

    def parse(self, document: dict[str, Any]) -> Mapping:
        for key in document:
            if key not in _KEYS:
                raise self.bad(key, "there is no such key", f"Known are {', '.join(_KEYS)}.")
        for key in ("entity", "start"):
            if key not in document:
                raise self.bad(key, "it is missing", f'Name the column, as in {key} = "...".')
        if "duration" not in document and "end" not in document:
            raise self.bad("duration", "neither duration nor end is mapped", "Name one of the two columns.")
        start, start_format = self.column(document, "start", "format")
        end, end_format = self.column(document, "end", "format")
        submit, submit_format = self.column(document, "submit", "format")
        duration, unit = self.column(document, "duration", "unit")
        if unit and unit not in UNITS:
            raise self.bad("duration.unit", f"{unit!r} is no unit", f"Use one of {', '.join(UNITS)}.")
        delimiter = self.text(document, "delimiter")
        if len(delimiter) > 1:
            raise self.bad("delimiter", f"{delimiter!r} is not one character", 'Use one, such as ";" or "\\t".')
        form = self.text(document, "format")
        if form and form not in FORMATS:
            raise self.bad("format", f"{form!r} is no format", f"Use one of {', '.join(FORMATS)}.")
        censored, values = self.censored(document)
        outcome, outcomes = self.outcome(document)
        return Mapping(
            format=form,
            delimiter=delimiter,
            zone=self.zone(document),
            entity=self.names(document, "entity"),
            type=self.names(document, "type"),
            start=start,
            start_format=start_format,
            end=end,
            end_format=end_format,
            duration=duration,
            unit=unit or "seconds",
            submit=submit,
            submit_format=submit_format,
            censored=censored,
            censored_values=values,
            outcome=outcome,
            outcomes=outcomes,
            numbers=self.list_of(document, "numbers"),
            texts=self.list_of(document, "texts"),
        )

    def text(self, table: dict[str, Any], key: str, where: str = "") -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.bad(where or key, f"{value!r} is not text", "Put it in quotes.")
        return value

    def list_of(self, table: dict[str, Any], key: str, where: str = "") -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.bad(where or key, f"{value!r} is not a list of texts", 'Write it as ["one", "two"].')
        return tuple(value)

    def column(self, document: dict[str, Any], key: str, extra: str) -> tuple[str, str]:
        """A column's name, and its format or unit."""
        value = document.get(key, "")
        if isinstance(value, str):
            return value, ""
        if not isinstance(value, dict) or not value.get("column"):
            raise self.bad(key, "it names no column", f'Write {key} = "column" or {key} = {{column = "..."}}.')
        self.only(value, key, ("column", extra))
        return self.text(value, "column", f"{key}.column"), self.text(value, extra, f"{key}.{extra}")

    def only(self, table: dict[str, Any], key: str, known: Sequence[str]) -> None:
        for name in table:
            if name not in known:
                raise self.bad(f"{key}.{name}", "there is no such key", f"Known are {', '.join(known)}.")

    def names(self, document: dict[str, Any], key: str) -> Names:
        value = document.get(key, [])
        if isinstance(value, str):
            return Names((value,))
        if isinstance(value, dict):
            self.only(value, key, ("first_of",))
            return Names(self.list_of(value, "first_of", f"{key}.first_of"), first=True)
        return Names(self.list_of(document, key))

    def censored(self, document: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        value = document.get("censored", "")
        if isinstance(value, str):
            return value, ()
        if not isinstance(value, dict) or not value.get("column"):
            raise self.bad("censored", "it names no column", 'Write censored = {column = "...", values = ["..."]}.')
        self.only(value, "censored", ("column", "values"))
        return self.text(value, "column", "censored.column"), self.list_of(value, "values", "censored.values")

    def outcome(self, document: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
        value = document.get("outcome", "")
        if isinstance(value, str):
            return value, ()
        if not isinstance(value, dict) or not value.get("column"):
            raise self.bad("outcome", "it names no column", 'Write outcome = {column = "...", completed = ["OK"]}.')
        self.only(value, "outcome", ("column", *OUTCOMES))
        pairs = [(word, o) for o in OUTCOMES for word in self.list_of(value, o, f"outcome.{o}")]
        return self.text(value, "column", "outcome.column"), tuple(pairs)

    def zone(self, document: dict[str, Any]) -> dt.tzinfo:
        name = self.text(document, "timezone") or "UTC"
        try:
            return dt.UTC if name.upper() in ("UTC", "Z") else zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise self.bad("timezone", f"there is no time zone {name!r}", "Use a name such as Europe/Berlin.") from None
