"""Planning as the one loop: analyze the fleet, propose policies, evaluate each by building and checking its schedule.

A proposal is a policy of the heuristic, or a polish of the best policy so far; its evaluation is the schedule's worth
against the bound, after the independent check. Everything is repeatable from a proposal's payload, so the best schedule
of a resumed run is built again rather than stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.budget import Budget
from agents.protocols import Analysis, Cost, Evaluation, Finding, Problem, Proposal, Trial, best_of
from agents.stop import Stop, StopRule
from tuners.upgrade_sched.plan.bound import Bound, upper_bound
from tuners.upgrade_sched.plan.groups import Compiled, compile_problem
from tuners.upgrade_sched.plan.heuristic import Policy, build
from tuners.upgrade_sched.plan.lp import lp_bound, small_enough
from tuners.upgrade_sched.plan.model import FleetProblem, Schedule
from tuners.upgrade_sched.plan.polish import polish, worth
from tuners.upgrade_sched.plan.verify import violations

# Up to this many upgrades several policies are tried unless the user says how many.
SMALL = 20_000
POLISHED = 2_000
NOTES = "sysmith:upgrade_sched/windows.md > Risk of a window"
POLICIES = (Policy(), Policy(4, 0.0, 1), Policy(6, 0.2, 2), Policy(2, 0.0, 3), Policy(1, 0.1, 4), Policy(4, 0.5, 5))


@dataclass
class Planner:
    """Analyzer and evaluator of one fleet; ``best_schedule`` is what ``plan`` hands on.

    ``tight``: use the linear program's bound where the problem is small.
    """

    problem: FleetProblem
    tight: bool = True

    def __post_init__(self) -> None:
        self.compiled: Compiled = compile_problem(self.problem)
        self._bound: Bound | None = None
        self._built: dict[str, Schedule] = {}

    @property
    def bound(self) -> Bound:
        """The upper bound, computed once."""
        if self._bound is None:
            tight = self.tight and small_enough(self.compiled)
            self._bound = lp_bound(self.compiled) if tight else upper_bound(self.compiled)
        return self._bound

    def analyze(self, problem: Problem) -> Analysis:
        """What is asked for against what there is, and what cannot run."""
        c, bound = self.compiled, self.bound
        upgrades = c.problem.upgrades
        load = bound.demand_s / bound.capacity_s if bound.capacity_s else 0.0
        ratio = upgrades.spread_s / upgrades.mean_s
        rows: list[tuple[str, float | int | str, str]] = [
            ("servers", len(c.problem.fleet), "fleet"),
            ("upgrades", len(upgrades), "upgrades"),
            ("windows", len(c.problem.windows), "windows"),
            ("load", round(load, 4), "reserve asked for over the windows' lane time"),
            ("impossible", int((~c.possible).sum()), "upgrades that could not run even alone"),
            ("spread", round(float(np.median(ratio)), 4), "median of spread over mean"),
            ("binding groups", len(np.unique(c.membership[c.membership >= 0])), "limits that can bind"),
            ("dependencies", len(upgrades.after), "upgrades that come after others"),
            ("waves", len(c.problem.constraints.waves), "constraints"),
            ("bound", round(bound.value, 6), bound.method),
        ]
        return Analysis(tuple(Finding(name, value, where) for name, value, where in rows))

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        """Build and check one schedule. The objective is the gap to the bound plus a hundredth of the mean wait as a
        part of the horizon, so that of equal worth the earlier one wins."""
        began = time.monotonic()
        schedule = self.schedule_of(proposal.payload)
        found = violations(self.problem, schedule)
        value, lateness = worth(self.compiled, schedule)
        gap = self.bound.gap(schedule, self.problem.upgrades.weight)
        windows = self.problem.windows
        horizon = max(w.end for w in windows) - min(w.start for w in windows) if windows else 1
        wait = -lateness / (value * horizon) if value else 1.0
        metrics = {
            "value": value,
            "gap": gap,
            "scheduled": int(schedule.placed.sum()),
            "wait": wait,
            "violations": [one.to_json() for one in found[:20]],
            "how": dict(schedule.facts),
        }
        cost = Cost(wall_s=time.monotonic() - began, evaluations=1)
        if found:  # a fault of a scheduler; the loop goes on with those that keep the rules
            return Evaluation("failed", None, metrics, f"breaks a constraint: {found[0]}", cost)
        text = f"{metrics['scheduled']} of {len(self.problem.upgrades)} scheduled, {gap:.2%} below the bound"
        return Evaluation("passed", gap + 0.01 * wait, metrics, text, cost)

    def schedule_of(self, payload: Any) -> Schedule:
        """The schedule of a proposal's payload; the same payload gives the same schedule."""
        key = str(sorted(payload.items()))
        if key not in self._built:
            if len(self._built) > 8:
                self._built.pop(next(iter(self._built)))
            policy = Policy(int(payload["classes"]), float(payload["reach"]), int(payload["seed"]))
            base = {"classes": policy.classes, "reach": policy.reach, "seed": policy.seed}
            effort = float(payload.get("polish", 0.0))
            if effort:
                self._built[key] = polish(self.compiled, self.schedule_of(base), effort=effort, seed=policy.seed)
            else:
                self._built[key] = build(self.compiled, policy)
        return self._built[key]


class Policies:
    """The heuristic's policies, the one that did best on fleets of all sizes first."""

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        tried = {trial.proposal.content_hash for trial in history}
        for number, policy in enumerate(POLICIES):
            payload = {"classes": policy.classes, "reach": policy.reach, "seed": policy.seed}
            why = "lanes by class of variance keep the buffers small" if not number else "another mix of the same"
            source = "search" if number else "knowledge"
            proposal = Proposal(f"policy-{number + 1}", source, why, (NOTES,), payload)
            if proposal.content_hash not in tried:
                yield proposal


@dataclass(frozen=True)
class Polish:
    """CP-SAT from the best policy so far; ``effort`` is about its seconds."""

    effort: float

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        best = best_of([trial for trial in history if "polish" not in trial.proposal.payload])
        if best is not None and best.evaluation.metrics["gap"] > 0:
            payload = dict(best.proposal.payload) | {"polish": self.effort}
            yield Proposal(f"polish-{best.proposal.key}", "search", f"trial {best.index} is the best", payload=payload)


def proven() -> StopRule:
    """Stop when a schedule reaches the bound: there is none that is worth more."""

    def rule(trials: Sequence[Trial], budget: Budget) -> Stop | None:
        for trial in trials:
            if trial.passed and trial.evaluation.metrics.get("gap", 1.0) <= 1e-9:
                return Stop("goal", f"trial {trial.index} reached the bound")
        return None

    return rule
