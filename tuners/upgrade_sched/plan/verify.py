"""An independent check of a schedule against its problem: every constraint, from its own definition.

It shares no code with the schedulers, nor with what prepares a problem for them: it reads fleet, upgrades, windows and
constraints as they are. An upgrade is taken to be down in [start, start + mean). What must be over by some time (a
window, a deadline, a blackout's start) must be over with its lane's reserve: the lane's idle time so far, plus the risk
rule's value for the sum of means and the sum of variances up to and including it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.model import FleetProblem, Floor, Limit, Schedule

SLACK_S = 1e-3
MOST = 1000


@dataclass(frozen=True)
class Violation:
    """One broken rule: which, by which upgrade (or none), and how."""

    rule: str
    upgrade: str
    text: str

    def to_json(self) -> dict[str, str]:
        return {"rule": self.rule, "upgrade": self.upgrade, "text": self.text}

    def __str__(self) -> str:
        return f"{self.rule}: {self.upgrade + ' ' if self.upgrade else ''}{self.text}"


def violations(problem: FleetProblem, schedule: Schedule) -> list[Violation]:
    """Everything that ``schedule`` breaks, at most ``MOST`` of it; an empty list: it keeps all constraints."""
    found: list[Violation] = []
    for check in (_places, _lanes, _down_at_once, _order, _dependencies):
        for violation in check(problem, schedule):
            found.append(violation)
            if len(found) >= MOST:
                return found
        if found and check is _places:  # the rest reads windows and lanes, and these are not sound
            return found
    return found


def _placed(schedule: Schedule) -> Any:
    return np.nonzero(schedule.window >= 0)[0]


def _places(problem: FleetProblem, schedule: Schedule) -> Iterator[Violation]:
    """Each upgrade lies in one of the windows that are open to it, in a lane that exists, after its not_before."""
    upgrades, fleet = problem.upgrades, problem.fleet
    if not len(schedule.window) == len(schedule.lane) == len(schedule.start) == len(upgrades):
        yield Violation("shape", "", "the schedule and the upgrades differ in number")
        return
    jobs = _placed(schedule)
    for job in jobs[schedule.window[jobs] >= len(problem.windows)]:
        yield Violation("window", upgrades.ids[job], "is in a window that does not exist")
        return
    for number, window in enumerate(problem.windows):
        mine = jobs[schedule.window[jobs] == number]
        for job in mine[(schedule.lane[mine] < 0) | (schedule.lane[mine] >= window.slots)]:
            yield Violation("slots", upgrades.ids[job], f"is in lane {schedule.lane[job]} of {window.slots}")
        for job in mine[schedule.start[mine] < window.start]:
            yield Violation("window", upgrades.ids[job], f"begins before window {window.name}")
        for domain, values in window.where.items():
            labels = fleet.domains[domain]
            named = np.array([value in values for value in labels.values] + [False])
            for job in mine[~named[labels.codes[upgrades.server[mine]]]]:
                yield Violation("window", upgrades.ids[job], f"is not a server of window {window.name}")
    for job in jobs[schedule.start[jobs] < upgrades.not_before[jobs]]:
        yield Violation("not_before", upgrades.ids[job], "begins before it may")


def _lanes(problem: FleetProblem, schedule: Schedule) -> Iterator[Violation]:
    """Upgrades of a lane follow each other, and the lane's reserve ends in time for each of them."""
    upgrades, jobs = problem.upgrades, _placed(schedule)
    if not len(jobs):
        return
    jobs = jobs[np.lexsort((schedule.start[jobs], schedule.lane[jobs], schedule.window[jobs]))]
    start, mean = schedule.start[jobs], upgrades.mean_s[jobs]
    variance = upgrades.spread_s[jobs].astype(float) ** 2
    window, lane = schedule.window[jobs], schedule.lane[jobs]
    new = np.ones(len(jobs), dtype=bool)
    new[1:] = (window[1:] != window[:-1]) | (lane[1:] != lane[:-1])
    overlap = np.zeros(len(jobs), dtype=bool)
    overlap[1:] = ~new[1:] & (start[1:] < start[:-1] + mean[:-1])
    for job in jobs[overlap]:
        yield Violation("lane", upgrades.ids[job], "begins before the one before it in its lane is over")
    head = np.maximum.accumulate(np.where(new, np.arange(len(jobs)), 0))
    means = np.cumsum(mean) - (np.cumsum(mean) - mean)[head]
    variances = np.cumsum(variance) - (np.cumsum(variance) - variance)[head]
    opens = np.array([one.start for one in problem.windows])[window]
    idle = (start - opens) - (means - mean)
    over = opens + idle + _reserved(problem, means, np.maximum(variances, 0.0))
    ends = np.array([one.end for one in problem.windows])[window]
    for place in np.nonzero(over > ends + SLACK_S)[0]:
        name, late = problem.windows[window[place]].name, over[place] - ends[place]
        text = f"its lane's reserve ends {late:.0f} s after window {name}"
        yield Violation("risk", upgrades.ids[jobs[place]], text)
    for job in jobs[over > upgrades.deadline[jobs] + SLACK_S]:
        yield Violation("deadline", upgrades.ids[job], "its reserve ends after its deadline")
    for blackout in problem.constraints.blackouts:
        hit = (start < blackout.end) & (over > blackout.start + SLACK_S)
        for domain, values in blackout.where.items():
            labels = problem.fleet.domains[domain]
            named = np.array([value in values for value in labels.values] + [False])
            hit &= named[labels.codes[upgrades.server[jobs]]]
        for job in jobs[hit]:
            yield Violation("blackout", upgrades.ids[job], f"may run into blackout {blackout.name}")


