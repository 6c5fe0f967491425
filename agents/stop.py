"""Stop rules: small functions that read the trials and the budget and say when, and why, a loop should end.

A rule is called before a loop asks its proposers and after each trial. That the proposers have nothing left is not a
rule: the loop sees it first and says so with the kind ``dry``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.budget import Budget
from agents.protocols import Trial

StopKind = Literal["goal", "budget", "stalled", "dry", "failed", "interrupted"]


@dataclass(frozen=True)
class Stop:
    """Why a loop ended, as a kind for programs and a clause for people. ``failed``: a part of the optimizer broke
    before the proposers were through."""

    kind: StopKind
    text: str


StopRule = Callable[[Sequence[Trial], Budget], Stop | None]


def goal_met(target: float | None = None) -> StopRule:
    """Stop at a passed trial: one without an objective, or with an objective of at most ``target``.

    Without a target a trial that has an objective never ends the loop, since a lower one may exist.
    """

    def rule(trials: Sequence[Trial], budget: Budget) -> Stop | None:
        for trial in trials:
            objective = trial.evaluation.objective
            if trial.passed and objective is None:
                return Stop("goal", f"trial {trial.index} passed")
            if trial.passed and objective is not None and target is not None and objective <= target:
                return Stop("goal", f"trial {trial.index} reached {objective:g}, the target being {target:g}")
        return None

    return rule


def budget_spent() -> StopRule:
    """Stop when a limit rules out any further evaluation (see ``Budget.stops_evaluation``)."""

    def rule(trials: Sequence[Trial], budget: Budget) -> Stop | None:
        reason = budget.stops_evaluation()
        return Stop("budget", reason) if reason else None

    return rule


def no_improvement(patience: int, *, relative: float = 0.0) -> StopRule:
    """Stop after ``patience`` trials in a row that were not better than the best before them.

    Better is: passed where none had, or an objective lower by more than ``relative`` times the best one's size.
    Raises ValueError unless ``patience`` is at least 1 and ``relative`` at least 0.
    """
    if patience < 1 or relative < 0:
        raise ValueError(f"patience is at least 1 and relative at least 0, not {patience} and {relative}")

    def rule(trials: Sequence[Trial], budget: Budget) -> Stop | None:
        passed = False
        best: float | None = None
        idle = 0
        for trial in trials:
            idle += 1
            objective = trial.evaluation.objective
            if not trial.passed:
                continue
            if not passed or (objective is not None and (best is None or objective < best - relative * abs(best))):
                idle = 0
                best = objective
            passed = True
        return Stop("stalled", f"no improvement in the last {idle} trials") if idle >= patience else None

    return rule


def once_passed(rule: StopRule) -> StopRule:
    """``rule``, heard only once something has passed: a search that has nothing yet is not cut short."""

    def heard(trials: Sequence[Trial], budget: Budget) -> Stop | None:
        return rule(trials, budget) if any(trial.passed for trial in trials) else None

    return heard


def any_of(*rules: StopRule) -> StopRule:
    """The first rule that speaks; put the goal before the budget, so that a goal met on the last unit counts as met."""

    def rule(trials: Sequence[Trial], budget: Budget) -> Stop | None:
        return next((stop for one in rules if (stop := one(trials, budget)) is not None), None)

    return rule
