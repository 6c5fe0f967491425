"""The client: a conversation and an answer type in, a validated answer out; transports carry it, budgets limit it."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from agents.budget import Budget
from agents.costs import LLM_MALFORMED
from agents.events import EventLog
from agents.llm.answers import parse
from agents.llm.calling import Call, KeyedLocks
from agents.llm.errors import LLMError, MalformedAnswer, Refused
from agents.llm.format import format_of
from agents.llm.opening import open_transports
from agents.llm.quote import visible
from agents.llm.resume import Known, restore
from agents.llm.samples import gather
from agents.llm.secrets import Redactor
from agents.llm.settings import LLMSettings
from agents.llm.types import Answer, Completion, Message, Request, Transport
from agents.protocols import Cost
from sysmith_errors import InputError, Interrupted

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T", bound="BaseModel")


class LLM:
    """See ``agents.llm``. Safe to use from many threads. Usually made by ``open``; tests may bring own transports.

    Within a run a request is paid once: a completion the log has is the answer to every equal request (same problem,
    model, messages, schema and seed). ``halt`` stops waiting and retrying; a call in flight is not cut off.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        *,
        settings: LLMSettings,
        budget: Budget,
        log: EventLog | None,
        redactor: Redactor | None = None,
        halt: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if not transports:
            raise InputError("--models names no model")
        self._transports = tuple(transports)
        self._settings, self._budget, self._log = settings, budget, log
        self._redactor = redactor or Redactor.of_environment()
        self.halt = halt or threading.Event()
        self._say = say or _to_stderr
        self._said: set[str] = set()
        self._guard = threading.Lock()
        self._locks = KeyedLocks()
        self._known: Known = {}
        self._lost: dict[str, Refused] = {}  # models that refused in a way that will last
        self._rng = random.Random()
        if log is not None:
            self._known, spent = restore(log)
            budget.charge(spent)

    @classmethod
    def open(
        cls,
        models: Sequence[str],
        *,
        settings: LLMSettings,
        budget: Budget,
        log: EventLog | None,
        halt: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
    ) -> LLM:
        """Open ``models``, cheapest first, and charge ``budget``, the run's, with what the log says they cost already.

        Call it before the loop. ``say`` shows a sentence to the user (default: stderr); each is shown once. Raises
        InputError for a model, key, price or folder that will not do, MissingPart without litellm.
        """
        redactor = Redactor.of_environment()
        halt, say = halt or threading.Event(), say or _to_stderr
        transports = open_transports(models, settings, budget, redactor, pause=_pauser(halt), tell=say)
        return cls(transports, settings=settings, budget=budget, log=log, redactor=redactor, halt=halt, say=say)

    @property
    def models(self) -> tuple[str, ...]:
        """The names that requests and sources carry, cheapest first; ``tier`` counts them from 0."""
        return tuple(transport.model for transport in self._transports)

    @property
    def tiers(self) -> int:
        return len(self._transports)

    def ask(
        self,
        messages: Sequence[Message],
        answer: type[T],
        *,
        problem: str | None,
        phase: str,
        tier: int = 0,
        budget: Budget | None = None,
        seed: int | None = None,
    ) -> Answer[T]:
        """Ask one model (a ``tier`` past the last is the last) and validate what it answers.

        The format of ``answer`` is appended to the last message. ``problem`` and ``phase`` are for the log and the
        costs; ``budget`` is the problem's own, a child of the run's. An answer that does not fit gets one repair
        request. Raises BudgetExhausted, MalformedAnswer (both answers did not fit), Refused, Unreachable, Interrupted.
        """
        transport = self._transports[min(tier, self.tiers - 1)]
        question = _Question(transport, answer, problem, phase, budget or self._budget, seed)
        conversation = self._prepared(messages, answer)
        value, key, completion, cost, replayed = self._round(question, conversation)
        if isinstance(value, MalformedAnswer):
            repair = [*conversation, *self._repair(completion, value)]
            value, key, completion, more, again = self._round(question, repair)
            cost, replayed = cost + more, replayed and again
            if isinstance(value, MalformedAnswer):
                error = MalformedAnswer(f"{transport.model} gave an answer that does not fit, twice: {value.message}")
                self.note(str(error))
                raise error
        return Answer(value, transport.model, key, completion.text, cost, replayed)

    def ask_many(
        self,
        messages: Sequence[Message],
        answer: type[T],
        *,
        samples: int,
        problem: str | None,
        phase: str,
        tier: int = 0,
        budget: Budget | None = None,
    ) -> list[Answer[T]]:
        """Ask for so many answers at once (a best-of-n), with seeds 0, 1, ...; those that came, in the order of seeds.

        Raises what ``ask`` raises where no answer came at all, Interrupted in any case.
        """

        def one(seed: int) -> Answer[T]:
            return self.ask(messages, answer, problem=problem, phase=phase, tier=tier, budget=budget, seed=seed)

        return gather(one, samples)

    def note(self, sentence: str) -> None:
        """Show a sentence to the user, once, without secrets."""
        text = self._redactor.text(sentence)
        with self._guard:
            if text in self._said:
                return
            self._said.add(text)
        self._say(text)

    def _prepared(self, messages: Sequence[Message], answer: type[BaseModel]) -> list[Message]:
        """The conversation as it is sent: with the answer's format, without secrets and control characters."""
        if not messages or messages[-1].role != "user":
            raise ValueError("a conversation ends with a message of the user")
        *before, last = messages
        last = Message("user", f"{last.content.rstrip()}\n\n{format_of(answer)}")
        return [Message(one.role, self._redactor.text(visible(one.content))) for one in (*before, last)]

    def _repair(self, completion: Completion, error: MalformedAnswer) -> list[Message]:
        why = self._redactor.text(error.message)
        if completion.truncated:
            why = f"it was cut off at the limit of {self._settings.max_tokens} tokens ({why}); be shorter"
        text = (
            f"Your answer cannot be used: {why}.\n\nAnswer once more, whole and in the format described above. This is "
            "the last try."
        )
        return [Message("assistant", visible(completion.text) or "(an empty answer)"), Message("user", text)]

    def _round(
        self, question: _Question[T], messages: Sequence[Message]
    ) -> tuple[T | MalformedAnswer, str, Completion, Cost, bool]:
        """One request: what the answer means or why it means nothing, the request's key, the completion, what it cost
        now, and whether it was in the log."""
        request = Request(
            question.transport.model,
            tuple(messages),
            self._settings.max_tokens,
            self._settings.temperature,
            question.answer.model_json_schema(),
            question.seed,
        )
        completion, cost, replayed = self._complete(question, request)
        try:
            return parse(completion.text, question.answer), request.key, completion, cost, replayed
        except MalformedAnswer as error:
            if self._log is not None and not replayed:
                data = question.place(request, self._budget) | {"error": self._redactor.text(error.message)}
                self._log.append(LLM_MALFORMED, data, problem=question.problem)
            return error, request.key, completion, cost, replayed

    def _complete(self, question: _Question[T], request: Request) -> tuple[Completion, Cost, bool]:
        """A completion from the log or from the model, what it cost now, and whether it was the log's."""
        place = (question.problem, request.key)
        transport = question.transport
        with self._locks.of(place):
            if place in self._known:
                return self._known[place], Cost(), True
            if (lost := self._lost.get(transport.model)) is not None:
                raise Refused(lost.message, mend=lost.mend, lasting=True)
            call = Call(
                request,
                transport,
                problem=question.problem,
                budget=question.budget,
                place=question.place(request, self._budget),
                log=self._log,
                redactor=self._redactor,
                pause=_pauser(self.halt),
                timeout_s=self._settings.timeout_s,
                attempts=self._settings.attempts,
                rng=self._rng,
            )
            try:
                completion, cost = call.make()
            except LLMError as error:
                self.note(str(error))
                if isinstance(error, Refused) and error.lasting:
                    self._lost[transport.model] = error
                raise
            self._known[place] = completion
            return completion, cost, False


@dataclass(frozen=True)
class _Question(Generic[T]):
    """What stays the same while one answer is sought, the repair included."""

    transport: Transport
    answer: type[T]
    problem: str | None
    phase: str
    budget: Budget
    seed: int | None

    def place(self, request: Request, run: Budget) -> dict[str, Any]:
        """The fields that every event of a call has (``agents.costs``)."""
        booked_to = "run" if self.budget is run else "problem"
        return {"key": request.key, "phase": self.phase, "model": self.transport.model, "booked_to": booked_to}


def _pauser(halt: threading.Event) -> Callable[[float], None]:
    """A sleep that ends early, with Interrupted, when the run is to stop."""

    def pause(seconds: float) -> None:
        if halt.wait(seconds):
            raise Interrupted("stopped while asking a model", mend="Resume the run to carry on.")

    return pause


def _to_stderr(sentence: str) -> None:
    print(f"sysmith: {sentence}", file=sys.stderr, flush=True)
