"""A rule: a lesson kept from runs, as frozen values with their counts; it neither matches, stores nor learns rules.

    condition   clauses over the findings of an analysis        knowledge.rules_match says how well a problem fits
    advice      try this candidate, prefer or avoid these parts  agents.rules_proposer makes proposals of it
    evidence    run, problem, trial, outcome and figures         agents.reflection writes it

The condition describes where the advice is expected to hold. It is wider than what was seen (``Span.low`` and ``high``
against ``seen_low`` and ``seen_high``), grows where the advice is confirmed and shrinks where it is refuted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Scalar = float | int | str | bool | None
# What an analysis found, for matching: finding name -> its values, in order (most findings have one).
Facts = Mapping[str, tuple[Scalar, ...]]
AdviceKind = Literal["try", "prefer", "avoid"]
ADVICE_KINDS: tuple[str, ...] = get_args(AdviceKind)
Outcome = Literal["learned", "confirmed", "refuted", "unclear"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
REACH = 2.0  # a number is expected to hold its lesson for half to twice its value
MOST_EVIDENCE = 100  # kept with a rule; the counts go on
MOST_WORDS = 2000


@dataclass(frozen=True)
class Span:
    """The finding is a number in [low, high]; [seen_low, seen_high] is where the advice has succeeded."""

    name: str
    low: float
    high: float
    seen_low: float
    seen_high: float
    required: bool = False


@dataclass(frozen=True)
class OneOf:
    """The finding has one of ``values``."""

    name: str
    values: tuple[Scalar, ...]
    required: bool = False


@dataclass(frozen=True)
class Has:
    """A finding that comes several times (the dtypes of an operator) has all of ``values`` among its own."""

    name: str
    values: tuple[Scalar, ...]
    required: bool = False


Clause = Span | OneOf | Has


@dataclass(frozen=True)
class Advice:
    """``payload`` is a whole candidate for ``try``, the parts that matter for ``prefer`` and ``avoid``; ``words`` says
    the same to a person or a model."""

    kind: AdviceKind
    payload: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""

    @property
    def key(self) -> str:
        """SHA-256 (hex) of kind and payload: equal advice, however it is worded."""
        return _digest([self.kind, dict(self.payload)])


@dataclass(frozen=True)
class Evidence:
    """One trial that spoke for or against a rule. ``figures`` are what it was judged by; ``time`` in Unix seconds."""

    run: str
    problem: str
    trial: int
    outcome: Outcome
    figures: Mapping[str, Any] = field(default_factory=dict)
    time: float = 0.0

    @property
    def key(self) -> tuple[str, str, int]:
        """What a trial is known by; a trial counts once, however often its run is reflected on."""
        return (self.run, self.problem, self.trial)


@dataclass(frozen=True)
class Rule:
    """A lesson. ``domain`` is the command it belongs to; ``retired`` is why it is offered no more, or ""."""

    domain: str
    condition: tuple[Clause, ...]
    advice: Advice
    id: str = ""
    evidence: tuple[Evidence, ...] = ()
    confirmed: int = 0
    refuted: int = 0
    retired: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            names = [clause_to_json(clause) for clause in self.condition]
            object.__setattr__(self, "id", _digest([self.domain, self.advice.key, names])[:12])

    @property
    def strength(self) -> float:
        """How likely the advice is to help: the mean of a Beta posterior with a uniform prior (Laplace's rule of
        succession), so one half for a rule nobody has tried again."""
        return (self.confirmed + 1) / (self.confirmed + self.refuted + 2)


def clause_for(name: str, values: tuple[Scalar, ...], *, required: bool = False) -> Clause:
    """The clause that generalises what was found once: numbers to a range, the rest to equality."""
    if len(values) > 1:
        return Has(name, tuple(sorted(set(values), key=repr)), required)
    (value,) = values
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return OneOf(name, (value,), required)
    edges = sorted((value / REACH, value * REACH))
    return Span(name, edges[0], edges[1], value, value, required)


def weighed(rule: Rule, evidence: Evidence) -> Rule:
    """``rule`` with one more trial counted, retired where too little speaks for it; unchanged for a known trial.

    Retired is a rule that failed at least twice and has a strength below one third: twice if it never helped, four
    times if it helped once.
    """
    if evidence.key in {known.key for known in rule.evidence}:
        return rule
    kept = (*rule.evidence, evidence)[-MOST_EVIDENCE:]
    if rule.evidence and rule.evidence[0].outcome == "learned" and len(rule.evidence) == MOST_EVIDENCE:
        kept = (rule.evidence[0], *kept[1:])  # where a rule comes from is never forgotten
    confirmed = rule.confirmed + (evidence.outcome == "confirmed")
    refuted = rule.refuted + (evidence.outcome == "refuted")
    counted = replace(rule, evidence=kept, confirmed=confirmed, refuted=refuted)
    if not rule.retired and refuted >= 2 and counted.strength < 1 / 3:
        where = f"run {evidence.run}, {evidence.problem}, trial {evidence.trial}"
        return replace(counted, retired=f"refuted {refuted} times, confirmed {confirmed} times; last in {where}")
    return counted


def merged(ours: Rule, theirs: Rule) -> Rule:
    """Two states of one rule as one: evidence that is new to ours is counted; our condition, words and retirement stay.

    Evidence that their store no longer kept stays uncounted, unless ours has none of its own.
    """
    if not ours.evidence:
        return replace(theirs, retired=ours.retired or theirs.retired)
    result = ours
    for evidence in theirs.evidence:
        result = weighed(result, evidence)
    return result


def clause_to_json(clause: Clause) -> dict[str, Any]:
    """The clause as plain JSON, with its kind."""
    kind = {Span: "range", OneOf: "one_of", Has: "has"}[type(clause)]
    fields = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(clause).items()}
    return {"kind": kind} | fields


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The rule as plain JSON; ``knowledge.rules_check`` reads it back."""
    return {
        "id": rule.id,
        "domain": rule.domain,
        "condition": [clause_to_json(clause) for clause in rule.condition],
        "advice": {"kind": rule.advice.kind, "payload": dict(rule.advice.payload), "words": rule.advice.words},
        "evidence": [vars(e) | {"figures": dict(e.figures)} for e in rule.evidence],
        "confirmed": rule.confirmed,
        "refuted": rule.refuted,
        "retired": rule.retired,
    }


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
