"""A tighter upper bound for small problems, by linear programming; it makes no schedule.

Variables x[i, w] in [0, 1]: the share of upgrade i in window w, with the rows of ``relaxed``; beside these, nothing
runs without what it comes after, and a share of a later wave asks for the same share of every earlier one. Each of
these holds for any schedule, so the optimum bounds them all. Solved by GLOP (OR-Tools).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.bound import Bound, upper_bound
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.relaxed import Relaxed, relax

MOST_VARIABLES = 10_000


def small_enough(c: Compiled) -> bool:
    """Whether the linear program is solved in seconds."""
    return int(c.possible.sum()) * len(c.problem.windows) <= MOST_VARIABLES


def lp_bound(c: Compiled) -> Bound:
    """The linear program's bound, or another where that is smaller or the program is too large."""
    base = upper_bound(c)
    if not small_enough(c) or base.value <= 0:
        return base
    from ortools.linear_solver import pywraplp

    solver = pywraplp.Solver.CreateSolver("GLOP")
    r = relax(c)
    jobs: list[int] = r.jobs.tolist()
    x = {(w, k): solver.NumVar(0, 1, "") for w, k in zip(*(a.tolist() for a in np.nonzero(r.fits)), strict=True)}
    _capacities(solver, r, x)
    objective = solver.Objective()
    objective.SetMaximization()
    of_job: dict[int, list[object]] = {}
    for (_, k), variable in x.items():
        objective.SetCoefficient(variable, float(r.weight[k]))
        of_job.setdefault(jobs[k], []).append(variable)
    for variables in of_job.values():
        once = solver.Constraint(0, 1)
        for variable in variables:
            once.SetCoefficient(variable, 1)
    for i, names in c.problem.upgrades.after.items():
        for earlier in names:
            _no_more_than(solver, of_job.get(i, []), of_job.get(earlier, []), 1)
    _waves(solver, c, of_job)
    status = solver.Solve()
    if status != pywraplp.Solver.OPTIMAL:
        return base
    # The solver is exact to its tolerance only; a bound must not be low by it.
    value = float(objective.Value()) * (1 + 1e-7) + 1e-6
    return replace(base, value=value, method="linear program") if value < base.value else base


def _capacities(solver: Any, r: Relaxed, x: dict[tuple[int, int], Any]) -> None:
    """The rows of lanes, cuts and groups."""
    for w, room in enumerate(r.lanes.tolist()):
        inside = np.nonzero(r.fits[w])[0].tolist()
        row = solver.Constraint(0, room)
        for k in inside:
            row.SetCoefficient(x[w, k], float(r.size[w, k]))
        for kind in r.kinds:
            groups: dict[int, Any] = {}
            for k in inside:
                group = int(kind.group[k])
                if group < 0:
                    continue
                if group not in groups:
                    groups[group] = solver.Constraint(0, float(kind.room[w, group]))
                groups[group].SetCoefficient(x[w, k], float(r.mean[k]))
    for cut in r.cuts:
        row = solver.Constraint(0, cut.room)
        for k, size in zip(cut.members.tolist(), cut.size.tolist(), strict=True):
            row.SetCoefficient(x[cut.window, k], size)


def _no_more_than(solver: object, few: list[object], many: list[object], times: int) -> None:
    row = solver.Constraint(-solver.infinity(), 0)  # type: ignore[attr-defined]  # OR-Tools' own type
    for variable in few:
        row.SetCoefficient(variable, times)
    for variable in many:
        row.SetCoefficient(variable, -1)


def _waves(solver: object, c: Compiled, of_job: dict[int, list[object]]) -> None:
    step = c.problem.step
    for number in range(1, len(c.problem.constraints.waves) + 1):
        earlier = np.nonzero(c.possible & (step >= 0) & (step < number))[0].tolist()
        variables = [variable for i in earlier for variable in of_job.get(i, [])]
        for i in np.nonzero(c.possible & (step == number))[0].tolist() if earlier else ():
            _no_more_than(solver, of_job.get(i, []), variables, len(earlier))
