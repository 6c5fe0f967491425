"""Standard Workload Format: one job a line, 18 numbers, ``;`` before comments (Feitelson, Parallel Workloads Archive).

A job is read as an upgrade of its user's, its queue (or partition) being the type. A job that was cancelled (status 5)
while it ran is censored; one that never ran is left out and counted. Times are seconds since ``UnixStartTime``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.values import LONGEST_S, Values
from tuners.upgrade_sched.types import Floats, History

FIELDS = (
    *("job", "submit", "wait", "run", "processors", "cpu", "memory", "requested_processors", "requested_time"),
    *("requested_memory", "status", "user", "group", "executable", "queue", "partition", "preceding", "think"),
)
_NUMBERS = (("processors", 4), ("requested_processors", 7), ("requested_time", 8), ("requested_memory", 9))
_TEXTS = (("group", 12), ("executable", 13), ("partition", 15))


def read_swf(path: Path, found: Found) -> History:
    """Read a workload log. Bad lines are issues in ``found``."""
    file, begin = str(path), 0.0
    values = Values(file, found)
    jobs: list[list[str]] = []
    lines: list[int] = []
    for number, line, whole in read_lines(path, found):
        if line.startswith(";"):
            begin = _begin(line, begin, number, values)
            continue
        cells = line.split()
        if len(cells) == len(FIELDS):
            jobs.append(cells)
            lines.append(number)
        elif cells and not whole and len(cells) < len(FIELDS):
            found.notes.append(f"{file}: the last line ({number}) is cut off and was left out")
        elif cells:
            values.bad("columns", number, "", f"it has {len(cells)} fields, not 18", "Restore the line.")
    table, kept = _table(jobs, lines, values)
    return _history(table, kept, begin, values)


def _begin(text: str, before: float, number: int, values: Values) -> float:
    name, _, value = text.lstrip("; ").partition(":")
    if name.strip() != "UnixStartTime":
        return before
    try:
        return float(value)
    except ValueError:
        values.bad("header", number, "UnixStartTime", f"{value.strip()!r} is no number", "Write Unix seconds.")
        return before


def _table(jobs: list[list[str]], lines: list[int], values: Values) -> tuple[Floats, NDArray[np.int64]]:
    """The jobs as numbers (jobs x 18), and the line of each; those that are not numbers are issues."""
    numbers = np.array(lines, dtype=np.int64)
    try:
        return np.array(jobs, dtype=float).reshape(-1, len(FIELDS)), numbers
    except ValueError:  # somewhere a field is no number: find out where
        good = [i for i, cells in enumerate(jobs) if _readable(cells, lines[i], values)]
        return np.array([jobs[i] for i in good], dtype=float).reshape(-1, len(FIELDS)), numbers[good]


def _readable(cells: list[str], number: int, values: Values) -> bool:
    good = True
    for name, cell in zip(FIELDS, cells, strict=True):
        try:
            float(cell)
        except ValueError:
            good = False
            values.bad("number-unreadable", number, name, f"{cell!r} is no number", "Restore it; -1 is not known.")
    return good


def _history(table: Floats, lines: NDArray[np.int64], begin: float, values: Values) -> History:
    """The history of what ran; what is wrong with the other jobs is noted."""
    status, run, submit = table[:, 10], table[:, 3], table[:, 1]
    finite = np.isfinite(table).all(axis=1)
    for i in np.flatnonzero(~finite):
        name = FIELDS[int(np.flatnonzero(~np.isfinite(table[i]))[0])]
        values.bad("number-infinite", int(lines[i]), name, "it is not finite", "Write -1 for what is not known.")
    part = np.isin(status, (2, 3, 4))  # a part of a checkpointed job, which has a line of its own for the whole
    never = ~part & finite & ((run < 0) | ((run == 0) & (status != 1)))
    unknown = ~part & ~never & finite & (submit == -1)
    for i in np.flatnonzero(finite & (submit < 0) & (submit != -1)):
        values.bad(
            "time-range", int(lines[i]), "submit", f"{submit[i]:g} is before the log begins", "Restore the line."
        )
    for i in np.flatnonzero(finite & (run > LONGEST_S)):
        values.bad("duration-long", int(lines[i]), "run", f"{run[i]:g} s is more than 400 days", "Leave the job out.")
    for count, what in ((never.sum(), "never ran"), (unknown.sum(), "have no submit time")):
        if count:
            values.found.notes.append(f"{values.file}: {count} jobs {what} and were left out")
    table = table[finite & ~part & ~never & (submit >= 0) & (run <= LONGEST_S)]
    table = table[np.argsort(table[:, 1], kind="stable")]
    cancelled = table[:, 10] == 5
    outcome = np.where(cancelled, "cancelled", np.where(table[:, 10] == 0, "failed", "completed"))
    return History(
        _words(table[:, 11]),
        _words(table[:, 14]),
        begin + table[:, 1] + np.maximum(table[:, 2], 0.0),
        table[:, 3],
        cancelled,
        outcome.astype(np.str_),
        begin + table[:, 1],
        {name: np.where(table[:, place] < 0, np.nan, table[:, place]) for name, place in _NUMBERS},
        {name: _words(table[:, place]) for name, place in _TEXTS},
        values.file,
    )


def _words(column: Floats) -> NDArray[np.str_]:
    """Numbers that are names; the negative ones are not known."""
    numbers, place = np.unique(column.astype(np.int64), return_inverse=True)
    words = np.array([str(n) if n >= 0 else "unknown" for n in numbers.tolist()] or [""], dtype=np.str_)
    result: NDArray[np.str_] = words[place]
    return result
