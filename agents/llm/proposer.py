"""A proposer that asks a model: a prompt builder and an answer type in, proposals out; it knows no optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from agents.budget import Budget
from agents.llm.client import LLM
from agents.llm.errors import LLMError
from agents.llm.types import Answer, Message
from agents.protocols import Analysis, Proposal, Trial, best_of

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T", bound="BaseModel")

SOURCE = "llm:"


class LLMProposer(Generic[T]):
    """Asks ``llm`` for ``samples`` answers at a time (a best-of-n), until ``most`` proposals of models were tried.

    ``build(analysis, history)`` gives the conversation, or None where nothing is to be asked. ``read(value, history)``
    turns a validated answer into proposals, whose ``source`` is set here to ``llm:<model>``. Both should go by their
    arguments alone, so that a resumed run finds its paid answers in the log. The cheapest model is asked first; after
    each ``patience`` proposals of models in a row that did not better the best, and where a model cannot answer, the
    next dearer one is. Raises ValueError for a number below 1.
    """

    name = "llm"

    def __init__(
        self,
        llm: LLM,
        *,
        problem: str,
        budget: Budget | None,
        build: Callable[[Analysis, Sequence[Trial]], Sequence[Message] | None],
        answer: type[T],
        read: Callable[[T, Sequence[Trial]], Iterable[Proposal]],
        phase: str = "propose",
        most: int = 12,
        samples: int = 1,
        patience: int = 4,
    ) -> None:
        if most < 1 or samples < 1 or patience < 1:
            raise ValueError("most, samples and patience are at least 1")
        self._llm, self._problem, self._budget, self._phase = llm, problem, budget, phase
        self._build, self._answer, self._read = build, answer, read
        self._most, self._samples, self._patience = most, samples, patience

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        """Raises BudgetExhausted and LLMError (all models failed), which the portfolio notes."""
        left = self._most - sum(_is_models(trial) for trial in history)
        if left <= 0:
            return
        messages = self._build(analysis, history)
        if messages is None:
            return
        for answer in self._ask(messages, min(fruitless(history) // self._patience, self._llm.tiers - 1)):
            for proposal in self._read(answer.value, history):
                if left <= 0:
                    return
                left -= 1
                yield replace(proposal, source=answer.source)

    def _ask(self, messages: Sequence[Message], first: int) -> list[Answer[T]]:
        for tier in range(first, self._llm.tiers):
            try:
                return self._llm.ask_many(
                    messages,
                    self._answer,
                    samples=self._samples,
                    problem=self._problem,
                    phase=self._phase,
                    tier=tier,
                    budget=self._budget,
                )
            except LLMError:
                if tier == self._llm.tiers - 1:
                    raise
        return []


def fruitless(history: Sequence[Trial]) -> int:
    """How many proposals of models in a row, counted from the last, did not better the best trial before them."""
    count = 0
    for number, trial in enumerate(history):
        if not _is_models(trial):
            continue
        before = best_of(history[:number])
        better = trial.passed and (before is None or best_of((before, trial)) is trial)
        count = 0 if better else count + 1
    return count


def _is_models(trial: Trial) -> bool:
    return trial.proposal.source.startswith(SOURCE)
