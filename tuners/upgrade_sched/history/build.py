"""Puts checked records together into a ``History``; it reads no file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sysmith_errors import InputError
from tuners.upgrade_sched.history.values import Values
from tuners.upgrade_sched.types import OUTCOMES, History, HistoryRecord

_SAME_S = 60.0  # start, end and duration may disagree by this much: clocks and rounding


@dataclass
class Builder:
    """Takes records one by one, refuses the bad ones with an issue, and makes the history."""

    values: Values
    entity: list[str] = field(default_factory=list)
    type: list[str] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    duration: list[float] = field(default_factory=list)
    censored: list[bool] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)
    submit: list[float] = field(default_factory=list)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[tuple[str, str, float], int] = field(default_factory=dict)
    duplicates: int = 0

    def add(
        self,
        line: int,
        *,
        entity: str,
        type: str,
        start: float | None,
        duration: float | None,
        end: float | None = None,
        censored: bool = False,
        outcome: str = "",
        submit: float | None = None,
        numbers: Mapping[str, float] | None = None,
        texts: Mapping[str, str] | None = None,
        fields: tuple[str, str, str, str] = ("entity", "duration", "end", "submit"),
    ) -> bool:
        """Take one record; False where it was refused. ``fields`` are the file's own names, for messages."""
        bad, before = self.values.bad, self.values.found.issues.count
        if not entity:
            bad("entity-missing", line, fields[0], "it does not say what was upgraded", "Name its server.")
        if "\0" in entity or "\0" in type:
            bad("name-binary", line, fields[0], "a name holds a NUL byte", "The file is damaged: restore it.")
        if start is not None and end is not None:
            if end < start:
                bad("end-before-start", line, fields[2], "it ended before it started", "Swap or correct the times.")
            elif duration is None:
                duration = end - start
            elif abs(end - start - duration) > _SAME_S:
                bad(
                    "end-disagrees",
                    line,
                    fields[2],
                    f"start and end are {end - start:g} s apart, and the duration is {duration:g} s",
                    "Correct one of the three, or map only two of them.",
                )
        if duration is None and censored:
            duration = 0.0  # it was cut off after a time nobody wrote down: any duration is possible
        if duration is None and self.values.found.issues.count == before:
            bad("duration-missing", line, fields[1], "no duration and no end is given", "Give one, or censor it.")
        if outcome and outcome not in OUTCOMES:
            bad("outcome-unknown", line, "outcome", f"{outcome!r} is no outcome", f"Use one of {', '.join(OUTCOMES)}.")
        if submit is not None and start is not None and submit > start:
            bad("submit-after-start", line, fields[3], "it was due after it started", "Correct the times.")
        if self.values.found.issues.count > before or start is None or duration is None:
            return False
        key = (entity, type, start)
        self.duplicates += key in self.seen
        self.seen[key] = line
        self.entity.append(entity)
        self.type.append(type)
        self.start.append(start)
        self.duration.append(duration)
        self.censored.append(censored)
        self.outcome.append(outcome or ("cancelled" if censored else "completed"))
        self.submit.append(start if submit is None else submit)
        self._feature(self.numbers, numbers or {}, math.nan)
        self._feature(self.texts, texts or {}, "")
        return True

    def _feature(self, columns: dict[str, list[Any]], given: Mapping[str, Any], missing: Any) -> None:
        count = len(self.entity)
        for name, value in given.items():
            column = columns.setdefault(name, [])
            column.extend([missing] * (count - 1 - len(column)))
            column.append(value)

    def history(self, source: str) -> History:
        """All records taken, in order of due time; equal times keep the order of the file."""
        count = len(self.entity)
        for columns, missing in ((self.numbers, math.nan), (self.texts, "")):
            for column in columns.values():
                column.extend([missing] * (count - len(column)))  # type: ignore[list-item]  # each with its own kind
        submit = np.array(self.submit, dtype=float)
        order = np.argsort(submit, kind="stable")
        whole = History(
            np.array(self.entity, dtype=np.str_),
            np.array(self.type, dtype=np.str_),
            np.array(self.start, dtype=float),
            np.array(self.duration, dtype=float),
            np.array(self.censored, dtype=bool),
            np.array(self.outcome, dtype=np.str_),
            submit,
            {name: np.array(column, dtype=float) for name, column in self.numbers.items()},
            {name: np.array(column, dtype=np.str_) for name, column in self.texts.items()},
            source,
        )
        return whole.take(order)


def from_records(records: Iterable[HistoryRecord], source: str = "records") -> History:
    """A history from records made in a program. Raises InputError for the first that is not in order."""
    from tuners.upgrade_sched.history.lines import Found

    found = Found()
    builder = Builder(Values(source, found))
    for number, record in enumerate(records, start=1):
        texts = {k: str(v) for k, v in record.features.items() if isinstance(v, str)}
        numbers = {k: float(v) for k, v in record.features.items() if isinstance(v, int | float)}
        ok = math.isfinite(record.duration_s) and record.duration_s >= 0 and math.isfinite(record.start)
        builder.add(
            number,
            entity=record.entity,
            type=record.type,
            start=record.start,
            duration=record.duration_s if ok else None,
            censored=record.censored,
            outcome=record.outcome,
            submit=record.submit,
            numbers=numbers,
            texts=texts,
        )
    if found.issues.found:
        raise InputError(str(found.issues.found[0]))
    return builder.history(source)
