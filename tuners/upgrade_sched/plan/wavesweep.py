"""A sweep that starts the upgrades of a wave by what keeps the wave longest (``crowd``); all others go as in ``sweep``.

Of a wave too large for each pick to read, only the most urgent are taken apart; the rest comes from the pools, as
everything does.
"""

from __future__ import annotations

import math

import numpy as np

from tuners.upgrade_sched.plan.crowd import MOST, READS, Crowd, Haste
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.select import Choice, Policy
from tuners.upgrade_sched.plan.sweep import POOLED, Sweep
from tuners.upgrade_sched.plan.waves import last_chances

WOKEN = 6  # lanes that look again when an upgrade ends: each of its groups may have held one back


class WaveSweep(Sweep):
    """One sweep, its waves hurried as ``haste`` says."""

    def __init__(self, c: Compiled, choice: Choice, policy: Policy, haste: Haste) -> None:
        super().__init__(c, choice, policy, haste.pushed > 0)
        self.haste, self.crowd = haste, Crowd(c, np.empty(0, np.int64), haste)
        self.crowd_step = -1

    def _refill(self, now: int) -> None:
        if self.step != self.crowd_step:
            self._gather()
        super()._refill(now)
        self.crowd.latest = self.latest[self.crowd.jobs]

    def _hurry(self, now: int) -> None:
        if self.step < len(self.haste.targets):
            members = np.nonzero((self.steps == self.step) & (self.states <= POOLED))[0]
            if len(members):
                self.latest[members] = last_chances(self.c, members, self.need, now, self.haste.targets[self.step])

    def _gather(self) -> None:
        """The wave that has begun, if any, or the most urgent of it, becomes the crowd."""
        self.crowd_step = self.step
        jobs = np.nonzero((self.steps == self.step) & (self.states <= POOLED))[0]
        if self.step >= len(self.c.problem.constraints.waves) or self.haste.pools:
            jobs = jobs[:0]
        self.crowd = Crowd(self.c, jobs, self.haste)
        if len(jobs) > (most := min(MOST, READS // max(1, len(jobs)))):
            self.crowd = Crowd(self.c, np.sort(self.crowd.most_urgent(most)), self.haste)
        self.apart[self.crowd.jobs] = True
        self.crowd.running[:-1] = self.running

    def _pick(self, lane: int, now: int) -> None:
        which = self.lane_window[lane]
        room = self.windows[which].end - now
        if room > 0 and self.crowd.waiting.any():
            held = float(self.lane_mean[lane]), self.lane_variance[lane]
            window = self.windows[which]
            empty = not held[0] and self.crowd.keeps(self.lane_number[lane], window.slots, room, window.length)
            for job in () if empty else self.crowd.candidates(which, float(room), *held):
                self.operations += 1
                if self._may_start(job, now) and not (self.special[job] and self._special(job, lane, now)):
                    self._start(job, lane, now)
                    return
        super()._pick(lane, now)

    def _start(self, job: int, lane: int, now: int) -> None:
        super()._start(job, lane, now)
        self.crowd.run(self.members[job], 1)
        if job in self.crowd.place:
            self.crowd.take(job)

    def _end(self, lane: int, now: int) -> None:
        self.crowd.run(self.members[self.lane_job[lane]], -1)
        super()._end(lane, now)
        if self.crowd.waiting.any():
            self._unpark(WOKEN + math.ceil(self.crowd.spare * len(self.lane_job)), now)
