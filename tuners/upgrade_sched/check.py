"""Everything that is wrong with a history or with the files of a plan; ``history`` and ``plan`` do the reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tuners.upgrade_sched.history.lines import Found
from tuners.upgrade_sched.history.read import read_with_issues
from tuners.upgrade_sched.plan.issues import Issue
from tuners.upgrade_sched.plan.load import Sources, validate


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


def check_plan_files(sources: Sources, *, with_history: bool) -> list[Issue]:
    """Read the files of a plan together and return each problem. With a history no upgrade needs a duration of its own,
    as the plan would predict it."""

    def any_duration(rows: Sequence[Any]) -> tuple[Any, Any]:
        return np.ones(len(rows)), np.ones(len(rows))

    return validate(sources, any_duration if with_history else None)
