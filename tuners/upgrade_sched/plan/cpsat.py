"""One CP-SAT model: some upgrades are free, the rest of a schedule is held fixed; it decides nothing about effort.

Each free upgrade may take one lane of the given windows (an optional interval), lanes do not overlap, groups are
cumulative. A lane's buffer b keeps the risk: b^2 >= z^2 * (sum of variances), last end + b <= the window's end.
Deadlines and blackouts are kept with the whole lane's buffer, and for the rule ``lognormal`` z is the largest factor
that the rule gives; both are stricter than need be, so whatever comes back keeps the problem's own rules. All times are
whole seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import NEVER, NOWHERE, Schedule

SCALE = 1000  # z^2 is kept to a thousandth, rounded up
WEIGHTS = 10_000  # the largest weight in the objective


@dataclass(frozen=True)
class Answer:
    """``schedule`` is None where CP-SAT found none; ``effort`` is the deterministic time it took."""

    schedule: Schedule | None
    effort: float
    proven: bool


class _Model:
    def __init__(self, c: Compiled, schedule: Schedule, windows: list[int], jobs: list[int]) -> None:
        from ortools.sat.python import cp_model

        self.c, self.schedule, self.jobs = c, schedule, jobs
        self.model = cp_model.CpModel()
        problem = c.problem
        self.free = np.zeros(len(problem.upgrades), bool)
        self.free[jobs] = True
        self.origin = min(window.start for window in problem.windows)
        self.horizon = max(window.end for window in problem.windows) - self.origin
        self.mean: list[int] = problem.upgrades.mean_s.tolist()
        self.fixed = np.nonzero(schedule.placed & ~self.free)[0]
        self.start = {i: self.model.new_int_var(0, self.horizon, "") for i in jobs}
        self.present = {i: self.model.new_bool_var("") for i in jobs}
        self.at: dict[tuple[int, int, int], Any] = {}
        self.buffers: dict[tuple[int, int], tuple[Any, Any, dict[int, int]]] = {}
        self.before: list[tuple[Any, int, int]] = []  # whether an upgrade's part of its lane is over by a dark's start
        self.overs: list[tuple[Any, list[int]]] = []  # when waves are over, and of what they are
        for which in windows:
            self._window(which)
        for i in jobs:
            choices = [flag for key, flag in self.at.items() if key[0] == i]
            self.model.add(sum(choices) == self.present[i])
        self._groups()
        self._order()
        self._objective()

    def _lanes(self, which: int) -> list[int]:
        """The lanes that are free to change: those with no fixed upgrade in them."""
        window = self.c.problem.windows[which]
        held = set(self.schedule.lane[self.fixed][self.schedule.window[self.fixed] == which].tolist())
        free: list[int] = []
        for lane in range(window.slots):
            if lane not in held:
                free.append(lane)
            if len(free) >= len(self.jobs):
                break
        return free

    def _window(self, which: int) -> None:
        c, model, window = self.c, self.model, self.c.problem.windows[which]
        upgrades, z = c.problem.upgrades, _largest_z(c)
        opens, closes = window.start - self.origin, window.end - self.origin
        mine = [
            i
            for i in self.jobs
            if c.eligible[c.signature[i], which]
            and max(window.start, upgrades.not_before[i]) + self.mean[i] <= min(window.end, upgrades.deadline[i])
        ]
        previous: Any = None
        for lane in self._lanes(which):
            buffer = model.new_int_var(0, window.length, "")
            square = model.new_int_var(0, window.length**2, "")
            model.add_multiplication_equality(square, [buffer, buffer])
            flags, intervals = [], []
            variance: dict[int, int] = {}
            self.buffers[which, lane] = buffer, square, variance
            for i in mine:
                flag = self.at[i, which, lane] = model.new_bool_var("")
                begin = self.start[i]
                first = max(opens, int(upgrades.not_before[i]) - self.origin)
                model.add(begin >= first).only_enforce_if(flag)
                model.add(begin + self.mean[i] + buffer <= closes).only_enforce_if(flag)
                if upgrades.deadline[i] < window.end:
                    late = int(upgrades.deadline[i]) - self.origin
                    model.add(begin + self.mean[i] + buffer <= late).only_enforce_if(flag)
                for dark_start, dark_end in c.blackouts[c.signature[i]]:
                    if dark_end > window.start and dark_start < window.end:
                        before = model.new_bool_var("")
                        self.before.append((before, i, dark_end))
                        over = begin + self.mean[i] + buffer <= dark_start - self.origin
                        model.add(over).only_enforce_if(flag, before)
                        model.add(begin >= dark_end - self.origin).only_enforce_if(flag, ~before)
                interval = model.new_optional_fixed_size_interval_var(begin, self.mean[i], flag, "")
                flags.append(flag)
                intervals.append(interval)
                variance[i] = math.ceil(z * z * SCALE * float(upgrades.spread_s[i]) ** 2)
            if not flags:
                continue
            model.add_no_overlap(intervals)
            model.add(sum(v * flag for v, flag in zip(variance.values(), flags, strict=True)) <= SCALE * square)
            if previous is not None:  # lanes are alike: the fuller one comes first
                model.add(sum(flags) <= sum(previous))
            previous = flags

    def _groups(self) -> None:
        model, members = self.model, self.c.members
        free: dict[int, list[int]] = {}
        for i in self.jobs:
            for group in members[i]:
                free.setdefault(group, []).append(i)
        for group, jobs in free.items():
            cap = self.c.groups[group].cap
            intervals = [
                model.new_optional_fixed_size_interval_var(self.start[i], self.mean[i], self.present[i], "")
                for i in jobs
            ]
            for i in self.fixed.tolist():
                if group in members[i]:
                    begin = int(self.schedule.start[i]) - self.origin
                    intervals.append(model.new_fixed_size_interval_var(begin, self.mean[i], ""))
            if len(intervals) > cap:
                model.add_cumulative(intervals, [1] * len(intervals), cap)

    def _begin(self, i: int) -> Any:
        return self.start[i] if self.free[i] else int(self.schedule.start[i]) - self.origin

    def _is_there(self, i: int) -> Any:
        return self.present[i] if self.free[i] else int(self.schedule.window[i] >= 0)

    def _order(self) -> None:
        """Dependencies and waves, between free and fixed upgrades alike."""
        model, problem = self.model, self.c.problem
        for i, names in problem.upgrades.after.items():
            for earlier in names:
                if not (self.free[i] or self.free[earlier]) or not self._could(i):
                    continue
                model.add(self._is_there(i) <= self._is_there(earlier))
                if self._could(earlier):
                    need = [flag for flag in (self.present.get(i), self.present.get(earlier)) if flag is not None]
                    begin = self._begin(earlier) + self.mean[earlier] <= self._begin(i)
                    model.add(begin).only_enforce_if(*need)
        step, waves = problem.step, problem.constraints.waves
        for number, wave in enumerate(waves):
            early = np.nonzero(self.c.possible & (step >= 0) & (step <= number))[0].tolist()
            # All later steps, for the waves in between may have nothing in them.
            late = np.nonzero(self.c.possible & (step > number))[0].tolist()
            over = model.new_int_var(0, 2 * self.horizon, "")
            self.overs.append((over, early))
            for i in early:
                if self.free[i]:
                    model.add(over >= self.start[i] + self.mean[i]).only_enforce_if(self.present[i])
                elif self.schedule.window[i] >= 0:
                    model.add(over >= self._begin(i) + self.mean[i])
            holding = [i for i in early if not self.free[i] and self.schedule.window[i] < 0]
            for j in late:
                if self.free[j]:
                    if holding:
                        model.add(self.present[j] == 0)
                    for i in early:
                        if self.free[i]:
                            model.add_implication(self.present[j], self.present[i])
                    model.add(self.start[j] >= over + wave.soak_s).only_enforce_if(self.present[j])
                elif self.schedule.window[j] >= 0:
                    for i in early:
                        if self.free[i]:
                            model.add(self.present[i] == 1)
                    model.add(over + wave.soak_s <= self._begin(j))

    def _could(self, i: int) -> bool:
        return bool(self.free[i] or self.schedule.window[i] >= 0)

    def _objective(self) -> None:
        """Weight first; one upgrade of the least weight counts more than all the earliness there can be."""
        weight = self.c.problem.upgrades.weight
        top = float(weight[self.jobs].max())
        parts = []
        for i in self.jobs:
            worth = max(1, round(float(weight[i]) / top * WEIGHTS))
            parts.append(worth * (self.horizon + 1) * len(self.jobs) * self.present[i] - self.start[i])
        self.model.maximize(sum(parts))

    def hint(self) -> None:
        """Start from the schedule as it is, with lanes numbered as the model wants them: fuller ones first."""
        schedule, model = self.schedule, self.model
        starts = {i: int(schedule.start[i]) - self.origin if schedule.window[i] >= 0 else 0 for i in self.jobs}
        for i in self.jobs:
            model.add_hint(self.present[i], bool(schedule.window[i] >= 0))
            model.add_hint(self.start[i], starts[i])
        place: dict[tuple[int, int], int] = {}
        for which in {which for _, which, _ in self.at}:
            held = Counter(int(schedule.lane[i]) for i in self.jobs if schedule.window[i] == which)
            fuller = [lane for lane, _ in sorted(held.items(), key=lambda item: (-item[1], item[0]))]
            for lane, free in zip(fuller, self._lanes(which), strict=False):
                place[which, lane] = free
        inside: dict[tuple[int, int], list[int]] = {}
        for (i, which, lane), flag in self.at.items():
            mine = schedule.window[i] == which and place.get((which, int(schedule.lane[i]))) == lane
            model.add_hint(flag, bool(mine))
            if mine:
                inside.setdefault((which, lane), []).append(i)
        for key, (buffer, square, variance) in self.buffers.items():
            total = sum(variance[i] for i in inside.get(key, ()))
            value = math.isqrt(max(0, math.ceil(total / SCALE) - 1)) + 1 if total else 0
            model.add_hint(buffer, value)
            model.add_hint(square, value**2)
        for before, i, dark_end in self.before:
            model.add_hint(before, starts[i] < dark_end - self.origin)
        for over, jobs in self.overs:
            ends = [int(schedule.start[i]) - self.origin + self.mean[i] for i in jobs if schedule.window[i] >= 0]
            model.add_hint(over, max(ends, default=0))


def _largest_z(c: Compiled) -> float:
    """A factor on the spread of which no lane is given more: z, or the lognormal rule's largest."""
    risk, upgrades = c.problem.risk, c.problem.upgrades
    if risk.rule == "spread":
        return risk.z
    ratio = float(((upgrades.spread_s / upgrades.mean_s) ** 2).max(initial=0.0))
    squared = np.geomspace(1e-8, max(ratio, 2e-8), 4000)
    factor = (risk.reserves(np.ones_like(squared), squared) - 1.0) / np.sqrt(squared)
    return float(factor.max()) * (1 + 1e-4)


def solve(c: Compiled, schedule: Schedule, windows: list[int], jobs: list[int], *, effort: float, seed: int) -> Answer:
    """Place the free upgrades ``jobs`` anew in free lanes of ``windows``; those left out are not scheduled."""
    from ortools.sat.python import cp_model

    if not jobs or not windows:
        return Answer(None, 0.0, True)
    built = _Model(c, schedule, windows, jobs)
    built.hint()
    solver = cp_model.CpSolver()
    solver.parameters.max_deterministic_time = effort
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed % 2**31
    # Its own handler would leave none behind: the next ^C would kill the program, not end it in good order.
    solver.parameters.catch_sigint_signal = False
    status = solver.solve(built.model)
    spent = float(solver.response_proto.deterministic_time)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Answer(None, spent, status == cp_model.INFEASIBLE)
    result = schedule.copy()
    result.window[jobs] = result.lane[jobs] = NOWHERE
    result.start[jobs] = 0
    for (i, which, lane), flag in built.at.items():
        if solver.boolean_value(flag):
            result.window[i], result.lane[i] = which, lane
            result.start[i] = int(solver.value(built.start[i])) + built.origin
    assert not np.any(result.start >= NEVER)
    return Answer(result, spent, status == cp_model.OPTIMAL)
