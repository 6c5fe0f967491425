"""A tighter upper bound for small problems, by linear programming; it makes no schedule.

Variables x[i, w] in [0, 1]: the share of upgrade i in window w. Lanes hold sum(size x) <= slots * length, groups
sum(mean x) <= cap * length, in each window and in each part of it that ends with a deadline or blackout; nothing runs
without what it comes after, and a share of a later wave asks for the same share of every earlier one. Each of these
holds for any schedule, so the optimum bounds them all. Solved by GLOP (OR-Tools).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.bound import Bound, upper_bound
from tuners.upgrade_sched.plan.groups import Compiled, light

MOST_VARIABLES = 60_000


def small_enough(c: Compiled) -> bool:
    """Whether the linear program is solved in seconds."""
    return int(c.possible.sum()) * len(c.problem.windows) <= MOST_VARIABLES


def lp_bound(c: Compiled) -> Bound:
    """The linear program's bound, or the combinatorial one where that is smaller or the program is too large."""
    base = upper_bound(c)
    if not small_enough(c) or base.value <= 0:
        return base
    from ortools.linear_solver import pywraplp

    solver = pywraplp.Solver.CreateSolver("GLOP")
    upgrades, windows = c.problem.upgrades, c.problem.windows
    mean, variance = upgrades.mean_s, upgrades.spread_s.astype(float) ** 2
    jobs = np.nonzero(c.possible)[0].tolist()
    release = _earliest(c)
    x: dict[tuple[int, int], Any] = {}
    for w, window in enumerate(windows):
        lanes = min(window.slots, len(upgrades))
        limits: dict[int, list[int]] = {}
        for i in jobs:
            first = max(window.start, int(upgrades.not_before[i]), release[int(c.problem.step[i])])
            last = min(window.end, int(upgrades.deadline[i]))
            if not c.eligible[c.signature[i], w] or first + mean[i] > last:
                continue
            parts = [part for part in light(first, last, c.blackouts[c.signature[i]]) if part[1] - part[0] >= mean[i]]
            if parts:
                x[i, w] = solver.NumVar(0, 1, "")
                limits.setdefault(parts[-1][1], []).append(i)
        inside: list[int] = []
        for limit in sorted(limits):
            # What must be over by then shares the lanes and the groups' room up to then.
            inside += limits[limit]
            length = limit - window.start
            size = c.problem.risk.sizes(mean[inside], variance[inside], length)
            row = solver.Constraint(0, float(lanes * length))
            groups: dict[int, Any] = {}
            for i, part in zip(inside, size, strict=True):
                row.SetCoefficient(x[i, w], float(part))
                for group in c.members[i]:
                    if group not in groups:
                        groups[group] = solver.Constraint(0, float(c.groups[group].cap * length))
                    groups[group].SetCoefficient(x[i, w], float(mean[i]))
    objective = solver.Objective()
    objective.SetMaximization()
    of_job: dict[int, list[object]] = {}
    for (i, _), variable in x.items():
        objective.SetCoefficient(variable, float(upgrades.weight[i]))
        of_job.setdefault(i, []).append(variable)
    for variables in of_job.values():
        once = solver.Constraint(0, 1)
        for variable in variables:
            once.SetCoefficient(variable, 1)
    for i, names in upgrades.after.items():
        for earlier in names:
            _no_more_than(solver, of_job.get(i, []), of_job.get(earlier, []), 1)
    _waves(solver, c, x, of_job)
    status = solver.Solve()
    if status != pywraplp.Solver.OPTIMAL:
        return base
    # The solver is exact to its tolerance only; a bound must not be low by it.
    value = float(objective.Value()) * (1 + 1e-7) + 1e-6
    return replace(base, value=value, method="linear program") if value < base.value else base


def _no_more_than(solver: object, few: list[object], many: list[object], times: int) -> None:
    row = solver.Constraint(-solver.infinity(), 0)  # type: ignore[attr-defined]  # OR-Tools' own type
    for variable in few:
        row.SetCoefficient(variable, times)
    for variable in many:
        row.SetCoefficient(variable, -1)


def _earliest(c: Compiled) -> dict[int, int]:
    """The earliest time at which each step of the order may begin; -1 is what no order concerns."""
    step, mean, waves = c.problem.step, c.problem.upgrades.mean_s, c.problem.constraints.waves
    found, now = {-1: 0, 0: 0}, min((window.start for window in c.problem.windows), default=0)
    for number, wave in enumerate(waves):
        longest = int(mean[c.possible & (step == number)].max(initial=0))
        now += (longest + wave.soak_s) if longest else 0
        found[number + 1] = now
    return found


def _waves(solver: object, c: Compiled, x: dict[tuple[int, int], object], of_job: dict[int, list[object]]) -> None:
    step = c.problem.step
    for number in range(1, len(c.problem.constraints.waves) + 1):
        earlier = np.nonzero(c.possible & (step >= 0) & (step < number))[0].tolist()
        variables = [variable for i in earlier for variable in of_job.get(i, [])]
        for i in np.nonzero(c.possible & (step == number))[0].tolist() if earlier else ():
            _no_more_than(solver, of_job.get(i, []), variables, len(earlier))
