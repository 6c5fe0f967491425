"""History tables (CSV, JSON lines, Parquet) into records through a column mapping; it guesses nothing itself."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Cells
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from tuners.upgrade_sched.history.build import Builder
from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.mapping import Mapping, Names, guess_mapping
from tuners.upgrade_sched.history.values import Values, blank
from tuners.upgrade_sched.types import History

Row = Cells[str, Any]


def read_table(path: Path, form: str, mapping: Mapping | None, found: Found) -> History:
    """Read a table. Raises InputError where no row of it can be read; bad rows are issues in ``found``."""
    reader = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet}[form]
    file = str(path)
    table: _Table | None = None
    builder = Builder(Values(file, found, mapping.zone if mapping else dt.UTC))
    for line, row in reader(path, mapping, found):
        if table is None:
            names = list(row)
            table = _Table(builder, _check(mapping, names, form, file) if mapping else guess_mapping(names, file))
        table.take(line, row)
    if table is None and not found.issues.found:
        raise InputError(f"{file}: there is no record in it", mend="Give a file with a header and at least one record.")
    _notes(builder, found, file)
    return builder.history(file)


def _notes(builder: Builder, found: Found, file: str) -> None:
    if builder.duplicates:
        found.notes.append(f"{file}: {builder.duplicates} records repeat entity, type and start of another")


def _check(mapping: Mapping, columns: Sequence[str], form: str, file: str) -> Mapping:
    # A JSON object may leave out what it does not know, so only the first record's start is asked for there.
    wanted = [mapping.start] if form == "jsonl" else mapping.columns()
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise InputError(
            f"{file}: the mapping names column {missing[0]!r}, and there is none",
            mend=f"The columns are {', '.join(columns)}.",
        )
    return mapping


@dataclass
class _Table:
    builder: Builder
    mapping: Mapping

    def take(self, line: int, row: Row) -> None:
        mapping, values = self.mapping, self.builder.values
        if mapping.rest and not mapping.numbers and not mapping.texts:
            self.mapping = mapping = _rest(mapping, row)
        before = values.found.issues.count
        start = values.time(row.get(mapping.start), line, mapping.start, mapping.start_format)
        end = self._optional(row, mapping.end, lambda v: values.time(v, line, mapping.end, mapping.end_format))
        lasts = self._optional(
            row, mapping.duration, lambda v: values.duration(v, line, mapping.duration, mapping.unit)
        )
        submit = self._optional(
            row, mapping.submit, lambda v: values.time(v, line, mapping.submit, mapping.submit_format)
        )
        censored = self._censored(row, line)
        numbers = {name: values.number(row.get(name), line, name) for name in mapping.numbers}
        if values.found.issues.count > before:
            return
        self.builder.add(
            line,
            entity=_name(mapping.entity, row),
            type=_name(mapping.type, row),
            start=start,
            duration=lasts,
            end=end,
            censored=bool(censored),
            outcome=self._outcome(row, line),
            submit=submit,
            numbers={name: value for name, value in numbers.items() if value is not None},
            texts={name: _text(row.get(name)) for name in mapping.texts},
            fields=("/".join(mapping.entity.columns), mapping.duration or mapping.end, mapping.end, mapping.submit),
        )

    def _optional(self, row: Row, column: str, read: Callable[[Any], float | None]) -> float | None:
        value = row.get(column) if column else None
        return None if blank(value) else read(value)

    def _censored(self, row: Row, line: int) -> bool | None:
        mapping = self.mapping
        if not mapping.censored:
            return False
        value = row.get(mapping.censored)
        if mapping.censored_values:
            return _text(value) in mapping.censored_values
        return self.builder.values.truth(value, line, mapping.censored)

    def _outcome(self, row: Row, line: int) -> str:
        mapping = self.mapping
        if not mapping.outcome:
            return ""
        word = _text(row.get(mapping.outcome))
        return dict(mapping.outcomes).get(word, "" if mapping.outcomes else word)


def _rest(mapping: Mapping, row: Row) -> Mapping:
    """The columns not named, as features: numbers where the first record has one, else texts."""
    free = [name for name in row if name not in mapping.columns()]
    numbers = [name for name in free if _is_number(row[name])]
    return replace(mapping, numbers=tuple(numbers), texts=tuple(n for n in free if n not in numbers), rest=False)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _name(names: Names, row: Row) -> str:
    parts = [_text(row.get(column)) for column in names.columns]
    if names.first:
        return next((part for part in parts if part), "")
    return "/".join(parts) if any(parts) else ""


def _text(value: Any) -> str:
    if blank(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _csv(path: Path, mapping: Mapping | None, found: Found) -> Iterator[tuple[int, Row]]:
    whole = True

    def lines() -> Iterator[str]:
        nonlocal whole
        for _, line, whole in read_lines(path, found):  # noqa: B007  # the outer name is read below
            yield line.replace("\0", "") + "\n"

    reader = csv.reader(lines(), delimiter=(mapping.delimiter if mapping else "") or _delimiter(path), strict=False)
    header: list[str] = []
    before = 0
    while True:
        before = reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error as error:
            found.issues.add("csv", str(path), before + 1, "", str(error), "Correct the quotes of that line.")
            continue
        if cells is None:
            return
        if not cells or cells == [""]:
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            _header(path, header)
        elif len(cells) == len(header):
            yield before + 1, dict(zip(header, cells, strict=True))
        elif not whole and len(cells) < len(header):
            found.notes.append(f"{path}: the last line ({before + 1}) is cut off and was left out")
        else:
            found.issues.add(
                "columns",
                str(path),
                before + 1,
                "",
                f"it has {len(cells)} cells, and the header has {len(header)}",
                "Quote cells that hold the delimiter, or name the delimiter in the mapping.",
            )


def _header(path: Path, header: list[str]) -> None:
    double = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if double is not None:
        raise InputError(f"{path}, line 1: two columns are called {double!r}", mend="Give each a name of its own.")


def _delimiter(path: Path) -> str:
    first = next((line for _, line, _ in read_lines(path, Found())), "")
    return max((",", ";", "\t", "|"), key=first.count)


def _json_lines(path: Path, mapping: Mapping | None, found: Found) -> Iterator[tuple[int, Row]]:
    for number, line, whole in read_lines(path, found):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if whole:
                found.issues.add("json", str(path), number, "", f"it is not JSON: {error}", "Correct the line.")
            else:
                found.notes.append(f"{path}: the last line ({number}) is cut off and was left out")
            continue
        if not isinstance(row, dict):
            found.issues.add("json-object", str(path), number, "", "it is not an object", 'Write {"name": value, ...}.')
            continue
        yield number, row


def _parquet(path: Path, mapping: Mapping | None, found: Found) -> Iterator[tuple[int, Row]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            _header(path, list(names))
        number = 0
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except OSError as error:
        raise InputError(
            f"{path} cannot be read as Parquet: {error}", mend="Check the file's name and format."
        ) from error
    except pyarrow.ArrowException as error:
        raise InputError(
            f"{path} cannot be read as Parquet: {error}",
            mend="Its index is at the end, so a cut-off file is lost: write it again, or use CSV.",
        ) from error
