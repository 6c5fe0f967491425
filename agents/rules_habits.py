"""What an optimizer tells the rules about itself, and the facts that rules are matched on; it learns nothing.

Facts are the findings of an analysis by name, and, where the optimizer names them, symptoms: metrics of the last trial
that failed (``culprits``, say), as ``symptom:<metric>``. So a rule can say what to try after a failure of a known kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.protocols import Analysis, Analyzer, Finding, Problem, Trial, canonical_json
from knowledge.rules import Facts, Scalar

NAME = "problem"  # the finding that ``Naming`` adds
SYMPTOM = "symptom:"
CITED = "rule:"  # a citation of a rule is this and its id


@dataclass(frozen=True)
class Habits:
    """``domain`` is the command. ``ignore``: keys of a payload that are no part of the lesson (a hash, say).
    ``required``: findings without which a rule must not apply. ``symptoms``: metrics of a failed trial to learn by.
    ``by_name``: lessons hold for the same problem only (or for the same symptoms). ``noted``: findings that are kept
    with the evidence and are no part of a condition (when a lesson was learned, say)."""

    domain: str
    ignore: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()
    by_name: bool = False
    noted: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for the event log: a run read back later is learned from in the same way."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Habits:
        """Raises KeyError or TypeError for what ``to_json`` did not write."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**fields)

    def lesson(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a payload that a rule may keep; what is empty says nothing."""
        return {key: value for key, value in payload.items() if key not in self.ignore and value not in ({}, [], "")}


class Naming:
    """An analyzer that adds the problem's name to the findings of another, for rules that hold by name."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def analyze(self, problem: Problem) -> Analysis:
        findings = self._analyzer.analyze(problem).findings
        return Analysis((*findings, Finding(NAME, problem.name, "the problem itself")))


def facts_of(analysis: Analysis, symptoms: Mapping[str, tuple[Scalar, ...]] | None = None) -> dict[str, Any]:
    """Finding name -> its values in the analyzer's order; a finding that found nothing (None) is no fact."""
    facts: dict[str, tuple[Scalar, ...]] = {}
    for finding in analysis.findings:
        if finding.value is not None:
            facts[finding.name] = (*facts.get(finding.name, ()), finding.value)
    return facts | dict(symptoms or {})


def symptoms_of(trials: Sequence[Trial], metrics: Sequence[str]) -> dict[str, tuple[Scalar, ...]]:
    """The named metrics of the last failed trial, as facts; none where no trial failed or the metric is empty."""
    failed = [trial for trial in trials if trial.evaluation.status in ("failed", "timeout")]
    if not failed:
        return {}
    facts: dict[str, tuple[Scalar, ...]] = {}
    for name in metrics:
        value = failed[-1].evaluation.metrics.get(name)
        values = value if isinstance(value, list) else [value]
        kept = tuple(v for v in values if isinstance(v, str | int | float | bool) and v != "")
        if kept:
            facts[SYMPTOM + name] = kept
    return facts


def all_facts(analysis: Analysis, trials: Sequence[Trial], habits: Habits) -> Facts:
    """What rules are matched on, for a problem with this analysis and history."""
    return facts_of(analysis, symptoms_of(trials, habits.symptoms))


def cited(trial: Trial) -> tuple[str, ...]:
    """The ids of the rules that a trial's proposal came from."""
    return tuple(c.removeprefix(CITED) for c in trial.proposal.citations if c.startswith(CITED))


def contains(payload: Any, part: Any) -> bool:
    """Whether everything that ``part`` says is so in ``payload``; mappings are compared key by key."""
    if isinstance(part, Mapping):
        return isinstance(payload, Mapping) and all(k in payload and contains(payload[k], v) for k, v in part.items())
    return canonical_json(payload) == canonical_json(part)


def overlaid(payload: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """``payload`` with what ``part`` says in its place; mappings are joined key by key."""
    result = dict(payload)
    for key, value in part.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = overlaid(old, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return result


def plain_line(text: str, most: int = 200) -> str:
    """``text``, which a candidate may have written, as one printable line of at most ``most`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
