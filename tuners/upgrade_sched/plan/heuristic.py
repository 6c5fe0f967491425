"""The default scheduler, in two phases, with a cost about linear in the number of upgrades; it proves nothing.

Phase one (``select``) decides which upgrades are worth their time and in which order; where constraints press it does
so by prices (``guide``). Phase two (``sweep``) goes through time: when a lane is free, it starts the longest upgrade of
its class that still fits the lane's reserve and that no group blocks. What must be over before its last window is
starts first. Near a lane's end it may take one from a later window or from what was left out, if that fills the lane
better.

Where a wave ends late for the sake of a few upgrades, these are put first and the waves swept again (squeaky wheel
optimization: D. E. Joslin and D. P. Clements, J. Artificial Intelligence Research 10, 1999).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tuners.upgrade_sched.plan.bound import pressed
from tuners.upgrade_sched.plan.crowd import Haste
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.guide import guided, returns
from tuners.upgrade_sched.plan.model import NEVER, Ints, Schedule
from tuners.upgrade_sched.plan.select import Choice, Policy, choose
from tuners.upgrade_sched.plan.waves import least_ends, releases, stragglers
from tuners.upgrade_sched.plan.wavesweep import WaveSweep

__all__ = ["Policy", "build"]

SEVERAL = 50_000  # upgrades up to which several orders are swept
LEAST, MOST, WORK = 8, 40, 10_000  # sweeps through the waves: WORK over their upgrades, within these
PATIENCE = 8  # of these without an earlier end, then another style is tried
# ``own``, ``late`` and ``spare`` of ``crowd.Haste``.
STYLES = ((0.5, 0.2, 0.0), (0.5, 0.2, 1.0), (0.5, 0.1, 0.0), (1.0, 0.3, 1.0))


@dataclass(frozen=True)
class _Waves:
    """What the best sweep through the waves was made with, when the last step began (0: it did not), and the cost."""

    haste: Haste
    begun: int
    rounds: int
    operations: int


def build(c: Compiled, policy: Policy | None = None) -> Schedule:
    """A schedule by the two-phase heuristic; the same input gives the same schedule."""
    policy = policy or Policy()
    began = time.perf_counter()
    choice = choose(c, policy.seed)
    waves = _push(c, choice, policy)
    orders, operations = [choice], waves.operations
    if c.possible.any() and pressed(c):
        gain = returns(c, _begins(c, waves))
        orders = [guided(c, choice, gain, policy.seed, mixed=True)]
        if len(gain) <= SEVERAL:
            orders += [guided(c, choice, gain, policy.seed, mixed=False), choice]
    best, value = None, -1.0
    for order in orders:
        sweep = _begin(c, order, policy, waves.haste)
        schedule = sweep.run()
        operations += sweep.operations
        worth = float(c.problem.upgrades.weight[schedule.placed].sum())
        if best is None or worth > value:
            best, value = schedule, worth
    assert best is not None
    assert not np.any(best.placed & ~c.possible)
    facts = {"scheduler": "heuristic", "classes": policy.classes, "reach": policy.reach, "seed": policy.seed}
    facts["rounds"], facts["operations"] = waves.rounds, operations
    facts["seconds"] = round(time.perf_counter() - began, 4)
    return Schedule(best.window, best.lane, best.start, facts)


def _begin(c: Compiled, choice: Choice, policy: Policy, haste: Haste) -> WaveSweep:
    sweep = WaveSweep(c, choice, policy, haste)
    # An order whose first steps have nothing that could run begins with the first step that has.
    sweep.next_step(_start(c))
    return sweep


def _start(c: Compiled) -> int:
    return min((window.start for window in c.problem.windows), default=0)


def _begins(c: Compiled, waves: _Waves) -> dict[int, int]:
    """When each step begins, the last one as late as the sweeps could not help."""
    found = releases(c)
    last = len(c.problem.constraints.waves)
    found[last] = max(found.get(last, 0), waves.begun)
    return found


def _push(c: Compiled, choice: Choice, policy: Policy) -> _Waves:
    """How to hurry the waves so that they are over as early as sweeps through these alone have found.

    What came late is pushed; where that leads nowhere, another style is tried, then a target one window later: what has
    a window after the target waits for it, and the rest goes first.
    """
    waves, none = len(c.problem.constraints.waves), np.zeros(len(c.problem.upgrades), np.int64)
    ends, members = least_ends(c), int((c.possible & (c.problem.step >= 0) & (c.problem.step < waves)).sum())
    hurry = _hastes(c, none, [_window_of(c, end) for end in ends])
    haste = next(hurry)
    best, found = haste, (0, NEVER)
    earliest = _next_open(c, releases(c)[waves]) if waves else NEVER
    rounds = operations = idle = 0
    while members and rounds < min(MOST, max(LEAST, WORK // members)):
        sweep = _begin(c, choice, policy, haste)
        schedule = sweep.run(waves_only=True)
        rounds, operations, idle = rounds + 1, operations + sweep.operations, idle + 1
        reached = (-sweep.step, sweep.begun)
        if reached < found:
            found, best, idle = reached, haste, 0
        late = stragglers(c, schedule)
        if not late.any() or (sweep.step == waves and _next_open(c, sweep.begun) <= earliest):
            break
        haste = replace(haste, pushed=haste.pushed + late)
        if idle >= PATIENCE:
            haste, idle = next(hurry), 0
    return _Waves(best, found[1] if rounds and found[0] == -waves else 0, rounds, operations)


def _hastes(c: Compiled, none: Ints, targets: list[int]) -> Iterator[Haste]:
    """Every style with the targets, with none, then with later ones, without end; after the first, from the pools."""
    last = len(c.problem.windows) - 1
    yield Haste(none, targets, *STYLES[0])
    yield Haste(none, [0] * len(targets), pools=True)
    for number, style in enumerate(STYLES):
        if number:
            yield Haste(none, targets, *style)
        yield Haste(none, [0] * len(targets), *style)
    while True:
        targets = [min(target + 1, last) for target in targets]
        for style in STYLES:
            yield Haste(none, targets, *style)


def _window_of(c: Compiled, end: int) -> int:
    """The first window that is open at ``end`` or later."""
    return next((n for n, window in enumerate(c.problem.windows) if window.end >= end), len(c.problem.windows) - 1)


def _next_open(c: Compiled, moment: int) -> int:
    """The first time from ``moment`` on at which a window is open; NEVER if there is none."""
    return min((max(moment, window.start) for window in c.problem.windows if window.end > moment), default=NEVER)