def _reserved(problem: FleetProblem, means: Any, variances: Any) -> Any:
    z = NormalDist().inv_cdf(problem.risk.level)
    if problem.risk.rule == "spread":
        return means + z * np.sqrt(variances)
    shape = np.log1p(variances / means.astype(float) ** 2)
    return np.maximum(means, means * np.exp(z * np.sqrt(shape) - shape / 2))


def _most_at_once(part: Any, start: Any, end: Any, parts: int) -> Any:
    """For each part the most intervals [start, end) that overlap at one time."""
    many = len(part)
    moment = np.concatenate((start, end))
    change = np.concatenate((np.ones(many, np.int64), -np.ones(many, np.int64)))
    belongs = np.concatenate((part, part))
    order = np.lexsort((change, moment, belongs))  # ends come before starts
    running = np.cumsum(change[order])  # returns to 0 at the end of each part
    most = np.zeros(parts, np.int64)
    np.maximum.at(most, belongs[order], running)
    return most


def executed_violations(problem: FleetProblem, runs: Sequence[tuple[int, int, int, bool]]) -> list[Violation]:
    """What an execution broke: ``runs`` are (upgrade, begin, end, completed), an upgrade may appear several times.

    What really ran is held against limits, floors, concurrency, windows and their slots, not_before, the order of waves
    and dependencies. Overruns of deadlines are the risk that was taken, and no violation.
    """
    upgrades = problem.upgrades
    jobs = np.array([run[0] for run in runs], np.int64)
    start, end = np.array([run[1] for run in runs], np.int64), np.array([run[2] for run in runs], np.int64)
    found = [*_counts(problem, jobs, start, end), *_slots_at_once(problem, start, end)]
    for job in jobs[start < upgrades.not_before[jobs]]:
        found.append(Violation("not_before", upgrades.ids[job], "began before it may"))
    over: dict[int, int] = {job: finish for job, _, finish, completed in runs if completed}
    rest = -1 if problem.constraints.rest_is_free else len(problem.constraints.waves)
    step = np.where(upgrades.wave < 0, rest, upgrades.wave)
    waves = problem.constraints.waves
    ends = [max((t for job, t in over.items() if step[job] == number), default=0) for number in range(len(waves))]
    for job, begin, finish, _ in runs:
        server = int(upgrades.server[job])
        inside = [w for w in problem.windows if w.start <= begin and finish <= w.end]
        if not any(_is_in(problem, server, window.where) for window in inside):
            what = "ran outside all windows" if not inside else "ran in a window that is not for its server"
            found.append(Violation("window", upgrades.ids[job], what))
        for earlier in upgrades.after.get(job, ()):
            if over.get(earlier, begin + 1) > begin:
                found.append(Violation("after", upgrades.ids[job], f"began before {upgrades.ids[earlier]} was over"))
        for number in range(max(int(step[job]), 0)):
            last = max(ends[: number + 1])
            if last and begin < last + waves[number].soak_s:
                found.append(Violation("wave", upgrades.ids[job], f"began before wave {waves[number].name} had soaked"))
        for blackout in problem.constraints.blackouts:
            if blackout.start <= begin < blackout.end and _is_in(problem, server, blackout.where):
                found.append(Violation("blackout", upgrades.ids[job], f"began in blackout {blackout.name}"))
    return found[:MOST]


