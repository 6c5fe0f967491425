"""Admission while a window runs: what may start now, and how those that run are likely to end; it starts nothing.

The controller counts what really runs, so limits, floors, waves and dependencies hold whatever the durations turn out
to be. An upgrade is admitted to a free slot if its mean plus z times its spread ends before the window, its deadline
and the next blackout. The plan's order comes first; when nothing planned for the window may start, later windows'
upgrades and those left out fill the slot. Durations are predicted anew from the time that has passed (``remaining``).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import NEVER, Schedule

LOOK = 400  # candidates from outside the window that are tried for one slot
_PHI = NormalDist().cdf


def remaining(mean: float, spread: float, elapsed: float) -> tuple[float, float]:
    """Mean and spread (s) of the time left, given that an upgrade has run for ``elapsed`` seconds and is not over.

    The duration is a lognormal with this mean and spread; its moments beyond t follow from E[T^k; T > t] =
    exp(k mu + k^2 s^2 / 2) Phi((mu + k s^2 - ln t) / s).
    """
    if elapsed <= 0:
        return mean, spread
    if spread <= 0:
        return max(mean - elapsed, 0.0), 0.0
    s2 = math.log1p((spread / mean) ** 2)
    s, mu, t = math.sqrt(s2), math.log(mean) - s2 / 2, math.log(elapsed)
    tail = _PHI((mu - t) / s)
    if tail < 1e-12:  # far beyond anything predicted: it may take as long again
        return elapsed, elapsed
    first = math.exp(mu + s2 / 2) * _PHI((mu + s2 - t) / s) / tail
    second = math.exp(2 * mu + 2 * s2) * _PHI((mu + 2 * s2 - t) / s) / tail
    return max(first - elapsed, 0.0), math.sqrt(max(second - first * first, 0.0))


def overrun_probability(mean: float, spread: float, elapsed: float, left: float) -> float:
    """The probability that an upgrade which has run for ``elapsed`` seconds takes more than ``left`` further ones."""
    if spread <= 0:
        return float(mean > elapsed + left)
    s2 = math.log1p((spread / mean) ** 2)
    s, mu = math.sqrt(s2), math.log(mean) - s2 / 2
    alive = _PHI((mu - math.log(elapsed)) / s) if elapsed > 0 else 1.0
    over = _PHI((mu - math.log(elapsed + left)) / s) if elapsed + left > 0 else 1.0
    return min(1.0, over / alive) if alive > 1e-12 else 1.0


@dataclass(frozen=True)
class Start:
    """Start this upgrade now, in this window and slot."""

    job: int
    window: int
    lane: int


class Controller:
    """The state of an execution. ``admit`` answers what to start; tell it of ends by ``end``.

    ``ahead``: fill slots from outside the window's own plan. ``cutoff_s``: give every upgrade this fixed time instead
    of its prediction.
    """

    def __init__(
        self, c: Compiled, schedule: Schedule | None = None, *, ahead: bool = True, cutoff_s: float | None = None
    ) -> None:
        problem = c.problem
        self.c, self.ahead = c, ahead
        self.windows, self.steps = problem.windows, problem.step
        upgrades = problem.upgrades
        z = problem.risk.z
        need = upgrades.mean_s + z * upgrades.spread_s if cutoff_s is None else np.full(len(upgrades), cutoff_s)
        self.need: list[float] = need.tolist()
        self.running: dict[int, Start] = {}
        self.since: dict[int, int] = {}
        self.done: set[int] = set()
        self.lost: set[int] = set(np.nonzero(~c.possible)[0].tolist()) if cutoff_s is None else set()
        self._groups = [0] * len(c.groups)
        self._slots: list[set[int]] = [set() for _ in self.windows]
        self._left = Counter(int(step) for job, step in enumerate(self.steps.tolist()) if job not in self.lost)
        self._over: dict[int, int] = {}  # when each step's last upgrade ended
        self._queues: list[list[int]] = [[] for _ in self.windows]
        placed = schedule.placed if schedule is not None else np.zeros(len(upgrades), bool)
        if schedule is not None:
            for job in np.nonzero(placed)[0][np.argsort(schedule.start[placed], kind="stable")].tolist():
                self._queues[int(schedule.window[job])].append(job)
        rest = np.nonzero(~placed)[0]
        density = upgrades.weight[rest] / np.maximum(upgrades.mean_s[rest], 1)
        order = rest[np.lexsort((-density, np.maximum(self.steps[rest], 0)))]
        self._rest = [job for job in order.tolist() if job not in self.lost]

    def admit(self, now: int, held: Counter[str] | None = None) -> list[Start]:
        """What to start at ``now``; each counts as running from then on. ``held`` counts why others were not."""
        starts: list[Start] = []
        for number, window in enumerate(self.windows):
            if not window.start <= now < window.end:
                continue
            while len(self._slots[number]) < window.slots:
                job = self._next(number, now, held)
                if job < 0:
                    break
                lane = next(lane for lane in range(window.slots) if lane not in self._slots[number])
                starts.append(Start(job, number, lane))
                self.begin(starts[-1], now)
        return starts

    def begin(self, start: Start, now: int) -> None:
        """Note that an upgrade has started."""
        self._slots[start.window].add(start.lane)
        self.running[start.job], self.since[start.job] = start, now
        for group in self.c.all_members[start.job]:
            self._groups[group] += 1
        for queue in (*self._queues, self._rest):
            if start.job in queue:
                queue.remove(start.job)

    def give_up(self, job: int) -> None:
        """Never start this upgrade again; what comes after it will not run."""
        self.lost.add(job)
        for queue in (*self._queues, self._rest):
            if job in queue:
                queue.remove(job)

    def end(self, job: int, now: int, *, completed: bool, again: bool = True) -> None:
        """Note that an upgrade is over. One that was not completed waits for another chance unless ``again`` is
        false; then it is lost, and what comes after it will not run."""
        start = self.running.pop(job)
        self._slots[start.window].discard(start.lane)
        for group in self.c.all_members[job]:
            self._groups[group] -= 1
        if completed:
            self.done.add(job)
            step = int(self.steps[job])
            self._left[step] -= 1
            self._over[step] = max(self._over.get(step, 0), now)
        elif again:
            self._rest.append(job)
        else:
            self.lost.add(job)

    def _next(self, number: int, now: int, held: Counter[str] | None) -> int:
        queue = self._queues[number]
        for job in queue:
            if self._why_not(job, number, now, held) is None:
                return job
        if not self.ahead:
            return -1
        tried = 0
        for later in (*self._queues[number + 1 :], self._rest, *self._queues[:number]):
            for job in later:
                tried += 1
                if tried > LOOK:
                    return -1
                if self._why_not(job, number, now, held) is None:
                    return job
        return -1

    def _why_not(self, job: int, number: int, now: int, held: Counter[str] | None) -> str | None:
        reason = self._reason(job, number, now)
        if reason is not None and held is not None:
            held[reason] += 1
        return reason

    def _reason(self, job: int, number: int, now: int) -> str | None:
        """Why an upgrade may not start in this window now; None if it may."""
        upgrades, signature = self.c.problem.upgrades, int(self.c.signature[job])
        if not self.c.eligible[signature, number]:
            return "the window is not for it"
        if upgrades.not_before[job] > now:
            return "its not_before"
        over = now + self.need[job]
        if over > self.windows[number].end:
            return "too long for what is left of the window"
        if over > upgrades.deadline[job]:
            return "its deadline"
        for start, end in self.c.blackouts[signature]:
            if start < over and end > now:
                return "a blackout"
        for earlier in upgrades.after.get(job, ()):
            if earlier not in self.done:
                return f"{upgrades.ids[earlier]} comes first"
        wait = self._wave(int(self.steps[job]), now)
        if wait is not None:
            return wait
        for group in self.c.all_members[job]:
            if self._groups[group] >= self.c.groups[group].cap:
                return self.c.groups[group].reason
        return None

    def _wave(self, step: int, now: int) -> str | None:
        """Why a step of the order may not begin yet."""
        waves, over = self.c.problem.constraints.waves, 0
        for number in range(max(step, 0)):
            if self._left[number] > 0:
                return f"wave {waves[number].name} is not complete"
            over = max(over, self._over.get(number, 0))
            if over and now < over + waves[number].soak_s:
                return f"wave {waves[number].name} is soaking"
        return None

    def next_release(self, now: int) -> int:
        """The next time after ``now`` at which something may start for another reason than an end."""
        upgrades, waves = self.c.problem.upgrades, self.c.problem.constraints.waves
        moments = [window.start for window in self.windows if window.start > now]
        moments += [end for intervals in self.c.blackouts for _, end in intervals if end > now]
        early = upgrades.not_before[upgrades.not_before > now]
        moments += [int(early.min())] if len(early) else []
        over = 0
        for number, wave in enumerate(waves):
            over = max(over, self._over.get(number, 0))
            if over + wave.soak_s > now:
                moments.append(over + wave.soak_s)
        return min(moments, default=NEVER)
