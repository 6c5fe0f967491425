"""The rules once more, as plain loops over servers and moments: slow, and written apart from ``verify``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

from tuners.upgrade_sched.plan.model import FleetProblem, Schedule


def broken_rules(problem: FleetProblem, schedule: Schedule) -> set[str]:
    """The names of the rules that a schedule breaks; the order of waves is left to its own test."""
    found = set(_places(problem, schedule))
    return found if found else set(_running(problem, schedule)) | set(_lanes(problem, schedule))


def _label(problem: FleetProblem, job: int, domain: str) -> str | None:
    labels = problem.fleet.domains[domain]
    code = int(labels.codes[problem.upgrades.server[job]])
    return labels.values[code] if code >= 0 else None


def _inside(problem: FleetProblem, job: int, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(_label(problem, job, domain) in values for domain, values in where.items())


def _placed(schedule: Schedule) -> list[int]:
    return [job for job in range(len(schedule.window)) if schedule.window[job] >= 0]


def _places(problem: FleetProblem, schedule: Schedule) -> Iterator[str]:
    for job in _placed(schedule):
        window, start = problem.windows[schedule.window[job]], int(schedule.start[job])
        if not 0 <= schedule.lane[job] < window.slots:
            yield "slots"
        if start < window.start or not _inside(problem, job, window.where):
            yield "window"
        if start < problem.upgrades.not_before[job]:
            yield "not_before"


def _running(problem: FleetProblem, schedule: Schedule) -> Iterator[str]:
    upgrades, fleet, rules = problem.upgrades, problem.fleet, problem.constraints
    jobs = _placed(schedule)
    begin = {job: int(schedule.start[job]) for job in jobs}
    end = {job: begin[job] + int(upgrades.mean_s[job]) for job in jobs}
    for moment in sorted(set(begin.values())):
        now = [job for job in jobs if begin[job] <= moment < end[job]]
        servers = [int(upgrades.server[job]) for job in now]
        if len(set(servers)) < len(servers):
            yield "server"
        if rules.max_running is not None and len(now) > rules.max_running:
            yield "max_running"
        down = {n for n in range(len(fleet)) if fleet.down[n]} | set(servers)
        for limit in rules.limits:
            for size, gone, touched in _values(problem, limit.domain, limit.values, down, servers):
                share = max(1, math.floor((limit.share or 0) * size + 1e-9))
                if touched and gone > (limit.max_down if limit.max_down is not None else share):
                    yield "limit"
        for floor in rules.floors:
            for size, gone, touched in _values(problem, floor.domain, floor.values, down, servers):
                share = math.ceil((floor.share or 0) * size - 1e-9)
                if touched and size - gone < (floor.min_up if floor.min_up is not None else share):
                    yield "floor"
    for job, names in upgrades.after.items():
        for earlier in names:
            if job in begin and (earlier not in end or begin[job] < end[earlier]):
                yield "after"


def _values(
    problem: FleetProblem, domain: str, only: tuple[str, ...], down: set[int], servers: list[int]
) -> Iterator[tuple[int, int, bool]]:
    """Of each value: its servers, those down, and whether an upgrade of one that was up is among these."""
    labels = problem.fleet.domains[domain]
    for code, name in enumerate(labels.values):
        if only and name not in only:
            continue
        mine = [n for n in range(len(problem.fleet)) if labels.codes[n] == code]
        touched = any(labels.codes[n] == code and not problem.fleet.down[n] for n in servers)
        yield len(mine), sum(n in down for n in mine), touched


def _lanes(problem: FleetProblem, schedule: Schedule) -> Iterator[str]:
    upgrades, z = problem.upgrades, NormalDist().inv_cdf(problem.risk.level)
    lanes: dict[tuple[int, int], list[int]] = {}
    for job in _placed(schedule):
        lanes.setdefault((int(schedule.window[job]), int(schedule.lane[job])), []).append(job)
    for (which, _), jobs in lanes.items():
        window = problem.windows[which]
        mean, variance, free = 0, 0.0, window.start
        for job in sorted(jobs, key=lambda one: int(schedule.start[one])):
            start = int(schedule.start[job])
            if start < free:
                yield "lane"
            free = start + int(upgrades.mean_s[job])
            idle = start - window.start - mean
            mean, variance = mean + int(upgrades.mean_s[job]), variance + float(upgrades.spread_s[job]) ** 2
            if problem.risk.rule == "spread":
                need = mean + z * math.sqrt(variance)
            else:
                shape = math.log1p(variance / mean**2)
                need = max(float(mean), mean * math.exp(z * math.sqrt(shape) - shape / 2))
            over = window.start + idle + need
            if over > window.end + 0.01:
                yield "risk"
            if over > upgrades.deadline[job] + 0.01:
                yield "deadline"
            for blackout in problem.constraints.blackouts:
                inside = start < blackout.end and over > blackout.start + 0.01
                if inside and _inside(problem, job, blackout.where):
                    yield "blackout"
