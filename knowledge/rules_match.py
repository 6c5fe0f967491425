"""How well a problem fits a rule's condition, and how a condition learns from success and failure; stores nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from knowledge.rules import REACH, Clause, Facts, Has, OneOf, Rule, Scalar, Span

ENOUGH = 0.6  # a rule is offered where its condition holds at least this far


@dataclass(frozen=True)
class Match:
    """A rule that fits a problem. ``fit`` in [0, 1] is how far its condition holds; ``worth`` weighs it by how often
    the rule was right. ``nearness`` in [0, 1] is how close the problem lies to those that the advice succeeded on."""

    rule: Rule
    fit: float
    nearness: float = 1.0

    @property
    def worth(self) -> float:
        return self.fit * self.rule.strength


def matching(rules: Iterable[Rule], facts: Facts, *, domain: str, enough: float = ENOUGH) -> list[Match]:
    """The rules of ``domain`` in force that fit, the worthiest first; of equal worth the nearest, then by id."""
    found = []
    for rule in rules:
        if rule.domain == domain and not rule.retired:
            fit = fit_of(rule.condition, facts)
            if fit >= enough:
                found.append(Match(rule, fit, nearness(rule.condition, facts)))
    return sorted(found, key=lambda match: (-match.worth, -match.nearness, match.rule.id))


def nearness(condition: Iterable[Clause], facts: Facts) -> float:
    """The mean over the clauses of how near the facts lie to what was seen to succeed: 1 within it, for a range less
    the further off, 0 at a factor of ``REACH`` and beyond; 1 where there are no clauses."""
    near = []
    for clause in condition:
        values = facts.get(clause.name, ())
        if isinstance(clause, Span):
            seen = replace(clause, low=clause.seen_low, high=clause.seen_high)
            near.append(clause_fit(seen, values))
        else:
            near.append(clause_fit(clause, values))
    return sum(near) / len(near) if near else 1.0


def fit_of(condition: Iterable[Clause], facts: Facts) -> float:
    """The mean of the clauses' fits; 0 where a required one does not hold in full; 1 where there are no clauses."""
    fits = []
    for clause in condition:
        fit = clause_fit(clause, facts.get(clause.name, ()))
        if clause.required and fit < 1:
            return 0.0
        fits.append(fit)
    return sum(fits) / len(fits) if fits else 1.0


def clause_fit(clause: Clause, values: tuple[Scalar, ...]) -> float:
    """How far one clause holds for the values of its finding, in [0, 1]; a finding that is missing does not hold.

    Beyond its edge a range fades out over a factor of two; across zero, over its own width.
    """
    if not values:
        return 0.0
    if isinstance(clause, OneOf):
        return 1.0 if any(_same(a, b) for a in clause.values for b in values) else 0.0
    if isinstance(clause, Has):
        held = sum(any(_same(wanted, value) for value in values) for wanted in clause.values)
        return held / len(clause.values) if clause.values else 1.0
    return max((_near(clause, value) for value in values), default=0.0)


def _near(clause: Span, value: Scalar) -> float:
    if not _is_number(value):
        return 0.0
    number = float(value)  # type: ignore[arg-type]  # _is_number has checked it
    if clause.low <= number <= clause.high:
        return 1.0
    edge = clause.low if number < clause.low else clause.high
    if edge * number > 0:
        return max(0.0, 1.0 - abs(math.log(number / edge)) / math.log(REACH))
    width = clause.high - clause.low
    return max(0.0, 1.0 - abs(number - edge) / width) if width else 0.0


def widened(condition: Iterable[Clause], facts: Facts) -> tuple[Clause, ...]:
    """The condition after its advice succeeded on ``facts``: ranges reach that far, alternatives are added, and of what
    a finding must have only what both have in common is kept."""
    clauses: list[Clause] = []
    for clause in condition:
        values = facts.get(clause.name, ())
        if not values:
            clauses.append(clause)
        elif isinstance(clause, Has):
            common = tuple(v for v in clause.values if any(_same(v, value) for value in values))
            clauses.append(replace(clause, values=common) if common else clause)
        elif isinstance(clause, OneOf):
            new = [v for v in values if not any(_same(v, known) for known in clause.values)]
            clauses.append(replace(clause, values=(*clause.values, *new)))
        else:
            numbers = [float(v) for v in values if _is_number(v)]  # type: ignore[arg-type]  # checked in the condition
            clauses.append(
                replace(
                    clause,
                    low=min(clause.low, *numbers),
                    high=max(clause.high, *numbers),
                    seen_low=min(clause.seen_low, *numbers),
                    seen_high=max(clause.seen_high, *numbers),
                )
                if numbers
                else clause
            )
    return tuple(clauses)


def narrowed(condition: Iterable[Clause], facts: Facts) -> tuple[Clause, ...]:
    """The condition after its advice failed on ``facts``.

    Where some clauses did not hold, it is they that matter: they become required. Where all held, a range that reached
    beyond what was seen to succeed is cut half-way between the two (on a logarithmic scale where both have one sign).
    What was seen is never cut off.
    """
    clauses = tuple(condition)
    holds = [clause_fit(clause, facts.get(clause.name, ())) >= 1 for clause in clauses]
    if not all(holds):
        return tuple(c if held else replace(c, required=True) for c, held in zip(clauses, holds, strict=True))
    return tuple(_cut(c, facts[c.name]) if isinstance(c, Span) else c for c in clauses)


def _cut(clause: Span, values: tuple[Scalar, ...]) -> Span:
    numbers = [float(v) for v in values if _is_number(v)]  # type: ignore[arg-type]  # checked in the condition
    if len(numbers) != 1:
        return clause
    (number,) = numbers
    if clause.low <= number < clause.seen_low:
        return replace(clause, low=_between(number, clause.seen_low))
    if clause.seen_high < number <= clause.high:
        return replace(clause, high=_between(number, clause.seen_high))
    return clause


def _between(a: float, b: float) -> float:
    middle = math.copysign(math.sqrt(a / b) * abs(b), b) if a * b > 0 else (a + b) / 2
    return min(max(middle, min(a, b)), max(a, b))


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _same(a: Scalar, b: Scalar) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b
