"""Labelled questions for measuring retrieval: reads and checks them, and says whether a passage is an expected one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sysmith_errors import InputError

KINDS = ("parameter", "paraphrase")


@dataclass(frozen=True)
class Place:
    """An expected place: a manual by file name, and a section by its title or an entry by its parameter."""

    source: str
    section: str

    def holds(self, source: str, titles: Sequence[str]) -> bool:
        """Whether a passage from ``source`` below these titles lies in this place."""
        if source != self.source and not source.endswith("/" + self.source):
            return False
        wanted = _bare(self.section)
        return any(title == wanted or _begins(title, wanted) for title in map(_bare, titles))


@dataclass(frozen=True)
class Question:
    """One question; any of ``places`` is a right answer. ``kind`` and ``split`` group the figures. ``manual`` is the
    name or folder of the manual that someone who asks this has in mind, empty where it is unknown."""

    id: str
    text: str
    places: tuple[Place, ...]
    kind: str = "paraphrase"
    split: str = "all"
    manual: str = ""


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSON Lines file. Raises InputError naming file, line and field of the first fault."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", mend="Save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", mend="Name a file of questions.") from None
    found: list[Question] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        question = _question(f"{path}:{number}", line, number)
        if question.id in seen:
            raise InputError(
                f"{path}:{number}: id {question.id!r} is that of line {seen[question.id]}", mend="Rename it."
            )
        seen[question.id] = number
        found.append(question)
    if not found:
        raise InputError(f"{path} holds no question", mend="Write one JSON object a line: question, source, section.")
    return found


def _question(where: str, line: str, number: int) -> Question:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}", mend="Write one JSON object a line.") from None
    if not isinstance(data, dict):
        raise InputError(f"{where} is not a JSON object", mend='Write {"question": ..., "source": ..., ...}.')
    expected = data.get("expected", [{"source": data.get("source"), "section": data.get("section")}])
    if not isinstance(expected, list) or not expected or not all(isinstance(place, dict) for place in expected):
        raise InputError(f"{where}: expected is not a list of places", mend='Write [{"source": ..., "section": ...}].')
    kind = _text(where, data, "kind", "paraphrase")
    if kind not in KINDS:
        raise InputError(f"{where}: kind {kind!r} is not known", mend=f"Write one of {', '.join(KINDS)}.")
    return Question(
        id=_text(where, data, "id", str(number)),
        text=_text(where, data, "question"),
        places=tuple(Place(_text(where, place, "source"), _text(where, place, "section")) for place in expected),
        kind=kind,
        split=_text(where, data, "split", "all"),
        manual=_text(where, data, "manual") if "manual" in data else "",
    )


def _text(where: str, data: dict[str, Any], field: str, default: str = "") -> str:
    value = data.get(field, default)
    if not isinstance(value, str) or not value.strip():
        shown = "is missing" if value in (None, "") else f"{json.dumps(value)[:60]} is not a text"
        raise InputError(f"{where}: {field} {shown}", mend=f"Give {field} as text.")
    return value


def read_goals(goals: Sequence[str]) -> dict[str, float]:
    """``parameter=0.95`` and the like as a mapping. Raises InputError for an unknown kind or a bad number."""
    found: dict[str, float] = {}
    for goal in goals:
        kind, _, number = goal.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if kind not in KINDS or not 0 <= value <= 1:
            raise InputError(f"--goal {goal!r} cannot be read", mend="Write parameter=0.95 or paraphrase=0.8.")
        found[kind] = value
    return found


def _bare(title: str) -> str:
    return " ".join(title.replace("`", "").lower().split())


def _begins(title: str, wanted: str) -> bool:
    """``timeo`` names the entry ``timeo=n``, ``max-jobs`` not the entry ``max-jobs-soft``."""
    return title.startswith(wanted) and title[len(wanted)] in "=,/<[("
