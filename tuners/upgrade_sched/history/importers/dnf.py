"""dnf: the table that ``dnf history list`` prints, or its log ``dnf.log``.

The table says when each transaction began and not when it ended, so only the log gives durations: from the line that
names the command to the ``Complete!`` or ``Error`` of the same process. The table is recognised and refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from sysmith_errors import InputError
from tuners.upgrade_sched.history.build import Builder
from tuners.upgrade_sched.history.importers.apt import host_of
from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.values import Values
from tuners.upgrade_sched.types import History

_LINE = re.compile(
    r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d{4})?)\s+(?:\[(\d+)\]\s+)?([A-Z]+)\s(.*)$"
)
_BEGIN = re.compile(r"^(?:DNF version|Command): ?(?:dnf5?|yum)?\s*(.*)$")
_PACKAGES = re.compile(r"^(Install|Upgrade|Remove|Downgrade)\s+(\d+) Packages?")
_CHANGING = ("upgrade", "update", "install", "remove", "distro-sync", "system-upgrade", "downgrade", "reinstall")
_DAMAGED = 5  # so many lines of another form are traceback or plug-in output; more mean another kind of file


def read_dnf(path: Path, found: Found, host: str = "") -> History:
    """Read a log. Raises InputError for a file that is no dnf log; half a transaction at its end is censored."""
    values = Values(str(path), found)
    builder = Builder(values)
    host = host or host_of(path)
    current: _Transaction | None = None
    strange = lines = 0
    last = 0.0
    for number, line, _ in read_lines(path, found):
        if not line.strip():
            continue
        if number <= 3 and "|" in line and "Command line" in line:
            raise InputError(
                f"{path}: a table of dnf history says when transactions began, not how long they took",
                mend="Give /var/log/dnf.log instead.",
            )
        match = _LINE.match(line)
        if match is None:
            strange += 1
            continue
        lines += 1
        moment = values.time(_zone(match[1]), number, "time")
        if moment is None:
            continue
        last, text = moment, match[4].strip()
        begin = _BEGIN.match(text)
        if begin and text.startswith("Command"):
            _end(current, builder, host, None, "")
            current = _Transaction(number, moment, begin[1])
        elif current is not None:
            packages = _PACKAGES.match(text)
            if packages:
                current.packages += int(packages[2])
            elif text.startswith("Complete!") or (match[3] == "ERROR" and text.startswith("Error")):
                _end(current, builder, host, moment, "failed" if text.startswith("Error") else "")
                current = None
    if not lines:
        raise InputError(f"{path}: no line of it is one of a dnf log", mend="Give /var/log/dnf.log.")
    if strange > max(_DAMAGED, lines):
        found.notes.append(f"{path}: {strange} lines are not of the log's form and were left out")
    if current is not None and current.packages:
        _end(current, builder, host, last, "cancelled")
    return builder.history(str(path))


class _Transaction:
    """A command that has begun."""

    def __init__(self, line: int, start: float, command: str) -> None:
        self.line, self.start, self.packages = line, start, 0
        words = [word for word in command.split() if not word.startswith("-")]
        self.verb = words[0] if words else "none"


def _end(current: _Transaction | None, builder: Builder, host: str, moment: float | None, outcome: str) -> None:
    """Take a transaction that changes packages; one that was never seen to end is dropped as an inquiry."""
    if current is None or moment is None or current.verb not in _CHANGING:
        return
    builder.add(
        current.line,
        entity=host,
        type=current.verb,
        start=current.start,
        duration=None,
        end=moment,
        censored=outcome == "cancelled",
        outcome=outcome,
        numbers={"packages": float(current.packages)},
        fields=("host", "time", "time", "time"),
    )


def _zone(text: str) -> str:
    text = text.replace(",", ".")
    return re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)
