"""Measuring retrieval: recall and mean reciprocal rank with intervals, by method, kind and split; it tunes nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from knowledge.passages import Passage
from knowledge.pool import pool_id
from knowledge.questions import KINDS, Question
from knowledge.ranking import METHODS, Method
from sysmith_errors import BudgetExhausted, InputError

if TYPE_CHECKING:
    from knowledge.store import KnowledgeStore

DEPTHS = (1, 5, 10)
# Another way to answer: for each question, in order, its passages, best first, of which as many as the deepest of
# DEPTHS count. The second argument says for each which manual to keep to, None for all.
Answerer = Callable[[Sequence[Question], Sequence[str | None]], Sequence[Sequence[Passage]]]
_Z = 1.959964  # two-sided 95 %
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Estimate:
    """A mean over questions with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """The figures of one method over one group of questions; ``recall`` by depth."""

    split: str
    kind: str
    method: str
    count: int
    recall: Mapping[int, Estimate]
    mrr: Estimate


@dataclass(frozen=True)
class Report:
    """All figures. ``ranks`` gives for each question and method the rank of the first right passage, None beyond 10.

    Goals are those of the method ``goal_method``. ``stopped`` says why that method is missing where its budget ended.
    """

    rows: tuple[Row, ...]
    ranks: Mapping[str, Mapping[str, int | None]]
    embedding: str
    passages: int
    within: bool
    missed_goals: tuple[str, ...] = field(default=())
    goal_method: str = "hybrid"
    stopped: str = ""

    def document(self) -> dict[str, Any]:
        """The report as plain JSON."""
        rows = [asdict(row) | {"recall": {str(k): asdict(v) for k, v in row.recall.items()}} for row in self.rows]
        document = {"embedding": self.embedding, "passages": self.passages, "within": self.within, "rows": rows}
        document |= {"ranks": self.ranks, "goal_method": self.goal_method, "missed_goals": list(self.missed_goals)}
        return document | ({"stopped": self.stopped} if self.stopped else {})


def measure(
    store: KnowledgeStore,
    questions: Sequence[Question],
    *,
    goals: Mapping[str, float],
    within: bool = False,
    judged: Collection[str] = (),
    other: tuple[str, Answerer] | None = None,
) -> Report:
    """Ask every question by every method and compare the ten best passages with the expected places.

    With ``within`` a question is asked only of the ``manual`` it names. ``judged`` are ids of ``knowledge.pool`` whose
    passages were judged right: they count too; a passage that nobody judged counts as its label says. ``other`` is one
    more method and its name, asked last, for all questions at once; where its budget ends there are no figures of it.
    Goals are recall@5 over all splits, by kind, of the other method, or of the hybrid where there is none. Raises
    InputError for an empty store, and for a question whose place is in no manual: a label that cannot be reached would
    be counted against the retrieval.
    """
    rows = store.rows()
    _check(questions, [(source, chunk.section) for source, chunk in rows])
    titles = {(source, chunk.line, chunk.page, chunk.text): chunk.section for source, chunk in rows}
    patterns = [(question.manual or None) if within else None for question in questions]

    def rank_of(question: Question, found: Sequence[Passage]) -> int | None:
        hits = (
            rank
            for rank, passage in enumerate(found[: max(DEPTHS)], 1)
            if any(
                place.holds(passage.source, titles[passage.source, passage.line, passage.page, passage.text])
                for place in question.places
            )
            or (judged and pool_id(question, passage) in judged)
        )
        return next(hits, None)

    ranks: dict[str, dict[str, int | None]] = {}
    for question, pattern in zip(questions, patterns, strict=True):
        ranks[question.id] = {
            method: rank_of(question, store.search(question.text, max(DEPTHS), pattern, cast(Method, method)))
            for method in METHODS
        }
    methods, goal_method, stopped = list(METHODS), "hybrid", ""
    if other is not None:
        goal_method, answer = other
        try:
            for question, found in zip(questions, answer(questions, patterns), strict=True):
                ranks[question.id][goal_method] = rank_of(question, found)
            methods.append(goal_method)
        except BudgetExhausted as error:  # the figures of the others stand, and cost nothing
            stopped = str(error)
    table = [
        _row(split, kind, method, [ranks[q.id][method] for q in group])
        for split in _splits(questions)
        for kind in KINDS
        if (group := [q for q in questions if q.kind == kind and split in (q.split, "all")])
        for method in methods
    ]
    missed = [
        f"recall@5 of {goal_method} for {row.kind} questions is {row.recall[5].value:.3f}, "
        f"below the goal {goals[row.kind]:g}"
        for row in table
        if row.split == "all" and row.method == goal_method and row.recall[5].value < goals.get(row.kind, 0)
    ]
    return Report(tuple(table), ranks, store.embedding, len(rows), within, tuple(missed), goal_method, stopped)


def _splits(questions: Sequence[Question]) -> list[str]:
    return [*sorted({q.split for q in questions} - {"all"}), "all"]


def _check(questions: Sequence[Question], places: Sequence[tuple[str, Sequence[str]]]) -> None:
    for question in questions:
        for place in question.places:
            if any(place.holds(source, section) for source, section in places):
                continue
            if any(source == place.source or source.endswith("/" + place.source) for source, _ in places):
                raise InputError(
                    f"question {question.id}: {place.source} has no section {place.section!r}",
                    mend="Correct the section; sysmith knowledge search shows how sections are called.",
                )
            raise InputError(
                f"question {question.id}: no manual is called {place.source!r}",
                mend="Add it: sysmith knowledge add PATH.",
            )


def _row(split: str, kind: str, method: str, ranks: Sequence[int | None]) -> Row:
    recall = {depth: wilson(sum(r is not None and r <= depth for r in ranks), len(ranks)) for depth in DEPTHS}
    return Row(split, kind, method, len(ranks), recall, bootstrap([1 / r if r else 0.0 for r in ranks]))


def wilson(hits: int, count: int) -> Estimate:
    """A proportion with its 95 % score interval (Wilson, 1927)."""
    share, spread = hits / count, _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return Estimate(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


def bootstrap(values: Sequence[float]) -> Estimate:
    """A mean with its 95 % percentile interval over resampled questions (Efron, 1979); the seed is fixed."""
    draw = random.Random(0)
    means = sorted(math.fsum(draw.choices(values, k=len(values))) / len(values) for _ in range(_RESAMPLES))
    low, high = means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1]
    return Estimate(math.fsum(values) / len(values), low, high)
