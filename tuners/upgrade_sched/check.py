"""Everything that is wrong with a history file, in one report; the reading itself is done by ``history``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuners.upgrade_sched.history.lines import Found
from tuners.upgrade_sched.history.read import read_with_issues


@dataclass(frozen=True)
class Report:
    """``problems`` counts all issues, of which ``found`` holds the first in full; ``records`` are in order."""

    file: str
    records: int
    found: Found

    @property
    def problems(self) -> int:
        return self.found.issues.count

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "file": self.file,
            "records": self.records,
            "problems": self.problems,
            "issues": [issue.to_json() for issue in self.found.issues.found],
            "notes": list(self.found.notes),
        }


def check_history(path: Path, mapping: Path | None = None, form: str = "") -> Report:
    """Read ``path`` and report. Raises InputError for what leaves nothing to read (see ``read_with_issues``)."""
    history, found = read_with_issues(path, mapping, form)
    return Report(str(path), len(history), found)
