"""The proposer that asks a model, after synthesis had nothing left; what it does next follows from the history alone.

    conversation (session):  question -> answer -> lint, tests, compile -> feedback -> answer -> ...
    after --attempts answers a fresh conversation begins, with the next dearer model when its turn comes

So a killed run goes on where it was: the same history gives the same requests, and ``agents.llm`` finds the answers
that were paid for in the event log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.budget import Budget
from agents.llm import LLM, Answer, MalformedAnswer, Message, visible
from agents.protocols import Analysis, Proposal, Trial
from kernelgen.lint import Packs
from kernelgen.llm.answers import KernelAnswer
from kernelgen.llm.assemble import assemble
from kernelgen.llm.feedback import on_trial, repeated, unusable
from kernelgen.llm.notes import dialect_notes
from kernelgen.llm.options import LLMOptions
from kernelgen.llm.prompt import opening, reply
from kernelgen.llm.question import Operator, ask_about
from kernelgen.llm.situation import Situation, Step, before_next, before_session, by_step, closest, seen, situation
from kernelgen.synthesis.entry import KernelSource

# Roughly a quarter of that in tokens; the oldest answers of a conversation are dropped beyond it.
MOST_CHARACTERS = 160_000


@dataclass(frozen=True)
class Workshop:
    """What the proposers of all operators share. ``say`` gets a sentence for the user."""

    llm: LLM
    options: LLMOptions
    library: Mapping[str, Sequence[KernelSource]]
    library_hash: str
    packs: Packs
    say: Callable[[str], object] = lambda text: None


class KernelProposer:
    """Proposes kernels that a model wrote for one operator. ``propose`` raises BudgetExhausted and LLMError, which the
    portfolio notes."""

    name = "llm"

    def __init__(self, shop: Workshop, operator: Operator, budget: Budget) -> None:
        self.shop, self.operator, self.budget = shop, operator, budget
        self.refusal = ""  # why no model was asked, once that is known
        self._told: set[Step] = set()
        self._answers: dict[Step, list[Answer[KernelAnswer]] | MalformedAnswer] = {}

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        """Yield the candidates of the next answer that brings anything new."""
        steps = by_step(history)
        reached = max(steps, default=Step(0, 0))
        for session in range(reached.session, self.shop.options.sessions):
            earlier = before_session(history, session)
            found = situation(earlier, improve=self.shop.options.improve)
            if found.refusal:
                self._refuse(found.refusal)
                return
            fresh = self._converse(session, earlier, found, history, steps, reached)
            if fresh:
                yield from fresh
                return

    def _converse(
        self,
        session: int,
        earlier: Sequence[Trial],
        found: Situation,
        history: Sequence[Trial],
        steps: Mapping[Step, Mapping[int, Trial]],
        reached: Step,
    ) -> list[Proposal]:
        """Go through a conversation as far as it got and on to the next answer with a new candidate; [] at its end."""
        options = self.shop.options
        question = ask_about(self.operator, found, earlier, self.shop.library, self.shop.packs)
        messages, known = opening(question, session, options), list(found.wanted)
        for attempt in range(options.attempts):
            step = Step(session, attempt)
            answers = self._ask(step, messages)
            if isinstance(answers, MalformedAnswer):
                break  # there is no text to mend: begin afresh
            if all(answer.value.impossible for answer in answers):
                self._given_up(step, answers[0])
                break  # another model may know a way, in a conversation of its own
            trials = steps.get(step, {})
            if trials:
                candidate, trial = closest(trials)
                feedback = on_trial(trial, known, improving=found.improving)
                known += [one.overload for one in feedback.also]
            else:
                # What an answer gave then must be found again on a resume, so only what was known then counts.
                then = before_next(history, step)
                proposals, faults = self._proposals(step, answers, found, then)
                judged = {trial.proposal.content_hash: trial for trial in then}
                fresh = [proposal for proposal in proposals if proposal.content_hash not in judged]
                if fresh and step >= reached:
                    return fresh
                same = next((proposal for proposal in proposals if proposal.content_hash in judged), None)
                if same is None:
                    candidate, feedback = 0, unusable(faults)
                else:
                    candidate = [step.key(number) for number in range(len(answers))].index(same.key)
                    before = on_trial(judged[same.content_hash], known, improving=found.improving)
                    feedback = repeated(before)
            turn = [Message("assistant", answers[candidate].text), reply(feedback, attempt + 1, options)]
            messages = _trimmed([*messages, *turn])
        return []

    def _refuse(self, why: str) -> None:
        if not self.refusal:
            self.refusal = why
            self.shop.say(f"{self.operator.name}: no model is asked, because {why}")

    def _given_up(self, step: Step, answer: Answer[KernelAnswer]) -> None:
        if step not in self._told:
            self._told.add(step)
            why = " ".join(visible(answer.value.impossible).split())
            self.shop.say(f"{self.operator.name}: {answer.model} says that it cannot be done: {why}")

    def _ask(self, step: Step, messages: Sequence[Message]) -> list[Answer[KernelAnswer]] | MalformedAnswer:
        """The answers of one step, asked for once; after a resume the event log has those that were paid for."""
        if step not in self._answers:
            options = self.shop.options
            try:
                self._answers[step] = self.shop.llm.ask_many(
                    messages,
                    KernelAnswer,
                    samples=options.best_of,
                    problem=self.operator.name,
                    phase=f"s{step.session + 1}.a{step.attempt + 1}",
                    tier=options.tier(step.session),
                    budget=self.budget,
                )
            except MalformedAnswer as error:  # the client has told the user
                self._answers[step] = error
        return self._answers[step]

    def _proposals(
        self,
        step: Step,
        answers: Sequence[Answer[KernelAnswer]],
        found: Situation,
        history: Sequence[Trial],
    ) -> tuple[list[Proposal], list[str]]:
        """The usable candidates of an answer, and what was wrong with the others."""
        proposals: list[Proposal] = []
        faults: list[str] = []
        base: Mapping[str, Any] = found.base.proposal.payload if found.base is not None else {}
        # Kernels of a model that the base already has stay, so that several overloads can be solved one by one.
        kept = dict(base.get("kernels", {}))
        allowed = found.allowed | seen(history)
        for number, answer in enumerate(answers):
            if answer.value.impossible:
                faults.append(f"it says that it cannot be done: {answer.value.impossible}")
                continue
            made = assemble(answer.value.source, list(found.wanted), allowed)
            if made.faults:
                faults += made.faults
                continue
            payload: dict[str, Any] = {
                "library": self.shop.library_hash,
                "variants": dict(base.get("variants", {})),
                "kernels": kept | dict(made.kernels),
            }
            if found.improving and found.base is not None:
                payload["incumbent"] = found.base.evaluation.metrics["measure"]
            cited = tuple(note.citation for note in dialect_notes(self.operator.targets))
            proposals.append(Proposal(step.key(number), answer.source, answer.value.approach, cited, payload))
        return proposals, faults


def _trimmed(messages: list[Message]) -> list[Message]:
    """The conversation within ``MOST_CHARACTERS``: the question and the latest turns stay."""
    while len(messages) > 4 and sum(len(message.content) for message in messages) > MOST_CHARACTERS:
        del messages[2:4]
    return messages
