"""Reads rules from JSON of unknown origin and says what is wrong with it; it opens no file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from knowledge.rules import (
    ADVICE_KINDS,
    MOST_EVIDENCE,
    MOST_WORDS,
    OUTCOMES,
    Advice,
    Clause,
    Evidence,
    Has,
    OneOf,
    Rule,
    Span,
)
from sysmith_errors import InputError

T = TypeVar("T")
MOST_PAYLOAD = 200_000  # characters of JSON; a kernel's sources fit, a mistake does not
_MEND = "Correct it, or export the rules anew with sysmith rules export."


def rule_from_json(data: Any, where: str) -> Rule:
    """The rule in ``data``. Raises InputError naming ``where``, the field and its value for anything that is wrong."""
    fields = _object(data, where, Rule.__dataclass_fields__)
    try:
        json.dumps(data, allow_nan=False)
    except ValueError as error:
        raise InputError(f"{where}: a number in it is not finite", mend=_MEND) from error
    advice = _object(_get(fields, where, "advice"), f"{where}: advice", ("kind", "payload", "words"))
    payload = _get(advice, f"{where}: advice", "payload")
    if not isinstance(payload, dict):
        raise _wrong(where, "advice.payload", payload, "is not a JSON object")
    if len(json.dumps(payload)) > MOST_PAYLOAD:
        raise InputError(f"{where}: advice.payload is longer than {MOST_PAYLOAD} characters", mend=_MEND)
    words = _text(advice, f"{where}: advice", "words", MOST_WORDS)
    conditions = _list(fields, where, "condition")
    rule = Rule(
        id=_text(fields, where, "id", 64, least=1),
        domain=_text(fields, where, "domain", 64, least=1),
        condition=tuple(_clause(c, f"{where}: condition[{n}]") for n, c in enumerate(conditions)),
        advice=Advice(_choice(advice, f"{where}: advice", "kind", ADVICE_KINDS), payload, words),
        evidence=tuple(_evidence(e, f"{where}: evidence[{n}]") for n, e in enumerate(_list(fields, where, "evidence"))),
        confirmed=_count(fields, where, "confirmed"),
        refuted=_count(fields, where, "refuted"),
        retired=_text(fields, where, "retired", MOST_WORDS),
    )
    if len(rule.evidence) > MOST_EVIDENCE:
        raise _wrong(where, "evidence", len(rule.evidence), f"has more than {MOST_EVIDENCE} entries")
    for outcome in ("confirmed", "refuted"):
        shown = sum(e.outcome == outcome for e in rule.evidence)
        if getattr(rule, outcome) < shown:
            raise _wrong(where, outcome, getattr(rule, outcome), f"is less than the {shown} in its evidence")
    return rule


def _clause(data: Any, where: str) -> Clause:
    kind = _choice(_object(data, where, None), where, "kind", ("range", "one_of", "has"))
    if kind == "range":
        fields = _object(data, where, ("kind", *Span.__dataclass_fields__))
        edges = {name: _number(fields, where, name) for name in ("low", "high", "seen_low", "seen_high")}
        if not edges["low"] <= edges["seen_low"] <= edges["seen_high"] <= edges["high"]:
            raise InputError(f"{where}: low <= seen_low <= seen_high <= high does not hold for {edges}", mend=_MEND)
        return Span(_text(fields, where, "name", 200, least=1), **edges, required=_flag(fields, where, "required"))
    fields = _object(data, where, ("kind", *OneOf.__dataclass_fields__))
    values = _list(fields, where, "values")
    for value in values:
        if not isinstance(value, str | int | float | bool | None):
            raise _wrong(where, "values", value, "is neither text, number, truth value nor null")
    made: type[OneOf | Has] = OneOf if kind == "one_of" else Has
    return made(_text(fields, where, "name", 200, least=1), tuple(values), _flag(fields, where, "required"))


def _evidence(data: Any, where: str) -> Evidence:
    fields = _object(data, where, Evidence.__dataclass_fields__)
    figures = _get(fields, where, "figures")
    if not isinstance(figures, dict):
        raise _wrong(where, "figures", figures, "is not a JSON object")
    return Evidence(
        run=_text(fields, where, "run", 200),
        problem=_text(fields, where, "problem", 500),
        trial=_count(fields, where, "trial"),
        outcome=_choice(fields, where, "outcome", OUTCOMES),
        figures=figures,
        time=_number(fields, where, "time"),
    )


def _object(data: Any, where: str, known: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"{where} is {_shown(data)}, not a JSON object", mend=_MEND)
    if known is not None:
        for name in data:
            if name not in known:
                raise InputError(f"{where}: {name} is not a field of it", mend=f"Known are {', '.join(known)}.")
    return data


def _get(fields: Mapping[str, Any], where: str, name: str) -> Any:
    if name not in fields:
        raise InputError(f"{where}: {name} is missing", mend=_MEND)
    return fields[name]


def _checked(name: str, what: str, good: Callable[[Any], bool]) -> Callable[[Mapping[str, Any], str], Any]:
    def check(fields: Mapping[str, Any], where: str) -> Any:
        value = _get(fields, where, name)
        if not good(value):
            raise _wrong(where, name, value, f"is not {what}")
        return value

    return check


def _text(fields: Mapping[str, Any], where: str, name: str, most: int, least: int = 0) -> str:
    what = f"a text of {least} to {most} characters"
    text: str = _checked(name, what, lambda v: isinstance(v, str) and least <= len(v) <= most)(fields, where)
    return text


def _choice(fields: Mapping[str, Any], where: str, name: str, allowed: tuple[str, ...]) -> Any:
    return _checked(name, f"one of {', '.join(allowed)}", lambda v: v in allowed)(fields, where)


def _count(fields: Mapping[str, Any], where: str, name: str) -> int:
    def good(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0

    count: int = _checked(name, "a whole number from 0", good)(fields, where)
    return count


def _number(fields: Mapping[str, Any], where: str, name: str) -> float:
    def good(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

    return float(_checked(name, "a finite number", good)(fields, where))


def _flag(fields: Mapping[str, Any], where: str, name: str) -> bool:
    flag: bool = _checked(name, "true or false", lambda v: isinstance(v, bool))(fields, where)
    return flag


def _list(fields: Mapping[str, Any], where: str, name: str) -> list[Any]:
    found: list[Any] = _checked(name, "a list", lambda v: isinstance(v, list))(fields, where)
    return found


def _wrong(where: str, name: str, value: Any, problem: str) -> InputError:
    return InputError(f"{where}: {name} {_shown(value)} {problem}", mend=_MEND)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
