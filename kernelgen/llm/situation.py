"""What the trials of an operator say about what to ask for; it reads the history and asks nothing.

A trial of a model's kernels has ``kernels`` in its payload and a key such as ``s1.a2.c1``: conversation, answer in it,
candidate of that answer, each from 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.protocols import Trial, best_of
from kernelgen.llm.docs import askable, draws_random_numbers

_KEY = re.compile(r"\As(\d+)\.a(\d+)\.c(\d+)\Z")
_IMPOSSIBLE = "PyTorch itself cannot run this sample"


@dataclass(frozen=True, order=True)
class Step:
    """One answer of a model: conversation and answer in it, each from 0."""

    session: int
    attempt: int

    def key(self, candidate: int) -> str:
        """The proposal's key for one candidate of the answer, from 0."""
        return f"s{self.session + 1}.a{self.attempt + 1}.c{candidate + 1}"


def step_of(trial: Trial) -> tuple[Step, int] | None:
    """The step and candidate of a trial, or None where no model made it."""
    found = _KEY.match(trial.proposal.key)
    if found is None or "kernels" not in trial.proposal.payload:
        return None
    session, attempt, candidate = (int(number) - 1 for number in found.groups())
    return Step(session, attempt), candidate


def by_step(history: Sequence[Trial]) -> dict[Step, dict[int, Trial]]:
    """Step -> candidate -> trial, for the trials that a model's answers led to."""
    steps: dict[Step, dict[int, Trial]] = {}
    for trial in history:
        found = step_of(trial)
        if found is not None:
            steps.setdefault(found[0], {})[found[1]] = trial
    return steps


def before_session(history: Sequence[Trial], session: int) -> tuple[Trial, ...]:
    """The trials before the first of a conversation, or all where it has none yet."""
    for place, trial in enumerate(history):
        found = step_of(trial)
        if found is not None and found[0].session == session:
            return tuple(history[:place])
    return tuple(history)


def before_next(history: Sequence[Trial], step: Step) -> tuple[Trial, ...]:
    """The trials there were when the answer of ``step`` came: those before the first of it or of a later one."""
    for place, trial in enumerate(history):
        found = step_of(trial)
        if found is not None and found[0] >= step:
            return tuple(history[:place])
    return tuple(history)


@dataclass(frozen=True)
class Situation:
    """What is to be written. ``wanted`` maps an overload to ``missing``, ``failing`` or ``slow``; ``base`` is the trial
    to build on; ``refusal`` says why no model is asked ("" where one is); ``allowed`` are the overloads that an answer
    may serve."""

    wanted: Mapping[str, str]
    base: Trial | None
    refusal: str = ""
    allowed: frozenset[str] = frozenset()

    @property
    def improving(self) -> bool:
        return "slow" in self.wanted.values()


def situation(history: Sequence[Trial], *, improve: bool) -> Situation:
    """Read the history. The base is the best trial that passed, else the one with most samples passed."""
    base = best_of(history) or furthest(history)
    if base is None:
        return Situation({}, None, "nothing was judged before")
    metrics = base.evaluation.metrics
    if base.passed:
        if not improve:
            return Situation({}, base, "it passes already")
        # What PyTorch serves has no kernel that could be faster.
        state, found = "slow", list(metrics.get("used", ()))
    elif _IMPOSSIBLE in str(metrics.get("reason", "")):
        return Situation({}, base, "PyTorch cannot run its samples here, so no kernel could be shown to be right")
    elif metrics.get("stage") == "compile":
        state, found = "failing", list(base.proposal.payload.get("kernels", {}))
    elif metrics.get("missing"):
        state, found = "missing", list(metrics["missing"])
    else:
        state, found = "failing", list(metrics.get("culprits", ()))
    random = [key for key in found if draws_random_numbers(key)]
    if random and state == "missing":
        text = f"{', '.join(random)} draws random numbers, and no kernel can draw those of PyTorch's own generator"
        return Situation({}, base, text)
    unnamed = [key for key in found if not askable(key)]
    wanted = {key: state for key in found if askable(key)}
    if not wanted:
        what = f"a kernel file cannot serve {', '.join(unnamed)}" if unnamed else "no overload is known to be at fault"
        return Situation({}, base, what)
    return Situation(wanted, base, "", seen(history))


def seen(history: Sequence[Trial]) -> frozenset[str]:
    """Every overload that the trials found to be called and to compute, if a kernel file can serve it."""
    keys: set[str] = set()
    for trial in history:
        for field in ("missing", "culprits", "used"):
            keys.update(trial.evaluation.metrics.get(field, ()))
    return frozenset(key for key in keys if askable(key))


def passed_tests(metrics: Mapping[str, Any]) -> int:
    """Samples that passed, over all dtypes."""
    return sum(score["passed"] for score in metrics.get("scores", {}).values())


def furthest(trials: Sequence[Trial]) -> Trial | None:
    """The trial judged on all samples of which most passed, the earliest of equals; failing that, the first."""
    whole = [trial for trial in trials if not trial.evaluation.metrics.get("partial")]
    return max(whole, key=lambda trial: passed_tests(trial.evaluation.metrics), default=next(iter(trials), None))


_STAGES = ("lint", "screen", "tests", "compile", "measure")


def closest(candidates: Mapping[int, Trial]) -> tuple[int, Trial]:
    """The candidate of one answer that got furthest: by stage, then by samples passed, the first of equals."""

    def rank(item: tuple[int, Trial]) -> tuple[int, int, int]:
        metrics = item[1].evaluation.metrics
        stage = str(metrics.get("stage", ""))
        return (-_STAGES.index(stage) if stage in _STAGES else 1, -passed_tests(metrics), item[0])

    return min(candidates.items(), key=rank)
