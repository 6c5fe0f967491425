"""New rules phrased better by a model, if there is one; what a rule applies to and advises stays as it was learned."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from agents.llm.prompt import Evidence, compose
from agents.llm.quote import visible
from agents.rules_habits import plain_line
from knowledge.rules import Rule, clause_to_json
from sysmith_errors import Interrupted, SysmithError

PHASE = "rules"
SHORTEST, LONGEST = 20, 600
MOST_RULES = 10  # in one request
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


class Asks(Protocol):
    """What is used of ``agents.llm.LLM``."""

    def ask(self, messages: Any, answer: Any, *, problem: str | None, phase: str) -> Any: ...


def phrased_by(llm: Asks, problem: str | None = None) -> Callable[[Sequence[Rule]], Sequence[Rule]]:
    """A function for ``RuleSession(phrase=...)``.

    Only the words are taken from the answer, and only where they are of a sensible length and hold no number that
    neither the rule nor its evidence has. Where the model fails or the budget is gone, the words stay as they are;
    Interrupted goes through.
    """

    def phrase(rules: Sequence[Rule]) -> Sequence[Rule]:
        result: list[Rule] = []
        for start in range(0, len(rules), MOST_RULES):
            result += _phrase(llm, problem, rules[start : start + MOST_RULES])
        return result

    return phrase


def _phrase(llm: Asks, problem: str | None, rules: Sequence[Rule]) -> list[Rule]:
    from pydantic import BaseModel, Field

    class Wording(BaseModel):
        """One rule in better words."""

        id: str = Field(description="the rule's id, as given")
        words: str = Field(description=f"one to three plain sentences, {SHORTEST} to {LONGEST} characters")

    class Wordings(BaseModel):
        """All rules in better words."""

        rules: list[Wording]

    messages = compose(
        role="You help a program that optimizes computer systems by trial. It keeps lessons for its next run and for "
        "the engineers who read them.",
        wanted="Phrase each of the rules below better: when it applies, what to do, and why, as far as the evidence "
        "says why.",
        rules=[
            "Say nothing that the evidence does not show, and no number that is not in it.",
            "Keep each rule's id. Leave out what you cannot phrase better.",
            "Write plain English for an engineer who was not there.",
        ],
        evidence=[Evidence(f"rule {rule.id}", _told(rule)) for rule in rules],
    )
    try:
        answer = llm.ask(messages, Wordings, problem=problem, phase=PHASE)
    except Interrupted:
        raise
    except (
        SysmithError
    ):  # words are a luxury: no budget, no model, no fitting answer, and the rule is as good as before
        return list(rules)
    wordings = {wording.id: wording.words for wording in answer.value.rules}
    return [_reworded(rule, wordings.get(rule.id, "")) for rule in rules]


def _told(rule: Rule) -> str:
    document = {
        "applies where": [clause_to_json(clause) for clause in rule.condition],
        "advice": rule.advice.kind,
        "candidate or part": rule.advice.payload,
        "in words so far": rule.advice.words,
        "figures": [dict(evidence.figures) for evidence in rule.evidence[:5]],
    }
    return json.dumps(document, indent=2)


def _reworded(rule: Rule, words: str) -> Rule:
    text = plain_line(visible(words), LONGEST + 1)
    known = set(_NUMBER.findall(_told(rule)))
    if not SHORTEST <= len(text) <= LONGEST or not set(_NUMBER.findall(text)) <= known:
        return rule
    return replace(rule, advice=replace(rule.advice, words=text))
