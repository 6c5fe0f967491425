"""Rows from CSV, JSON lines, JSON and TOML with the line each came from; it knows no column's meaning."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuners.upgrade_sched.plan.issues import Issues

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json", ".toml")


@dataclass(frozen=True)
class Table:
    """A file's rows as columns of equal length; a cell that is not there is None. ``lines`` counts from 1."""

    file: str
    columns: dict[str, list[Any]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)


def read_text(path: Path, issues: Issues) -> str | None:
    """The file's text without a byte order mark; None, and an issue, where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        issues.add("unreadable", str(path), 0, "", f"cannot be read: {error.strerror}", "Name a file that exists.")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        issues.add("encoding", str(path), line, "", "is not UTF-8 text", "Save it as UTF-8.")
    return None


def read_table(path: Path, kind: str, issues: Issues) -> Table | None:
    """Read ``path``; ``kind`` is the word for a row (``server``, ``upgrade``, ``window``): the key of the list in JSON
    and of the array of tables in TOML. Returns None where nothing can be made of it; problems go to ``issues``."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        issues.add(
            "format", str(path), 0, "", f"has the ending {suffix or 'none'!r}", f"Use one of {', '.join(SUFFIXES)}."
        )
        return None
    text = read_text(path, issues)
    if text is None:
        return None
    if not text.strip():
        issues.add("empty", str(path), 0, "", "is empty", f"Give it at least one {kind}.")
        return None
    if suffix == ".csv":
        return _csv(path, text, issues)
    if suffix == ".toml":
        return _objects(path, _toml(path, text, kind, issues), kind, issues)
    return _objects(path, _json(path, text, kind, suffix, issues), kind, issues)


def read_toml(path: Path, issues: Issues) -> dict[str, Any] | None:
    """Parse a TOML file; None, and an issue, where it is not one."""
    text = read_text(path, issues)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = int(found.group(1)) if (found := re.search(r"line (\d+)", str(error))) else 0
        issues.add("toml", str(path), line, "", f"is not TOML: {error}", "Correct that line.")
    return None


def line_of(text: str, kind: str, number: int) -> int:
    """The line of the ``number``-th (from 0) ``[[kind]]`` in a TOML text, 0 where it is written in another way."""
    header = re.compile(rf"^\s*\[\[\s*{re.escape(kind)}\s*\]\]", re.MULTILINE)
    for position, match in enumerate(header.finditer(text)):
        if position == number:
            return text.count("\n", 0, match.end()) + 1
    return 0


def named_on(text: str, name: str) -> int:
    """The line on which a TOML text first names a table or key ``name``, 0 where it does so in another way."""
    found = re.search(rf"^\s*(\[+\s*)?{re.escape(name)}\b", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 0


def _csv(path: Path, text: str, issues: Issues) -> Table | None:
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        issues.add("nul", str(path), line, "", "holds a NUL byte", "Write the file again; it is damaged.")
        return None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        if not _header_is_good(path, header, issues):
            return None
        columns: list[list[Any]] = [[] for _ in header]
        lines: list[int] = []
        width = len(header)
        for row in reader:
            if len(row) != width:
                if not row:
                    continue
                issues.add(
                    "columns",
                    str(path),
                    reader.line_num,
                    "",
                    f"has {len(row)} fields, and the header has {width}",
                    "Give each line as many fields as the header; quote texts that hold commas.",
                )
                continue
            for column, cell in zip(columns, row, strict=True):
                column.append(cell.strip())
            lines.append(reader.line_num)
    except csv.Error as error:
        issues.add("csv", str(path), reader.line_num, "", f"is not CSV: {error}", "Correct that line.")
        return None
    return Table(str(path), dict(zip(header, columns, strict=True)), lines)


def _header_is_good(path: Path, header: list[str], issues: Issues) -> bool:
    for position, name in enumerate(header):
        if not name:
            issues.add("header", str(path), 1, "", f"column {position + 1} has no name", "Name each column.")
            return False
        if name in header[:position]:
            issues.add("header", str(path), 1, name, "two columns have this name", "Rename or remove one.")
            return False
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        issues.add("delimiter", str(path), 1, "", f"has the one column {header[0]!r}", "Separate fields by commas.")
        return False
    return True


def _toml(path: Path, text: str, kind: str, issues: Issues) -> list[tuple[int, Any]]:
    data = read_toml(path, issues)
    if data is None:
        return []
    rows = data.get(kind)
    if not isinstance(rows, list):
        issues.add("rows", str(path), 0, kind, f"has no [[{kind}]] table", f"Write one [[{kind}]] for each {kind}.")
        return []
    return [(line_of(text, kind, number), row) for number, row in enumerate(rows)]


def _json(path: Path, text: str, kind: str, suffix: str, issues: Issues) -> list[tuple[int, Any]]:
    if suffix == ".json":
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 0)
            issues.add("json", str(path), line, "", f"is not JSON: {error}", "Correct it, or use .jsonl for lines.")
            return []
        rows = data.get(f"{kind}s", data.get(kind)) if isinstance(data, dict) else data
        if not isinstance(rows, list):
            issues.add("rows", str(path), 0, f"{kind}s", "is not a list", f"Give a list of {kind}s.")
            return []
        return [(0, row) for row in rows]
    found: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append((number, json.loads(line)))
            except (ValueError, RecursionError) as error:
                what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                issues.add("json", str(path), number, "", f"is not JSON: {what}", "Write one object on each line.")
    return found


def _objects(path: Path, rows: list[tuple[int, Any]], kind: str, issues: Issues) -> Table | None:
    columns: dict[str, list[Any]] = {}
    lines: list[int] = []
    for line, row in rows:
        if not isinstance(row, dict):
            issues.add("object", str(path), line, "", f"{row!r:.60} is not a {kind}", "Write one object for each.")
            continue
        for name in row:
            if name not in columns:
                columns[name] = [None] * len(lines)
        for name, column in columns.items():
            column.append(row.get(name))
        lines.append(line)
    if not lines:
        return None
    return Table(str(path), columns, lines)
