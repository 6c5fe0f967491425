"""The upgrades of a wave that all others wait for, and which of them a free lane takes next; it starts nothing itself.

A wave is over when its last upgrade is, so what counts is the group that has most left to do at its cap: its upgrades
go first, longer ones before shorter ones (the priority rule of most work remaining; R. Haupt, OR Spektrum 11, 1989).
Those that have no later window go before all others. Those that came late in an earlier try go earlier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Ints

SPARED = 0.2  # lanes that stand empty do so up to the last fifth of their window
MOST = 3000  # upgrades: each pick reads them all
READS = 30_000_000  # upgrades times picks, about one for each of a wave's


@dataclass(frozen=True)
class Haste:
    """How a wave is hurried. ``pushed``: how often each upgrade came late in earlier tries. ``targets``: the window by
    which each wave is meant to be over, at the earliest. ``own``: what an upgrade's own length counts beside its
    groups' work. ``late``: what coming late once counts, in parts of the longest window. ``spare``: of the
    lanes that the wave does not need, the part that stands empty until late: the last ones need lanes with small
    buffers. ``pools``: all come from the pools as in ``sweep``, those that came late first."""

    pushed: Ints
    targets: Sequence[int]
    own: float = 0.5
    late: float = 0.2
    spare: float = 0.0
    pools: bool = False


class Crowd:
    """The upgrades of one wave that have not started. ``latest``: the last window that each should wait for, set by
    whoever knows."""

    def __init__(self, c: Compiled, jobs: Ints, haste: Haste) -> None:
        upgrades = c.problem.upgrades
        self.jobs, self.latest, self.risk = jobs, np.full(len(jobs), len(c.problem.windows)), c.problem.risk
        self.place = {job: n for n, job in enumerate(jobs.tolist())}
        self.waiting = np.ones(len(jobs), dtype=bool)
        self.mean = upgrades.mean_s[jobs].astype(float)
        self.variance = upgrades.spread_s[jobs].astype(float) ** 2
        self.open_to = c.eligible[c.signature[jobs]]
        longest = max((window.length for window in c.problem.windows), default=0)
        self.urgent = haste.own * self.mean + haste.late * longest * haste.pushed[jobs]
        sizes = c.problem.risk.sizes(self.mean, self.variance, longest) if longest else self.mean
        self.lanes, self.spare = float(sizes.sum()) / max(longest, 1), haste.spare
        self.members = c.membership[jobs]  # -1 reads the last of the arrays below, which never binds
        self.cap = np.array([float(group.cap) for group in c.groups] + [np.inf])
        self.running = np.zeros(len(self.cap))
        self.work = np.zeros(len(self.cap))  # seconds left to do in each group, over its cap
        np.add.at(self.work, self.members, (self.mean[:, None] / self.cap[self.members]))

    def take(self, job: int) -> None:
        """``job`` starts: it waits no longer, and its groups have less left to do."""
        n = self.place[job]
        self.waiting[n] = False
        groups = self.members[n]
        self.work[groups] -= self.mean[n] / self.cap[groups]

    def run(self, groups: tuple[int, ...], change: int) -> None:
        """One more (or, with -1, one less) runs in each of ``groups``."""
        for group in groups:
            self.running[group] += change

    def most_urgent(self, count: int) -> Ints:
        """The ``count`` upgrades that would go first."""
        key = self.work[self.members].max(axis=1, initial=0.0) + self.urgent
        first: Ints = self.jobs[np.argsort(-key, kind="stable")[:count]]
        return first

    def keeps(self, lane: int, slots: int, room: float, length: float) -> bool:
        """Whether lane number ``lane`` of ``slots`` stands empty for now, ``room`` seconds before its window's end."""
        return room > SPARED * length and lane >= slots - math.floor(self.spare * max(0.0, slots - self.lanes))

    def candidates(self, which: int, room: float, before: float, variance: float) -> list[int]:
        """The upgrades that groups and the lane's reserve let start now in window ``which``, the most urgent first.

        ``room``: seconds to the window's end; ``before`` and ``variance``: what the lane holds, seconds and seconds^2.
        """
        startable = self.waiting & self.open_to[:, which]
        startable &= np.all(self.running[self.members] < self.cap[self.members], axis=1)
        some = np.nonzero(startable)[0]
        need = self.risk.reserves(before + self.mean[some], variance + self.variance[some]) - before
        some = some[need <= room]
        if not len(some):
            return []
        key = self.work[self.members[some]].max(axis=1, initial=0.0) + self.urgent[some]
        order = np.lexsort((-key, self.latest[some] > which))
        found: list[int] = self.jobs[some[order]].tolist()
        return found
