"""The default scheduler, in two phases, with a cost about linear in the number of upgrades; it proves nothing.

Phase one (``select``) decides which upgrades are worth their time and in which order. Phase two (``sweep``) goes
through time: when a lane is free, it starts the longest upgrade of its class that still fits the lane's reserve and
that no group blocks. What must be over before its last window is starts first. Near a lane's end it may take one from a
later window or from what was left out, if that fills the lane better.

Where a wave ends late for the sake of a few upgrades, these are put first and the waves swept again (squeaky wheel
optimization: D. E. Joslin and D. P. Clements, J. Artificial Intelligence Research 10, 1999).
"""

from __future__ import annotations

import time

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Bools, Schedule
from tuners.upgrade_sched.plan.select import Choice, Policy, choose
from tuners.upgrade_sched.plan.sweep import Sweep
from tuners.upgrade_sched.plan.waves import stragglers

__all__ = ["Policy", "build"]

ROUNDS = 12  # sweeps through the waves at most


def build(c: Compiled, policy: Policy | None = None) -> Schedule:
    """A schedule by the two-phase heuristic; the same input gives the same schedule."""
    policy = policy or Policy()
    began = time.perf_counter()
    choice = choose(c, policy.seed)
    pushed, rounds, operations = _push(c, choice, policy)
    sweep = _begin(c, choice, policy, pushed)
    schedule = sweep.run()
    operations += sweep.operations
    facts = {"scheduler": "heuristic", "classes": policy.classes, "reach": policy.reach, "seed": policy.seed}
    facts["rounds"], facts["operations"] = rounds, operations
    facts["seconds"] = round(time.perf_counter() - began, 4)
    assert not np.any(schedule.placed & ~c.possible)
    return Schedule(schedule.window, schedule.lane, schedule.start, facts)


def _begin(c: Compiled, choice: Choice, policy: Policy, pushed: Bools) -> Sweep:
    sweep = Sweep(c, choice, policy, pushed)
    # An order whose first steps have nothing that could run begins with the first step that has.
    sweep.next_step(min((window.start for window in c.problem.windows), default=0))
    return sweep


def _push(c: Compiled, choice: Choice, policy: Policy) -> tuple[Bools, int, int]:
    """The upgrades to put first so that the waves are over as early as sweeps through these alone have found, how many
    of these there were and how many operations they took."""
    pushed = np.zeros(len(c.problem.upgrades), dtype=bool)
    best, last = pushed.copy(), len(c.problem.constraints.waves)
    found: tuple[int, int] | None = None
    rounds = operations = 0
    while last and rounds < ROUNDS:
        sweep = _begin(c, choice, policy, pushed)
        schedule = sweep.run(waves_only=True)
        rounds, operations = rounds + 1, operations + sweep.operations
        reached = (-sweep.step, sweep.begun)
        if found is None or reached < found:
            found, best = reached, pushed.copy()
        late = stragglers(c, schedule) & ~pushed
        if not late.any():
            break
        pushed |= late
    return best, rounds, operations
