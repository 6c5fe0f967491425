"""The words of every optimizer as types and protocols; it holds no behaviour beyond checking and hashing them.

An optimizer supplies three parts, and ``agents.loop`` does the rest:

    Analyzer   Problem -> Analysis              what is there, with evidence
    Proposer   Analysis, history -> Proposals   what could be better
    Evaluator  Problem, Proposal -> Evaluation  what happened when it ran

All values are frozen. What is written to the event log (a proposal's payload, an evaluation's metrics) is brought to
plain JSON when it is made, so that a part sees the same types whether a trial is live or was read back from disk.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

Status = Literal["passed", "failed", "error", "timeout", "skipped"]
STATUSES: tuple[str, ...] = get_args(Status)


def canonical_json(value: object) -> str:
    """``value`` as JSON with sorted keys and no spaces: equal values give equal text.

    Raises TypeError for what JSON cannot say and ValueError for NaN and infinities.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(mapping: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """``mapping`` as it would come back from disk (tuples become lists); raises ValueError naming ``owner``."""
    try:
        plain: dict[str, Any] = json.loads(canonical_json(dict(mapping)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner} must be plain JSON values: {error}") from error
    return plain


@dataclass(frozen=True)
class Problem:
    """What is optimised: one operator, one workload, one application, one fleet.

    ``name`` is unique within a run, and the event log knows the problem by it. ``payload`` is for the three parts alone
    and may hold any object; it is never written to disk.
    """

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing the analyzer found: ``value`` is the evidence, ``where`` is where it was read."""

    name: str
    value: float | int | str | bool | None
    where: str


@dataclass(frozen=True)
class Analysis:
    """The findings on one problem, in the analyzer's order; ``get`` returns the first finding of a name."""

    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", tuple(self.findings))

    def get(self, name: str) -> Finding | None:
        return next((finding for finding in self.findings if finding.name == name), None)


@dataclass(frozen=True)
class Cost:
    """What something cost: seconds of wall time, language-model tokens and calls, US dollars, evaluations. Costs add
    up."""

    wall_s: float = 0.0
    tokens: int = 0
    dollars: float = 0.0
    evaluations: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"a cost is finite and not negative, but {name} is {value}")

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.wall_s + other.wall_s,
            self.tokens + other.tokens,
            self.dollars + other.dollars,
            self.evaluations + other.evaluations,
            self.calls + other.calls,
        )


@dataclass(frozen=True)
class Proposal:
    """One candidate.

    ``key`` is a short readable name, ``source`` says who made it (``knowledge``, ``synthesis``, ``search``,
    ``llm:<model>``), ``rationale`` why, ``citations`` on what authority. ``payload`` is the candidate itself in plain
    JSON: kernel sources, a configuration, a schedule. Raises ValueError for a payload that JSON cannot hold.
    """

    key: str
    source: str
    rationale: str = ""
    citations: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "citations", tuple(self.citations))
        object.__setattr__(self, "payload", _plain(self.payload, f"the payload of proposal {self.key!r}"))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the payload alone: the same candidate is the same, whoever proposed it and why."""
        return hashlib.sha256(canonical_json(self.payload).encode()).hexdigest()


@dataclass(frozen=True)
class Evaluation:
    """What happened when a proposal ran.

    ``objective`` is the number to make small, or None where passing is the whole goal. ``failed`` means the candidate
    is wrong; ``error`` that it could not be judged. ``feedback`` is what a proposer should read before it tries again.
    Raises ValueError for an unknown status, an objective that is not finite and metrics that JSON cannot hold.
    """

    status: Status
    objective: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    feedback: str = ""
    cost: Cost = Cost()

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"an evaluation's status is one of {', '.join(STATUSES)}, not {self.status!r}")
        if self.objective is not None and not math.isfinite(self.objective):
            raise ValueError(f"an objective is a finite number or None, not {self.objective}")
        object.__setattr__(self, "metrics", _plain(self.metrics, "the metrics of an evaluation"))


@dataclass(frozen=True)
class Trial:
    """A proposal and its evaluation; ``index`` counts the trials of one problem from 0."""

    problem: str
    index: int
    proposal: Proposal
    evaluation: Evaluation

    @property
    def passed(self) -> bool:
        return self.evaluation.status == "passed"


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The passed trial with the lowest objective, the earliest of equals; a missing objective ranks last."""

    def rank(trial: Trial) -> tuple[float, int]:
        objective = trial.evaluation.objective
        return (math.inf if objective is None else objective, trial.index)

    return min((trial for trial in trials if trial.passed), key=rank, default=None)


class Analyzer(Protocol):
    """Reads a problem; runs once for each problem, and again on resume, so it should be repeatable."""

    def analyze(self, problem: Problem) -> Analysis: ...


class Proposer(Protocol):
    """Suggests candidates for what is known so far.

    It is asked again after its suggestions were tried, with the longer history; proposing nothing new means that it has
    nothing left. For an exact resume it should depend on its arguments alone (seed a generator from ``len(history)``).
    A lazy iterable is read lazily: nothing is drawn from it after a stop rule has spoken.
    """

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterable[Proposal]: ...


class Evaluator(Protocol):
    """Tries one candidate, cheapest check first. What it raises becomes a trial with status ``error``, except errors
    the user must mend (InputError, MissingPart, BudgetExhausted, Interrupted), which end the run."""

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation: ...
