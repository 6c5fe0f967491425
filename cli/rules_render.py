"""Rules as text for people; reads no store."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from cli.text import indented, safe
from knowledge.rules import Clause, Has, OneOf, Rule


def listing(rules: Sequence[tuple[str, Rule]], hidden: int = 0) -> str:
    """One line a rule, and how many retired ones are not shown."""
    lines = [
        f"{safe(rule.id, 12):12}  {safe(rule.domain, 14):14}  {rule.advice.kind:6}  {rule.strength:4.2f}  "
        f"{rule.confirmed}/{rule.refuted}{'  user' if place == 'user' else ''}"
        f"{'  retired' if rule.retired else ''}  {safe(rule.advice.words, 140)}"
        for place, rule in rules
    ]
    if lines:
        lines.insert(0, f"{'id':12}  {'domain':14}  {'advice':6}  {'strength, confirmed/refuted, what it says'}")
    else:
        lines.append("no rules: runs learn them when they end, and sysmith rules learn RUN reads them from an old run")
    if hidden:
        lines.append(f"{hidden} retired rules are not shown (--retired)")
    return "\n".join(lines)


def full(place: str, rule: Rule) -> str:
    """Everything there is to know of a rule."""
    kinds = {"try": "try this candidate", "prefer": "prefer these parts", "avoid": "avoid these parts"}
    lines = [
        f"rule {safe(rule.id, 64)} of {safe(rule.domain, 64)} ({place} rules)"
        + (f", retired: {safe(rule.retired, 400)}" if rule.retired else ""),
        f"strength {rule.strength:.2f}: confirmed {rule.confirmed} times, refuted {rule.refuted} times",
        "applies where:" if rule.condition else "applies everywhere",
        *(f"    {condition_text(clause)}" for clause in rule.condition),
        f"advice: {kinds[rule.advice.kind]}",
        indented(safe(json.dumps(dict(rule.advice.payload), indent=2))),
        f"in words: {safe(rule.advice.words)}",
        "evidence:",
    ]
    for evidence in rule.evidence:
        figures = ", ".join(f"{key} {_number(value)}" for key, value in evidence.figures.items())
        when = time.strftime("%Y-%m-%d", time.gmtime(evidence.time)) if evidence.time else "-"
        lines.append(
            f"    {when}  {evidence.outcome:9}  run {safe(evidence.run, 60)}, {safe(evidence.problem, 60)}, "
            f"trial {evidence.trial}: {safe(figures, 200)}"
        )
    return "\n".join(lines)


def condition_text(clause: Clause) -> str:
    """One clause in words."""
    must = " (required)" if clause.required else ""
    name = safe(clause.name, 60)
    if isinstance(clause, OneOf):
        return f"{name} is {' or '.join(safe(json.dumps(v), 60) for v in clause.values)}{must}"
    if isinstance(clause, Has):
        return f"{name} has {', '.join(safe(json.dumps(v), 60) for v in clause.values)}{must}"
    seen = (
        f"{clause.seen_low:g}"
        if clause.seen_low == clause.seen_high
        else f"{clause.seen_low:g} to {clause.seen_high:g}"
    )
    return f"{name} is {clause.low:g} to {clause.high:g}, seen at {seen}{must}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
