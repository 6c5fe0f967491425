"""The heuristic's sweep through time: starts an upgrade whenever a lane is free; what is worth it was decided before.

Upgrades that run are counted exactly, so groups are never exceeded; blocked ones wait at their group until a member
ends. ``heuristic`` says how the phases fit together.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Bools, Schedule
from tuners.upgrade_sched.plan.pools import Grid, Pool
from tuners.upgrade_sched.plan.select import Choice, Policy
from tuners.upgrade_sched.plan.waves import on_crowded_groups, reserves_alone

END, READY, STEP, OPEN, PICK = range(5)  # at one instant, ends come before starts
WAITING, POOLED, STARTED, DEAD = range(4)
EXTRA = 3  # more that are asked than a group has room for, for some are blocked elsewhere or fit no lane
TIGHT = 3  # buckets below the longest that would fit: within 6 % of filling the lane


class Sweep:
    """The state of one sweep; ``run`` returns the schedule."""

    def __init__(self, c: Compiled, choice: Choice, policy: Policy, pushed: Bools) -> None:
        """``pushed``: upgrades of early waves that go before all others."""
        problem, upgrades = c.problem, c.problem.upgrades
        count = len(upgrades)
        self.c, self.choice, self.policy, self.pushed = c, choice, policy, pushed
        self.windows = problem.windows
        self.normal = problem.risk.rule == "spread"
        self.reserve = problem.risk.reserve
        variance = upgrades.spread_s.astype(float) ** 2
        self.z = problem.risk.optimistic_z(upgrades.mean_s, variance)
        self.mean: list[int] = upgrades.mean_s.tolist()
        self.variance: list[float] = variance.tolist()
        self.grid = Grid(upgrades.mean_s, variance, policy.classes)
        self.mid = float(np.median(upgrades.mean_s)) if count else 0.0
        self.members = c.members
        self.signature: list[int] = c.signature.tolist()
        self.cap = [group.cap for group in c.groups]
        self.running = [0] * len(c.groups)
        self.queue: list[list[int]] = [[] for _ in c.groups]
        self.hurried_queue: list[deque[int]] = [deque() for _ in c.groups]
        self.state = bytearray(count)
        self.states = np.frombuffer(self.state, np.uint8)
        self.states[~c.possible] = DEAD
        self.order = np.argsort(choice.rank, kind="stable")
        self.order = self.order[c.possible[self.order]]
        self.steps = problem.step
        self.latest = choice.latest.copy()
        self.need = reserves_alone(c)
        self.hurried = bytearray(count)
        self.apart = np.zeros(count, dtype=bool)  # what never comes into the pools (``wavesweep``)
        ordered = self.steps[c.possible & (self.steps >= 0)]
        self.left = np.bincount(ordered, minlength=len(problem.constraints.waves) + 1).tolist()
        self.step, self.step_end, self.begun = 0, 0, 0  # begun: when the last step did
        self.needs = {j: sum(self.state[i] != DEAD for i in names) for j, names in upgrades.after.items()}
        self.followers: dict[int, list[int]] = {}
        for job, names in upgrades.after.items():
            for earlier in names:
                self.followers.setdefault(earlier, []).append(job)
        horizon = max((window.end for window in self.windows), default=0)
        start = min((window.start for window in self.windows), default=0)
        dark = np.array([bool(intervals) for intervals in c.blackouts] or [False])
        special = dark[c.signature] | (upgrades.deadline < horizon) | (upgrades.not_before > start)
        self.special = bytearray(special.astype(np.uint8).tobytes())
        self.deadline: list[int] = upgrades.deadline.tolist()
        self.events: list[tuple[int, int, int]] = [(w.start, OPEN, n) for n, w in enumerate(self.windows)]
        late = np.nonzero(c.possible & (upgrades.not_before > start) & (upgrades.not_before < horizon))[0]
        self.events += [(int(upgrades.not_before[job]), READY, int(job)) for job in late]
        heapq.heapify(self.events)
        self.open: list[int] = []
        self.pools, self.spare, self.urgent, self.critical = (list[Pool]() for _ in range(4))
        self.lane_window: list[int] = []
        self.lane_number: list[int] = []
        self.lane_class: list[int] = []
        self.lane_mean: list[int] = []
        self.lane_variance: list[float] = []
        self.lane_job: list[int] = []
        self.parked: list[list[tuple[float, int]]] = [[] for _ in self.windows]
        near = range(self.grid.classes)
        self.near = [sorted(near, key=lambda k, own=own: (abs(k - own), -k)) for own in near]  # type: ignore[misc]  # a default binds
        self.schedule = Schedule.empty(count)
        self.operations = 0  # events, upgrades looked at: what the sweep costs, on any machine

    def run(self, *, waves_only: bool = False) -> Schedule:
        """Go through all events, or only until the last wave has soaked; returns the schedule."""
        events = self.events
        while events:
            now, kind, which = heapq.heappop(events)
            self.operations += 1
            if kind == PICK:
                self._pick(which, now)
            elif kind == END:
                self._end(which, now)
            elif kind == OPEN:
                self._open(which, now)
            elif kind == STEP:
                self.step, self.begun = which, now
                if waves_only and which == len(self.c.problem.constraints.waves):
                    break
                self._refill(now)
                self._unpark_all(now)
            else:
                self._ready(which, now)
        return self.schedule

    # What happens at an instant

    def _open(self, which: int, now: int) -> None:
        self.open, first = [n for n in self.open if self.windows[n].end > now] + [which], len(self.lane_window)
        count = min(self.windows[which].slots, int((self.states <= POOLED).sum()))
        self.lane_window += [which] * count
        self.lane_number += range(count)
        self.lane_mean += [0] * count
        self.lane_variance += [0.0] * count
        self.lane_job += [-1] * count
        self._refill(now)
        mine = np.nonzero((self.states == POOLED) & self.c.eligible[self.c.signature, which])[0]
        self.lane_class += self.grid.lane_classes(mine, self.choice.size, count)
        for lane in range(first, first + count):
            heapq.heappush(self.events, (now, PICK, lane))

    def _end(self, lane: int, now: int) -> None:
        job = self.lane_job[lane]
        self.lane_job[lane] = -1
        heapq.heappush(self.events, (now, PICK, lane))
        woken = 0
        for group in self.members[job]:
            self.running[group] -= 1
            if self.queue[group] or self.hurried_queue[group]:
                woken += self._wake(group)
        for follower in self.followers.get(job, ()):
            self.needs[follower] -= 1
            if not self.needs[follower] and self._may_start(follower, now):
                self._put(follower)
                woken += 1
        step = int(self.steps[job])
        if step >= 0:
            self.left[step] -= 1
            self.step_end = max(self.step_end, now)
            if not self.left[step] and step == self.step:
                self.next_step(now)
        if woken:
            self._unpark(woken, now)

    def next_step(self, now: int) -> None:
        """Go on in the order of waves: the next step with anything in it begins after the soak."""
        waves = self.c.problem.constraints.waves
        release = now
        step = self.step
        while step < len(waves) and not self.left[step]:
            release = max(release, self.step_end + waves[step].soak_s)
            step += 1
        if step > self.step:
            heapq.heappush(self.events, (release, STEP, step))

    def _ready(self, job: int, now: int) -> None:
        if self.state[job] == WAITING and self._may_start(job, now):
            self._put(job)
            self._unpark(1, now)

    def _may_start(self, job: int, now: int) -> bool:
        """Whether an upgrade may join the pools: its turn in the order, its dependencies and not_before are met."""
        if self.state[job] != WAITING or self.needs.get(job) or not self.pools:
            return False
        upgrades = self.c.problem.upgrades
        return bool(self.steps[job] <= self.step and upgrades.not_before[job] <= now)

    def _put(self, job: int) -> None:
        if not self.apart[job]:
            self.state[job] = POOLED
            self.pools[self.signature[job]].add(job)

    def _block(self, group: int, job: int) -> None:
        if self.hurried[job] > 1:
            self.hurried_queue[group].appendleft(job)
        else:
            (self.hurried_queue if self.hurried[job] else self.queue)[group].append(job)

    def _wake(self, group: int) -> int:
        """Give those who wait at a group back to the pools, as many as it has room for and some more."""
        count, most = 0, self.cap[group] - self.running[group] + EXTRA
        hurried, queue = self.hurried_queue[group], self.queue[group]
        while hurried and count < most:
            job = hurried.popleft()
            (self.critical if self.hurried[job] > 1 else self.urgent)[self.signature[job]].add(job)
            count += 1
        while queue and count < most:
            self.pools[self.signature[queue[-1]]].add(queue.pop())
            count += 1
        return count

    def _unpark(self, count: int, now: int) -> None:
        for which in self.open:
            parked = self.parked[which]
            for _ in range(min(count, len(parked))):
                heapq.heappush(self.events, (now, PICK, heapq.heappop(parked)[1]))

    def _unpark_all(self, now: int) -> None:
        for which in self.open:
            for _, lane in self.parked[which]:
                heapq.heappush(self.events, (now, PICK, lane))
            self.parked[which] = []

    def _refill(self, now: int) -> None:
        """Fill the pools anew: for each open window what comes next in the order, as much as it has room for."""
        states, choice, upgrades = self.states, self.choice, self.c.problem.upgrades
        states[states == POOLED] = WAITING
        for queue in (*self.queue, *self.hurried_queue):
            if queue:
                queue.clear()
        self.pools, self.spare, self.urgent, self.critical = (
            [Pool(self.grid) for _ in self.c.eligible] for _ in range(4)
        )
        self.order = self.order[states[self.order] <= POOLED]
        jobs = self.order
        self.operations += len(jobs)
        keep = (self.steps[jobs] <= self.step) & (upgrades.not_before[jobs] <= now) & ~self.apart[jobs]
        keep &= now + upgrades.mean_s[jobs] <= upgrades.deadline[jobs]
        jobs = jobs[keep]
        if self.needs:
            jobs = jobs[[not self.needs.get(job) for job in jobs.tolist()]]
        openness = self.c.eligible.sum(axis=0).__getitem__
        windows = sorted((n for n in self.open if self.windows[n].end > now), key=openness)
        self._hurry(now)
        hurried = np.frombuffer(self.hurried, np.uint8)
        hurried[:] = 0
        for which in windows:
            window = self.windows[which]
            # What must go by this window comes first; both parts stay in order of rank.
            jobs = jobs[np.argsort(self.latest[jobs] > which, kind="stable")]
            mine = self.c.eligible[self.c.signature[jobs], which]
            room = float(window.slots) * (window.end - now)
            run = np.cumsum(choice.size[jobs] * mine)
            inside = mine & (run <= room)
            later = mine & ~inside & (run <= room * (1 + self.policy.reach) + 20 * self.mid)
            awaited, pushed = inside & self._awaited(jobs), self.pushed[jobs]
            soon = inside & (self.latest[jobs] <= which) & self._cut_short(jobs, which, now) | awaited & pushed
            first = soon & (pushed if pushed.any() else on_crowded_groups(self.c, jobs, awaited, window.end - now))
            hurried[jobs[soon]], hurried[jobs[first]] = 1, 2
            self._fill(self.critical, jobs[first])
            self._fill(self.urgent, jobs[soon & ~first])
            self._fill(self.pools, jobs[inside & ~soon])
            self._fill(self.spare, jobs[later])
            jobs = jobs[~(inside | later)]

    def _hurry(self, now: int) -> None:
        """While others wait for a wave, its upgrades wait no longer than the wave has to take (``wavesweep``)."""

    def _cut_short(self, jobs: np.ndarray, which: int, now: int) -> np.ndarray:
        """Which upgrades, where this window is their last, must start first: those that must be over before it is, and
        those that a later wave waits for."""
        end, upgrades = self.windows[which].end, self.c.problem.upgrades
        cut = upgrades.deadline[jobs] < end
        for code, intervals in enumerate(self.c.blackouts):
            if any(now < start < end for start, _ in intervals):
                cut |= self.c.signature[jobs] == code
        return cut | self._awaited(jobs)

    def _awaited(self, jobs: np.ndarray) -> np.ndarray:
        """Which upgrades a later wave waits for."""
        return (self.steps[jobs] == self.step) & (self.step < len(self.c.problem.constraints.waves))

    def _fill(self, pools: list[Pool], jobs: np.ndarray) -> None:
        self.states[jobs] = POOLED
        for job in jobs[::-1].tolist():  # the first in order comes out first
            pools[self.signature[job]].add(job)

    # One lane looks for its next upgrade

    def _pick(self, lane: int, now: int) -> None:
        which = self.lane_window[lane]
        room = self.windows[which].end - now
        if room <= 0:
            return
        own = self.lane_class[lane]
        codes = (
            [code for code in range(len(self.pools)) if self.c.eligible[code, which]] if len(self.pools) > 1 else (0,)
        )
        z, variance, grid = self.z, self.lane_variance[lane], self.grid
        later: list[tuple[Pool, int]] = []
        job = -1
        spare_first = room < 4 * self.mid and self._own_is_loose(lane, room, codes)
        rest = ((self.spare, TIGHT), (self.pools, 0)) if spare_first else ((self.pools, 0), (self.spare, 0))
        hurried = ((pools, 0) for pools in (self.critical, self.urgent) if any(any(pool.masks) for pool in pools))
        tiers = (*hurried, *rest)
        for pools, tight in tiers:
            for group in self.near[own]:
                longest = grid.longest(room, variance, group, z)
                if longest < 0:
                    continue
                for code in codes:
                    job = self._search(pools[code], group, longest, longest - tight if tight else 0, lane, now, later)
                    if job >= 0:
                        break
                if job >= 0:
                    break
            if job >= 0:
                break
        for pool, skipped in later:
            pool.add(skipped)
        if job < 0:
            heapq.heappush(self.parked[which], (variance, lane))
        else:
            self._start(job, lane, now)

    def _own_is_loose(self, lane: int, room: int, codes: Iterable[int]) -> bool:
        """Whether the best of this window would leave the lane with a rest too short for anything."""
        for group in range(self.grid.classes):
            longest = self.grid.longest(room, self.lane_variance[lane], group, self.z)
            if longest < 0:
                continue
            low = max(0, longest - TIGHT)
            for code in codes:
                if (self.pools[code].masks[group] & ((2 << longest) - 1)) >> low:
                    return False
        return True

    def _search(
        self, pool: Pool, group: int, longest: int, least: int, lane: int, now: int, later: list[tuple[Pool, int]]
    ) -> int:
        """The longest upgrade of a class, from bucket ``longest`` down to ``least``, that may start now; -1 if none."""
        bits = pool.masks[group] & ((2 << longest) - 1)
        while bits:
            self.operations += 1
            bucket = bits.bit_length() - 1
            if bucket < least:
                return -1
            stack = pool.stacks[group][bucket]
            tries = 4  # upgrades of one bucket differ by 2 %: if some do not fit, look at shorter ones
            while stack and tries:
                job = stack[-1]
                self.operations += 1
                if not self._fits(job, lane, now, self.windows[self.lane_window[lane]].end):
                    tries -= 1
                    if len(stack) < 2 or not tries:
                        break
                    stack.insert(0, stack.pop())
                    continue
                for one in self.members[job]:
                    if self.running[one] >= self.cap[one]:
                        self._block(one, pool.take(group, bucket))
                        break
                else:
                    pool.take(group, bucket)
                    verdict = self._special(job, lane, now) if self.special[job] else 0
                    if not verdict:
                        return job
                    if verdict < 0:
                        later.append((pool, job))
                    else:
                        self.state[job] = WAITING
                        if verdict > now:
                            heapq.heappush(self.events, (verdict, READY, job))
            bits &= (1 << bucket) - 1
        return -1

    def _fits(self, job: int, lane: int, now: int, limit: int) -> bool:
        total = self.lane_variance[lane] + self.variance[job]
        if self.normal:
            return now + self.mean[job] + self.z * math.sqrt(total) <= limit
        before = self.lane_mean[lane]
        return now - before + self.reserve(before + self.mean[job], total) <= limit

    def _special(self, job: int, lane: int, now: int) -> int:
        """0: may start; -1: not in this lane; a time: not before it; 1: not any more."""
        deadline = self.deadline[job]
        if now + self.mean[job] > deadline:
            return 1
        for start, end in self.c.blackouts[self.signature[job]]:
            if end > now and (start <= now or not self._fits(job, lane, now, start)):
                return end
            if start > now:
                break
        return 0 if self._fits(job, lane, now, deadline) else -1

    def _start(self, job: int, lane: int, now: int) -> None:
        self.state[job] = STARTED
        for group in self.members[job]:
            self.running[group] += 1
        self.lane_job[lane] = job
        self.lane_mean[lane] += self.mean[job]
        self.lane_variance[lane] += self.variance[job]
        self.schedule.window[job] = self.lane_window[lane]
        self.schedule.lane[job] = self.lane_number[lane]
        self.schedule.start[job] = now
        heapq.heappush(self.events, (now + self.mean[job], END, lane))