def _slots_at_once(problem: FleetProblem, start: Any, end: Any) -> Iterator[Violation]:
    """More run at some time than the windows that are open then have slots."""
    opens = [(window.start, window.slots) for window in problem.windows]
    shuts = [(window.end, -window.slots) for window in problem.windows]
    changes = opens + shuts + [(time, -1) for time in start.tolist()] + [(time, 1) for time in end.tolist()]
    free, moments = 0, sorted(changes)
    for place, (time, change) in enumerate(moments):
        free += change
        if free < 0 and (place + 1 == len(moments) or moments[place + 1][0] > time):
            yield Violation("slots", "", f"{-free} more upgrades run at once than the open windows have slots")
            return


def _is_in(problem: FleetProblem, server: int, where: Mapping[str, tuple[str, ...]]) -> bool:
    for domain, values in where.items():
        labels = problem.fleet.domains[domain]
        code = labels.codes[server]
        if code < 0 or labels.values[code] not in values:
            return False
    return True


def _down_at_once(problem: FleetProblem, schedule: Schedule) -> Iterator[Violation]:
    jobs = _placed(schedule)
    return _counts(problem, jobs, schedule.start[jobs], schedule.start[jobs] + problem.upgrades.mean_s[jobs])


def _counts(problem: FleetProblem, jobs: Any, start: Any, end: Any) -> Iterator[Violation]:
    """Limits and floors of domains, the upgrade system's concurrency, one upgrade a server at a time, for upgrades
    that run in [start, end)."""
    upgrades, fleet, rules = problem.upgrades, problem.fleet, problem.constraints
    server = upgrades.server[jobs]
    if len(jobs) and len(np.unique(server)) < len(jobs):
        most = _most_at_once(server, start, end, len(fleet))
        for place in np.nonzero(most > 1)[0]:
            yield Violation("server", fleet.names[place], f"runs {most[place]} upgrades at once")
    if rules.max_running is not None and len(jobs):
        top = int(_most_at_once(np.zeros(len(jobs), np.int64), start, end, 1)[0])
        if top > rules.max_running:
            yield Violation("max_running", "", f"{top} upgrades run at once, and {rules.max_running} may")
    up = ~fleet.down[server]
    for domain in dict.fromkeys([rule.domain for rule in rules.limits] + [rule.domain for rule in rules.floors]):
        labels = fleet.domains[domain]
        code = labels.codes[server]
        counted = up & (code >= 0)
        running = _most_at_once(code[counted], start[counted], end[counted], len(labels.values))
        size = np.array([0] * len(labels.values))
        dark = size.copy()
        np.add.at(size, labels.codes[labels.codes >= 0], 1)
        np.add.at(dark, labels.codes[(labels.codes >= 0) & fleet.down], 1)
        down = running + dark
        for limit in rules.limits:
            for place in np.nonzero(running)[0] if limit.domain == domain else ():
                if limit.values and labels.values[place] not in limit.values:
                    continue
                allowed = limit.max_down
                if allowed is None:
                    allowed = max(1, int((limit.share or 0.0) * size[place] + 1e-9))
                if down[place] > allowed:
                    text = f"{domain} {labels.values[place]} has {down[place]} down at once, and {allowed} may be"
                    yield Violation("limit", "", text)
        for floor in rules.floors:
            for place in np.nonzero(running)[0] if floor.domain == domain else ():
                if floor.values and labels.values[place] not in floor.values:
                    continue
                needed = floor.min_up
                if needed is None:
                    needed = math.ceil((floor.share or 0.0) * size[place] - 1e-9)
                if size[place] - down[place] < needed:
                    text = f"{domain} {labels.values[place]} has {size[place] - down[place]} up, and needs {needed}"
                    yield Violation("floor", "", text)


