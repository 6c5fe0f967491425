"""What each constraint costs: the schedule and the bound with it lifted; it changes no plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.bound import upper_bound
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.model import NEVER, FleetProblem
from tuners.upgrade_sched.plan.optimizer import POLICIES, SMALL, Planner

STEPS = 30  # of the prices behind each bound: enough to compare


def variants(problem: FleetProblem) -> Iterator[tuple[str, FleetProblem]]:
    """The problem with one constraint lifted at a time, and its name in words."""
    rules, upgrades = problem.constraints, problem.upgrades
    if rules.max_running is not None:
        unlimited = replace(rules, max_running=None)
        yield f"at most {rules.max_running} running at once", replace(problem, constraints=unlimited)
    for number, limit in enumerate(rules.limits):
        most = limit.max_down if limit.max_down is not None else f"{limit.share:.0%}"
        named = f" ({', '.join(limit.values[:3])})" if limit.values else ""
        rest = replace(rules, limits=rules.limits[:number] + rules.limits[number + 1 :])
        yield f"at most {most} down in each {limit.domain}{named}", replace(problem, constraints=rest)
    for number, floor in enumerate(rules.floors):
        least = floor.min_up if floor.min_up is not None else f"{floor.share:.0%}"
        named = f" ({', '.join(floor.values[:3])})" if floor.values else ""
        rest = replace(rules, floors=rules.floors[:number] + rules.floors[number + 1 :])
        yield f"at least {least} up in each {floor.domain}{named}", replace(problem, constraints=rest)
    if rules.waves:
        free = replace(upgrades, wave=np.full(len(upgrades), -1))
        names = ", ".join(wave.name for wave in rules.waves[:4])
        yield f"waves ({names})", replace(problem, upgrades=free, constraints=replace(rules, waves=()))
    for number, blackout in enumerate(rules.blackouts):
        dark = rules.blackouts[:number] + rules.blackouts[number + 1 :]
        yield f"blackout {blackout.name}", replace(problem, constraints=replace(rules, blackouts=dark))
    if upgrades.after:
        yield "dependencies", replace(problem, upgrades=replace(upgrades, after={}))
    if np.any(upgrades.deadline < NEVER):
        late = np.full(len(upgrades), NEVER)
        yield "deadlines", replace(problem, upgrades=replace(upgrades, deadline=late))
    if np.any(upgrades.not_before > 0):
        early = np.zeros(len(upgrades), np.int64)
        yield "not_before", replace(problem, upgrades=replace(upgrades, not_before=early))
    if np.any(upgrades.spread_s > 0):
        sure = replace(upgrades, spread_s=np.zeros(len(upgrades), np.int64))
        yield "buffers for risk", replace(problem, upgrades=sure)


def quick(planner: Planner) -> bool:
    """Whether the fleet is small enough to do this without being asked."""
    return len(planner.problem.upgrades) <= SMALL


def constraint_costs(planner: Planner) -> dict[str, Any]:
    """For each constraint the weight scheduled and the bound without it, made as the base line is: by the best of the
    heuristic's policies (one policy for a large fleet), without polishing. The bound here is the combinatorial one."""
    many = len(planner.problem.upgrades) > SMALL

    def best(problem: FleetProblem) -> tuple[float, int, float]:
        compiled = compile_problem(problem)
        values = []
        for policy in POLICIES[: 1 if many else 3]:
            placed = build(compiled, policy).placed
            values.append((float(problem.upgrades.weight[placed].sum()), int(placed.sum())))
        return (*max(values), upper_bound(compiled, STEPS).value)

    value, scheduled, bound = best(planner.problem)
    rows = []
    for name, problem in variants(planner.problem):
        new_value, new_scheduled, new_bound = best(problem)
        if new_value < value:  # the schedule with all constraints keeps fewer as well
            new_value, new_scheduled = value, scheduled
        rows.append(
            {
                "constraint": name,
                "value": round(new_value, 6),
                "scheduled": new_scheduled,
                "bound": round(new_bound, 6),
                "cost": round(new_value - value, 6),
                "more_scheduled": new_scheduled - scheduled,
            }
        )
    rows.sort(key=lambda row: -float(str(row["cost"])))
    return {"value": round(value, 6), "scheduled": scheduled, "bound": round(bound, 6), "rows": rows}
