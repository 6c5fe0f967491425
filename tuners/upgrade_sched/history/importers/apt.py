"""apt's ``/var/log/apt/history.log``: one transaction a paragraph, with Start-Date and End-Date in local time.

A transaction is an upgrade of the host, whose name the log does not hold: it is taken from the file's name or folder.
Its type is what it did most of (Upgrade, Install, ...). A paragraph that has a start and no end was cut off: censored.
"""

from __future__ import annotations

import re
from pathlib import Path

from tuners.upgrade_sched.history.build import Builder
from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.values import Values
from tuners.upgrade_sched.types import History

ACTIONS = ("Upgrade", "Install", "Remove", "Purge", "Downgrade", "Reinstall")
_KNOWN = ("Start-Date", "End-Date", "Commandline", "Requested-By", "Error", "Comment", *ACTIONS)
_FORM = "%Y-%m-%d %H:%M:%S"


def read_apt(path: Path, found: Found, host: str = "") -> History:
    """Read the log. Lines of no known field are issues in ``found``."""
    values = Values(str(path), found)
    builder = Builder(values)
    host = host or host_of(path)
    paragraph: dict[str, str] = {}
    begin = 0
    for number, line, whole in read_lines(path, found):
        if not line.strip():
            _take(paragraph, begin, builder, host)
            paragraph = {}
            continue
        name, colon, value = line.partition(":")
        if not colon or name not in _KNOWN:
            if whole:
                values.bad("field-unknown", number, name[:40], "it is no line of an apt history", "Restore the line.")
            else:
                found.notes.append(f"{path}: the last line ({number}) is cut off and was left out")
            continue
        if name in paragraph:
            values.bad("field-twice", number, name, "it is there twice in one transaction", "Put a blank line between.")
            continue
        if not paragraph:
            begin = number
        if not whole and name == "End-Date" and len(value.split()) < 2:
            found.notes.append(f"{path}: the last line ({number}) is cut off and was left out")
            continue
        paragraph[name] = value.strip()
    _take(paragraph, begin, builder, host)
    return builder.history(str(path))


def host_of(path: Path) -> str:
    """The host a log belongs to, by its name (``web1.history.log``) or its folder (``web1/history.log``)."""
    stem = re.sub(r"\.(gz|xz|bz2|log|txt|\d+)$", "", re.sub(r"\.(gz|xz|bz2)$", "", path.name))
    stem = re.sub(r"[-._]?(history|term|dnf)$", "", stem.removesuffix(".log")).removesuffix(".")
    return stem or path.absolute().parent.name or "localhost"


def _take(paragraph: dict[str, str], begin: int, builder: Builder, host: str) -> None:
    if not paragraph:
        return
    values = builder.values
    if "Start-Date" not in paragraph:
        values.bad("time-missing", begin, "Start-Date", "the transaction has no start", "Restore it.")
        return
    counts = {action: _packages(paragraph[action]) for action in ACTIONS if action in paragraph}
    start = values.time(" ".join(paragraph["Start-Date"].split()), begin, "Start-Date", _FORM)
    end = paragraph.get("End-Date")
    if start is None:
        return
    builder.add(
        begin,
        entity=host,
        type=max(counts, key=lambda action: counts[action]) if counts else "none",
        start=start,
        duration=None,
        end=values.time(" ".join(end.split()), begin, "End-Date", _FORM) if end else None,
        censored=end is None,
        outcome="failed" if "Error" in paragraph else "",
        numbers={"packages": float(sum(counts.values()))},
        texts={"command": _command(paragraph.get("Commandline", ""))},
        fields=("host", "End-Date", "End-Date", "Start-Date"),
    )


def _packages(text: str) -> int:
    return len(re.findall(r"\S+:\S+ \(", text)) or len([part for part in text.split(", ") if part])


def _command(text: str) -> str:
    """The program and its verb, without packages: what kind of run it was."""
    words = [word for word in text.split() if not word.startswith("-")]
    return " ".join(Path(word).name if i == 0 else word for i, word in enumerate(words[:2]))
