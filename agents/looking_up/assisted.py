"""The way of a question that a model helps with: other words, the search, the best of what was found; the search, the
prompts and the asking are elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from agents.budget import Budget
from agents.llm import LLM, LLMSettings, Message
from agents.llm.mailbox import Mailbox
from agents.looking_up.asking import ask_all, first_few
from agents.protocols import Cost
from knowledge.expansion import Expansion, reordered
from knowledge.passages import Passage
from knowledge.questions import Question
from knowledge.ranking import Method
from knowledge.score import DEPTHS, Answerer
from knowledge.store import KnowledgeStore
from sysmith_errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T", bound="BaseModel")

SHOWN = 20  # passages that a model orders
MAX_TOKENS = 4096  # of an answer, the thinking of a model that thinks included
_MOST_WAITING = 1000
REWRITE, RERANK = "rewrite", "rerank"


@dataclass(frozen=True)
class Asked:
    """A question; ``id`` is unique among those asked together. ``source`` keeps to manuals whose name matches it."""

    id: str
    text: str
    source: str | None = None


@dataclass(frozen=True)
class Found:
    """The passages for one question, best first, and what the model had to do with it.

    ``before`` gives for each passage its rank (from 1) in the search, which ``expansion`` widened; ``named`` is how
    many the model put first. A passage's score is the search's own. ``failures`` says what the model could not do, by
    phase (``rewrite``, ``rerank``); the search went on without that.
    """

    passages: tuple[Passage, ...]
    before: tuple[int, ...]
    expansion: Expansion | None = None
    named: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What the model proposed, as plain JSON."""
        rewrite: dict[str, Any] | None = None
        if (words := self.expansion) is not None:
            rewrite = {"phrases": list(words.phrases), "passage": words.passage, "manuals": list(words.manuals)}
        return {
            "rewrite": rewrite,
            "rerank": {"named": self.named, "before": list(self.before)},
            "failures": dict(self.failures),
        }


class AssistedSearch:
    """Use ``open``; tests may bring a client of their own, whose budget is ``budget``.

    At most two requests are made for a question (and one repair of each, where an answer does not fit). ``jobs`` is how
    many are in flight at a time; all are where a person answers (``mailbox:``). ``say`` takes progress, a line at a
    time. ``name`` is that of the method, beside bm25, vectors and hybrid.
    """

    name = "model"

    def __init__(
        self,
        llm: LLM,
        budget: Budget,
        *,
        rewrite: bool = True,
        rerank: bool = True,
        jobs: int = 8,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not (rewrite or rerank):
            raise InputError(
                "--models is given with --no-rewrite and --no-rerank: nothing is left to ask", mend="Drop one of them."
            )
        self._llm, self._budget, self._say = llm, budget, say
        self.rewrites, self.reranks = rewrite, rerank
        self._jobs = _MOST_WAITING if Mailbox.model in llm.models else jobs

    @classmethod
    def open(
        cls,
        settings: LLMSettings,
        *,
        rewrite: bool = True,
        rerank: bool = True,
        jobs: int = 8,
        halt: threading.Event | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> AssistedSearch:
        """Raises InputError for a model, key, price or folder that will not do, and where there is nothing to ask;
        MissingPart without litellm."""
        settings = replace(settings, max_tokens=min(settings.max_tokens, MAX_TOKENS))
        budget = Budget(settings.limits, name="the questions")
        llm = LLM.open(settings.models, settings=settings, budget=budget, log=None, halt=halt, say=first_few(say))
        return cls(llm, budget, rewrite=rewrite, rerank=rerank, jobs=jobs, say=say)

    @property
    def models(self) -> tuple[str, ...]:
        return self._llm.models

    @property
    def cost(self) -> Cost:
        """What all requests cost so far, those that failed included."""
        return self._budget.spent

    def look_up(
        self, store: KnowledgeStore, asked: Sequence[Asked], top: int = 5, method: Method = "hybrid"
    ) -> list[Found]:
        """The best ``top`` passages for each question: all rewrites are asked for first, then all rankings.

        Where the model cannot be reached, refuses or gives an answer that does not fit, the search goes on without it
        and the user is told. Raises BudgetExhausted (nothing is answered then), Interrupted, and what
        ``KnowledgeStore.search`` raises, that before anything is asked.
        """
        for one in asked:
            store.check(one.text, top, one.source, method)
        expansions: dict[str, Expansion] = {}
        failures: dict[str, dict[str, str]] = {one.id: {} for one in asked}
        if self.rewrites:
            expansions = self._rewrites(store, asked, failures)
        depth = max(top, SHOWN) if self.reranks else top
        found = {one.id: store.search(one.text, depth, one.source, method, expansions.get(one.id)) for one in asked}
        orders = self._orders(asked, found, failures) if self.reranks else {}
        done = []
        for one in asked:
            passages, order = found[one.id], orders.get(one.id, [])
            ranked = reordered(list(enumerate(passages, 1)), order)[:top]
            before, best = tuple(rank for rank, _ in ranked), tuple(passage for _, passage in ranked)
            done.append(Found(best, before, expansions.get(one.id), min(len(order), top), failures[one.id]))
        return done

    def answerer(self, store: KnowledgeStore, looks: dict[str, Found]) -> Answerer:
        """``look_up`` as ``knowledge.score.measure`` wants it; what was found is put into ``looks`` by question id."""

        def answer(questions: Sequence[Question], patterns: Sequence[str | None]) -> list[Sequence[Passage]]:
            asked = [Asked(q.id, q.text, pattern) for q, pattern in zip(questions, patterns, strict=True)]
            found = self.look_up(store, asked, max(DEPTHS))
            looks.update(zip((q.id for q in questions), found, strict=True))
            return [one.passages for one in found]

        return answer

    def _rewrites(
        self, store: KnowledgeStore, asked: Sequence[Asked], failures: dict[str, dict[str, str]]
    ) -> dict[str, Expansion]:
        from agents.looking_up.prompts import Rewrite, expansion_of, rewrite_prompt

        manuals = {source: store.manuals(source) for source in {one.source for one in asked}}
        prompts = {one.id: rewrite_prompt(one.text, manuals[one.source]) for one in asked}
        answers = self._ask(REWRITE, prompts, Rewrite, failures)
        sources = {one.id: one.source for one in asked}
        return {key: expansion_of(answer, manuals[sources[key]]) for key, answer in answers.items()}

    def _orders(
        self, asked: Sequence[Asked], found: Mapping[str, Sequence[Passage]], failures: dict[str, dict[str, str]]
    ) -> dict[str, list[int]]:
        from agents.looking_up.prompts import Ranking, rerank_prompt

        shown = {one.id: found[one.id][:SHOWN] for one in asked if len(found[one.id]) > 1}
        prompts = {one.id: rerank_prompt(one.text, shown[one.id]) for one in asked if one.id in shown}
        answers = self._ask(RERANK, prompts, Ranking, failures)
        return {
            key: [n for n in dict.fromkeys(answer.best) if 1 <= n <= len(shown[key])] for key, answer in answers.items()
        }

    def _ask(
        self,
        phase: str,
        prompts: Mapping[str, Sequence[Message]],
        answer: type[T],
        failures: dict[str, dict[str, str]],
    ) -> dict[str, T]:
        answers, missing = ask_all(self._llm, phase, prompts, answer, jobs=self._jobs, say=self._say)
        for name, why in missing.items():
            failures[name][phase] = why
        return answers
