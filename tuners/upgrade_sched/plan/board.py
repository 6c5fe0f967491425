"""A schedule one can ask questions of: where one more upgrade would fit, and what keeps it from elsewhere.

Exact and slower than the heuristic's sweep: it serves replanning, explanations and the last holes of small schedules.
An upgrade is only ever added behind the last one of a lane, so nothing that is placed changes its reserve.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled, light
from tuners.upgrade_sched.plan.model import NEVER, NOWHERE, Floats, Ints, Schedule

FULL = "the lanes are full"


@dataclass(frozen=True)
class Place:
    """Where an upgrade can go: window, lane, start (Unix seconds)."""

    window: int
    lane: int
    start: int


@dataclass
class _Lane:
    end: int
    mean: int = 0
    variance: float = 0.0


@dataclass
class _Runs:
    """The intervals in which members of one group run, as sorted starts and ends."""

    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)

    def reaches(self, cap: int, begin: int, end: int) -> bool:
        """Whether ``cap`` of them overlap at some time in [begin, end)."""
        starts, ends = self.start, self.end
        i, j = bisect_right(starts, begin), bisect_right(ends, begin)
        while i - j < cap:
            if i >= len(starts) or starts[i] >= end:
                return False
            while j < len(ends) and ends[j] <= starts[i]:
                j += 1
            i += 1
        return True

    def add(self, begin: int, end: int) -> None:
        insort(self.start, begin)
        insort(self.end, end)

    def remove(self, begin: int, end: int) -> None:
        self.start.remove(begin)
        self.end.remove(end)


class Board:
    """``schedule`` is the board's own copy; ``put`` and ``lift`` change it."""

    def __init__(self, c: Compiled, schedule: Schedule, *, now: int = 0) -> None:
        """``now``: nothing is added before it."""
        self.c, self.schedule, self.now = c, schedule.copy(), now
        self.problem = c.problem
        self._runs = [_Runs() for _ in c.groups]
        self._lanes: list[dict[int, _Lane]] = [{} for _ in self.problem.windows]
        self._tails: dict[int, tuple[Ints, Ints, Floats, Floats]] = {}
        self._steps = self.problem.step
        self._followers: dict[int, list[int]] = {}
        for job, names in self.problem.upgrades.after.items():
            for earlier in names:
                self._followers.setdefault(earlier, []).append(job)
        placed = np.nonzero(schedule.placed)[0]
        members, mean = c.members, self.problem.upgrades.mean_s
        for job in placed[np.argsort(schedule.start[placed], kind="stable")].tolist():
            begin = int(schedule.start[job])
            for group in members[job]:
                self._runs[group].start.append(begin)
                self._runs[group].end.append(begin + int(mean[job]))
            self._append(job, int(schedule.window[job]), int(schedule.lane[job]), begin)
        for runs in self._runs:
            runs.end.sort()

    def _append(self, job: int, window: int, lane: int, begin: int) -> None:
        upgrades = self.problem.upgrades
        self._tails.pop(window, None)
        one = self._lanes[window].setdefault(lane, _Lane(self.problem.windows[window].start))
        one.end = begin + int(upgrades.mean_s[job])
        one.mean += int(upgrades.mean_s[job])
        one.variance += float(upgrades.spread_s[job]) ** 2

    def put(self, job: int, place: Place) -> None:
        """Place an upgrade where ``places`` said that it fits."""
        end = place.start + int(self.problem.upgrades.mean_s[job])
        self.schedule.window[job], self.schedule.lane[job] = place.window, place.lane
        self.schedule.start[job] = place.start
        for group in self.c.members[job]:
            self._runs[group].add(place.start, end)
        self._append(job, place.window, place.lane, place.start)

    def lift(self, job: int) -> None:
        """Take an upgrade off the board; its lane is counted anew."""
        window, lane, begin = (int(a[job]) for a in (self.schedule.window, self.schedule.lane, self.schedule.start))
        for group in self.c.members[job]:
            self._runs[group].remove(begin, begin + int(self.problem.upgrades.mean_s[job]))
        self.schedule.window[job] = self.schedule.lane[job] = NOWHERE
        self._lanes[window].pop(lane, None)
        self._tails.pop(window, None)
        rest = np.nonzero((self.schedule.window == window) & (self.schedule.lane == lane))[0]
        for other in rest[np.argsort(self.schedule.start[rest])].tolist():
            self._append(other, window, lane, int(self.schedule.start[other]))

    def is_last(self, job: int) -> bool:
        """Whether an upgrade is the last one of its lane, so that taking it off opens the lane's end."""
        same = (self.schedule.window == self.schedule.window[job]) & (self.schedule.lane == self.schedule.lane[job])
        return bool(self.schedule.start[job] == self.schedule.start[same].max())

    def allows(self, job: int, place: Place) -> bool:
        """Whether an upgrade may go to just this place, behind what its lane holds."""
        c, upgrades, window = self.c, self.problem.upgrades, self.problem.windows[place.window]
        mean, variance = int(upgrades.mean_s[job]), float(upgrades.spread_s[job]) ** 2
        low, high, _ = self._order_limits(job)
        first = max(window.start, int(upgrades.not_before[job]), self.now, low)
        if not c.eligible[c.signature[job], place.window] or place.start < first or place.start + mean > high:
            return False
        lane = self._lanes[place.window].get(place.lane, _Lane(window.start))
        if lane.end > place.start or place.lane >= window.slots:
            return False
        idle = place.start - window.start - lane.mean
        over = window.start + idle + self.problem.risk.reserve(lane.mean + mean, lane.variance + variance)
        parts = light(place.start, window.end, c.blackouts[c.signature[job]])
        inside = bool(parts) and parts[0][0] == place.start and over <= min(parts[0][1], int(upgrades.deadline[job]))
        return inside and self._blocking(job, place.start, place.start + mean) is None

    def first_place(
        self, job: int, tally: Counter[str] | None = None, *, windows: list[int] | None = None
    ) -> Place | None:
        """The earliest place for an upgrade, None if there is none. ``tally`` counts, in words, what was in the way,
        once for each window."""
        tally = Counter() if tally is None else tally
        low, high, reason = self._order_limits(job)
        if reason and low >= NEVER:
            tally[reason] += 1
            return None
        for which in range(len(self.problem.windows)) if windows is None else windows:
            if not self.c.eligible[self.c.signature[job], which]:
                tally["the window is not for this server"] += 1
                continue
            place, why = self._in_window(job, which, low, high, reason)
            if place is not None:
                return place
            tally[why] += 1
        return None

    def _in_window(self, job: int, which: int, low: int, high: int, reason: str) -> tuple[Place | None, str]:
        window, upgrades = self.problem.windows[which], self.problem.upgrades
        mean, deadline = int(upgrades.mean_s[job]), int(upgrades.deadline[job])
        begin = max(window.start, int(upgrades.not_before[job]), self.now, low)
        if begin + mean > min(window.end, high):
            late = max(window.start, self.now) + mean <= window.end and reason
            early = int(upgrades.not_before[job]) + mean > window.end
            return None, reason if late else "its not_before" if early else "the window is over too soon"
        if window.start >= deadline:
            return None, "its deadline"
        held, why = "", "a blackout"
        for first, last in light(begin, window.end, self.c.blackouts[self.c.signature[job]]):
            limit = min(last, deadline)
            # What a lane's reserve would run into here.
            why = "its deadline" if limit == deadline else FULL if limit == window.end else "a blackout"
            numbers, opens, latest = self._lanes_for(job, which, limit)
            usable = (opens <= latest) & (latest >= first)
            if not usable.any():
                continue
            cursor = max(first, int(opens[usable].min()))
            stop = int(latest[usable].max())
            while cursor <= stop:
                if cursor + mean > high:
                    return None, reason
                blocking = self._blocking(job, cursor, cursor + mean)
                if blocking is not None:
                    held = self.c.groups[blocking].reason
                    cursor = self._next_end(blocking, cursor)
                    continue
                fitting = usable & (opens <= cursor) & (latest >= cursor)
                if fitting.any():
                    lane = int(numbers[np.argmax(np.where(fitting, opens, -1))])  # the one that waits least
                    return Place(which, lane, cursor), ""
                cursor = int(opens[usable & (opens > cursor)].min(initial=NEVER))
        # A limit that held it at some time says more than what the rest of the window ran into.
        return None, held or why

    def _lanes_for(self, job: int, which: int, limit: int) -> tuple[Ints, Ints, Ints]:
        """The lanes of a window, an empty one among them if there is any: number, when it opens, and the latest start
        with which the upgrade's reserve there ends by ``limit``."""
        if which not in self._tails:
            window, lanes = self.problem.windows[which], self._lanes[which]
            rows = [(number, lane.end, lane.mean, lane.variance) for number, lane in lanes.items()]
            if len(lanes) < window.slots:
                rows.append((next(n for n in range(window.slots) if n not in lanes), window.start, 0, 0.0))
            table = np.array(rows, float).reshape(-1, 4)
            self._tails[which] = (table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3])
        numbers, opens, mean, variance = self._tails[which]
        own, spread = float(self.problem.upgrades.mean_s[job]), float(self.problem.upgrades.spread_s[job])
        reserve = self.problem.risk.reserves(mean + own, variance + spread**2)
        return numbers, opens, np.floor(limit + mean - reserve).astype(np.int64)

    def _blocking(self, job: int, begin: int, end: int) -> int | None:
        for group in self.c.members[job]:
            if self._runs[group].reaches(self.c.groups[group].cap, begin, end):
                return group
        return None

    def _next_end(self, group: int, after: int) -> int:
        ends = self._runs[group].end
        place = bisect_right(ends, after)
        return ends[place] if place < len(ends) else NEVER

    def _order_limits(self, job: int) -> tuple[int, int, str]:
        """When the fixed order and dependencies let an upgrade run: not before, over by, and the reason in words."""
        upgrades, waves = self.problem.upgrades, self.problem.constraints.waves
        low, high, reason = 0, NEVER, ""
        for earlier in upgrades.after.get(job, ()):
            if self.schedule.window[earlier] < 0:
                return NEVER, high, f"it comes after {upgrades.ids[earlier]}, which is not scheduled"
            end = int(self.schedule.start[earlier] + upgrades.mean_s[earlier])
            if end > low:
                low, reason = end, f"it comes after {upgrades.ids[earlier]}"
        for later in self._followers.get(job, ()):
            if self.schedule.window[later] >= 0:
                high, reason = min(high, int(self.schedule.start[later])), f"{upgrades.ids[later]} comes after it"
        step = int(self._steps[job])
        if not waves or step < 0:
            return low, high, reason
        placed = self.schedule.placed
        waiting = np.nonzero(~placed & self.c.possible & (self._steps < step) & (self._steps >= 0))[0]
        if len(waiting):
            wave = waves[int(self._steps[waiting[0]])].name
            return NEVER, high, f"wave {wave} is not complete ({len(waiting)} upgrades are not scheduled)"
        for number in range(step):
            release = self._wave_end(placed & (self._steps <= number) & (self._steps >= 0)) + waves[number].soak_s
            if release > max(low, waves[number].soak_s):
                low, reason = release, f"wave {waves[number].name} and its soak come first"
        for number in range(step + 1, len(waves) + 1):
            later_ones = placed & (self._steps == number)
            if later_ones.any():
                soak = max(waves[n].soak_s for n in range(step, number))
                first = int(self.schedule.start[later_ones].min()) - soak
                if first < high:
                    high, reason = first, "a later wave begins"
        return low, high, reason

    def _wave_end(self, chosen: Ints | np.ndarray) -> int:
        ends = (self.schedule.start + self.problem.upgrades.mean_s)[chosen]
        return int(ends.max(initial=0))
