"""The default scheduler, in two phases, with a cost about linear in the number of upgrades; it proves nothing.

Phase one (``select``) decides which upgrades are worth their time and in which order. Phase two (``sweep``) goes
through time: when a lane is free, it starts the longest upgrade of its class that still fits the lane's reserve and
that no group blocks. What must be over before its last window is starts first. Near a lane's end it may take one from a
later window or from what was left out, if that fills the lane better.
"""

from __future__ import annotations

import time

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Schedule
from tuners.upgrade_sched.plan.select import choose
from tuners.upgrade_sched.plan.sweep import Policy, Sweep

__all__ = ["Policy", "build"]


def build(c: Compiled, policy: Policy | None = None) -> Schedule:
    """A schedule by the two-phase heuristic; the same input gives the same schedule."""
    policy = policy or Policy()
    began = time.perf_counter()
    sweep = Sweep(c, choose(c, policy.seed), policy)
    # An order whose first steps have nothing that could run begins with the first step that has.
    sweep.next_step(min((window.start for window in c.problem.windows), default=0))
    schedule = sweep.run()
    facts = {"scheduler": "heuristic", "classes": policy.classes, "reach": policy.reach, "seed": policy.seed}
    facts["seconds"] = round(time.perf_counter() - began, 4)
    assert not np.any(schedule.placed & ~c.possible)
    return Schedule(schedule.window, schedule.lane, schedule.start, facts)
