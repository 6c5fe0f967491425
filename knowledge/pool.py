"""Pooling, as TREC does it: what several methods find for each question, to be judged blindly, and those judgements.

One label a question misses other passages that answer it. The pool of a question is the union of the best passages of
every method and store (Voorhees, The Philosophy of Information Retrieval Evaluation, 2001, section 2.1). A judge sees
them in an order and under ids that say nothing of who found them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.passages import Passage
from knowledge.questions import Question
from knowledge.ranking import METHODS, Method
from sysmith_errors import InputError
from sysmith_files import why_unreadable

if TYPE_CHECKING:
    from knowledge.store import KnowledgeStore

DEPTH = 5


@dataclass(frozen=True)
class Pool:
    """The passages to judge for one question, by pool id, in the order of the ids."""

    question: Question
    passages: tuple[tuple[str, Passage], ...]

    def document(self) -> dict[str, Any]:
        """What the judge sees, as plain JSON: no method, no rank, no score."""
        shown = [{"id": i, "source": p.source, "section": p.section, "text": p.text} for i, p in self.passages]
        return {"question_id": self.question.id, "question": self.question.text, "passages": shown}

    def key(self) -> list[dict[str, Any]]:
        """Where each passage stands, as plain JSON, for whoever turns judgements into labels."""
        return [
            {"id": i, "question_id": self.question.id, "source": p.source, "section": p.section}
            | {"line": p.line, "page": p.page}
            for i, p in self.passages
        ]


def pool_id(question: Question, passage: Passage) -> str:
    """The id of a passage in the pool of a question: a hash of both, so that a later pool gives the same one."""
    place = [question.text, passage.source, passage.section, passage.line, passage.page, passage.text]
    return hashlib.sha256(json.dumps(place).encode()).hexdigest()[:12]


def merge(question: Question, answers: Iterable[Sequence[Passage]]) -> Pool:
    """The union of several answers to one question. The order is that of the hashes: as good as shuffled."""
    found = {pool_id(question, passage): passage for answer in answers for passage in answer}
    return Pool(question, tuple(sorted(found.items(), key=lambda pair: pair[0])))


def pool(question: Question, stores: Sequence[KnowledgeStore], *, top: int = DEPTH, within: bool = False) -> Pool:
    """The ``top`` best places of every method and store, a place by its best passage.

    With ``within`` the question is asked of the ``manual`` it names alone. Raises what ``KnowledgeStore.search`` does.
    """
    pattern = (question.manual or None) if within else None
    methods: Sequence[Method] = METHODS  # type: ignore[assignment]  # the names of the literal type
    return merge(question, (s.search(question.text, top, pattern, method) for s in stores for method in methods))


def read_judgements(path: Path) -> frozenset[str]:
    """The pool ids that were judged right, from a JSON Lines file of ``{"id": ..., "relevant": true or false}``.

    Raises InputError naming file, line and field of the first fault, and for an id that is judged in two ways.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {why_unreadable(error)}", mend="Name a file of judgements.") from None
    verdicts: dict[str, bool] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            data = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where} is not JSON: {error}", mend="Write one JSON object a line.") from None
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            raise InputError(f"{where}: id is missing", mend="Give the pool id as text.")
        verdict = data.get("relevant")
        if not isinstance(verdict, bool):
            raise InputError(f"{where}: relevant {json.dumps(verdict)[:60]} is not true or false", mend="Write one.")
        if verdicts.setdefault(data["id"], verdict) is not verdict:
            raise InputError(f"{where}: id {data['id']!r} was judged otherwise before", mend="Keep one of the two.")
    if not verdicts:
        raise InputError(f"{path} holds no judgement", mend='Write {"id": ..., "relevant": true} a line.')
    return frozenset(name for name, right in verdicts.items() if right)