def _order(problem: FleetProblem, schedule: Schedule) -> Iterator[Violation]:
    """Waves: each begins after all upgrades of the earlier ones and the soak of the one before; those that could not
    run at all hold nobody up."""
    waves, upgrades = problem.constraints.waves, problem.upgrades
    if not waves:
        return
    rest = -1 if problem.constraints.rest_is_free else len(waves)
    step = np.where(upgrades.wave < 0, rest, upgrades.wave)
    placed = schedule.window >= 0
    end = schedule.start + upgrades.mean_s
    hopeless: set[int] | None = None
    for number in range(1, len(waves) + 1):
        later = np.nonzero(placed & (step == number))[0]
        if not len(later):
            continue
        first = later[np.argmin(schedule.start[later])]
        begins = schedule.start[first]
        missing = np.nonzero(~placed & (step >= 0) & (step < number))[0]
        if len(missing) and hopeless is None:
            hopeless = _hopeless(problem)
        for job in missing:
            if int(job) not in (hopeless or ()):
                yield Violation("wave", upgrades.ids[first], f"begins although {upgrades.ids[job]} is still to come")
                break
        earlier = np.nonzero(placed & (step >= 0) & (step < number))[0]
        if not len(earlier):
            continue
        # The soak of every wave since the last upgrade counts from that upgrade's end, waves without any included.
        for wave in range(number):
            mine = earlier[step[earlier] <= wave]
            if len(mine) and begins < end[mine].max() + waves[wave].soak_s:
                yield Violation("wave", upgrades.ids[first], f"begins before wave {waves[wave].name} has soaked")
                break


def _hopeless(problem: FleetProblem) -> set[int]:
    """Upgrades that could not run even alone: no window takes them, or something they wait for cannot run."""
    upgrades, fleet, rules = problem.upgrades, problem.fleet, problem.constraints
    lost: set[int] = set()
    shut = _shut(problem)
    needs = _reserved(problem, upgrades.mean_s, upgrades.spread_s.astype(float) ** 2).tolist()
    for job in range(len(upgrades)):
        server = int(upgrades.server[job])
        own = {
            domain: labels.values[labels.codes[server]]
            for domain, labels in fleet.domains.items()
            if labels.codes[server] >= 0
        }
        dark = [b for b in rules.blackouts if all(own.get(domain) in values for domain, values in b.where.items())]
        if not any(
            _room(window, job, upgrades, dark, needs[job])
            for window in problem.windows
            if all(own.get(domain) in values for domain, values in window.where.items())
        ) or (not fleet.down[server] and shut[server]):
            lost.add(job)
    grew = True
    while grew:
        more = {job for job, names in upgrades.after.items() if job not in lost and any(n in lost for n in names)}
        lost |= more
        grew = bool(more)
    return lost


def _room(window: Any, job: int, upgrades: Any, dark: list[Any], need: float) -> bool:
    """Whether some time of the window takes one upgrade; candidates are the window's start and each blackout's end."""
    for begin in [window.start, int(upgrades.not_before[job]), *(b.end for b in dark)]:
        begin = max(begin, window.start, int(upgrades.not_before[job]))
        end = begin + need
        clear = all(begin >= b.end or end <= b.start + SLACK_S for b in dark)
        if clear and end <= min(window.end, int(upgrades.deadline[job])) + SLACK_S:
            return True
    return False


def _shut(problem: FleetProblem) -> Any:
    """Which servers a limit or floor lets never go down."""
    found = np.zeros(len(problem.fleet), dtype=bool)
    rules: list[Limit | Floor] = [*problem.constraints.limits, *problem.constraints.floors]
    for rule in rules:
        labels = problem.fleet.domains[rule.domain]
        known = labels.codes >= 0
        sizes = np.bincount(labels.codes[known], minlength=len(labels.values))
        downs = np.bincount(labels.codes[known & problem.fleet.down], minlength=len(labels.values))
        for code, name in enumerate(labels.values):
            if rule.values and name not in rule.values:
                continue
            size = int(sizes[code])
            if isinstance(rule, Limit):
                part = max(1, int((rule.share or 0.0) * size + 1e-9))
                allowed = rule.max_down if rule.max_down is not None else part
            else:
                part = math.ceil((rule.share or 0.0) * size - 1e-9)
                allowed = size - (rule.min_up if rule.min_up is not None else part)
            if downs[code] + 1 > allowed:
                found |= labels.codes == code
    return found


def _dependencies(problem: FleetProblem, schedule: Schedule) -> Iterator[Violation]:
    """What comes after something begins when that is over."""
    upgrades = problem.upgrades
    for job, names in upgrades.after.items():
        if schedule.window[job] < 0:
            continue
        for earlier in names:
            if schedule.window[earlier] < 0:
                yield Violation("after", upgrades.ids[job], f"is scheduled without {upgrades.ids[earlier]}")
            elif schedule.start[job] < schedule.start[earlier] + upgrades.mean_s[earlier]:
                yield Violation("after", upgrades.ids[job], f"begins before {upgrades.ids[earlier]} is over")
