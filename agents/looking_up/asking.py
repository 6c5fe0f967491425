"""One request of a kind for each of many questions, side by side, the dearer model where a cheaper one cannot answer;
it knows neither prompts nor manuals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from agents.llm import LLM, LLMError, Message
from agents.protocols import Problem
from agents.side_by_side import run_many
from sysmith_errors import BudgetExhausted, Interrupted

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T", bound="BaseModel")

GRACE_S = 30.0  # for calls in flight, which are paid, when the others end
_MOST_SAID = 40


def ask_all(
    llm: LLM,
    phase: str,
    prompts: Mapping[str, Sequence[Message]],
    answer: type[T],
    *,
    jobs: int,
    say: Callable[[str], None],
) -> tuple[dict[str, T], dict[str, str]]:
    """The answers by question, and for each question without a usable one why.

    At most ``jobs`` requests are in flight. Raises BudgetExhausted and Interrupted, which say how far it came; what was
    in flight then gets ``GRACE_S`` seconds to be paid and recorded.
    """
    if not prompts:
        return {}, {}
    names = ", ".join(llm.models)
    if len(prompts) > 1:
        say(f"{phase}: asking {names} about {len(prompts)} questions")
    answers: dict[str, T] = {}
    failures: dict[str, str] = {}

    def one(problem: Problem) -> tuple[str, T | LLMError]:
        try:
            return problem.name, _ask(llm, phase, problem.name, prompts[problem.name], answer)
        except LLMError as error:
            return problem.name, error

    def so_far() -> str:
        return f"the {phase} of {len(answers)} of {len(prompts)} questions was answered"

    try:
        jobs = min(jobs, len(prompts))
        for name, value in run_many(map(Problem, prompts), one, jobs=jobs, halt=llm.halt, grace_s=GRACE_S):
            if isinstance(value, LLMError):
                failures[name] = value.message
            else:
                answers[name] = value
    except BudgetExhausted as error:
        raise BudgetExhausted(
            f"{error.message}: {so_far()}",
            mend="Raise the limit. With --record DIR the answers are kept, and --models replay:DIR,MODEL pays for what "
            "is missing only.",
        ) from error
    except Interrupted as error:
        raise Interrupted(
            f"stopped while asking {names}: {so_far()}",
            mend="What a mailbox or --record DIR holds is not asked again (--models replay:DIR,MODEL).",
        ) from error
    if failures:
        say(f"{phase}: no usable answer for {len(failures)} of {len(prompts)} questions; they go on without it")
    return answers, failures


def _ask(llm: LLM, phase: str, name: str, messages: Sequence[Message], answer: type[T]) -> T:
    """The cheapest model's answer, or the next one's where it cannot give any."""
    for tier in range(llm.tiers):
        try:
            return llm.ask(messages, answer, problem=name, phase=phase, tier=tier).value
        except LLMError:
            if tier == llm.tiers - 1:
                raise
    raise AssertionError("there is at least one model")


def first_few(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say`` for what a client has to tell, which may be the same trouble with each of a hundred questions."""
    guard, left = threading.Lock(), [_MOST_SAID]

    def tell(sentence: str) -> None:
        with guard:
            left[0] -= 1
            count = left[0]
        if count >= 0:
            say(f"sysmith: {sentence}")
        elif count == -1:
            say("sysmith: more of this kind is not shown")

    return tell
