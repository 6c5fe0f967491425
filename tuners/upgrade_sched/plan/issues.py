"""What is wrong with the input, as values that name file, line, field and mend; it reads no file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sysmith_errors import InputError

MOST = 200  # a wrong delimiter spoils every line; nobody reads the ten thousandth complaint


@dataclass(frozen=True)
class Issue:
    """One problem: ``line`` counts from 1 (0: the file as a whole), ``kind`` is a short stable name for programs."""

    kind: str
    file: str
    line: int
    field: str
    message: str
    mend: str

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line else self.file
        what = f", field {self.field}" if self.field else ""
        return f"{where}{what}: {self.message}. {self.mend}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Issues:
    """Collects problems while files are read, the first ``MOST`` of them in full."""

    def __init__(self) -> None:
        self.found: list[Issue] = []
        self.count = 0

    def add(self, kind: str, file: str, line: int, field: str, message: str, mend: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.found) < MOST:
            self.found.append(Issue(kind, file, line, field, message, mend))

    def raise_if_any(self) -> None:
        """Raise InputError with the first problem and the number of the rest, if there is any."""
        if self.found:
            more = self.count - 1
            tail = f" ({more} more: sysmith upgrade-sched check lists them)" if more else ""
            raise InputError(f"{self.found[0]}{tail}")
