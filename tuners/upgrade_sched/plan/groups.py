"""A planning problem as the heuristic wants it: capacities, memberships, eligibility; it places nothing.

Limits, floors, the upgrade system's concurrency and servers with several upgrades all become groups: at most ``cap``
members run at once. ``verify`` reads the constraints on its own and shares nothing with this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

import numpy as np

from tuners.upgrade_sched.plan.model import Bools, Fleet, FleetProblem, Floor, Ints, Limit, servers_where


@dataclass(frozen=True)
class Group:
    """At most ``cap`` of its members run at once; ``reason`` says which constraint that is, in words."""

    cap: int
    reason: str


@dataclass(frozen=True)
class Compiled:
    """``members[i]`` are the groups that can bind upgrade i; ``signature[i]`` says which windows and blackouts concern
    it: ``eligible[signature, window]`` and ``blackouts[signature]`` (start, end). ``possible`` is false for upgrades
    that could not run even alone, and ``why_not`` gives those their reason."""

    problem: FleetProblem
    groups: tuple[Group, ...]
    membership: Ints  # upgrades x constraints, the group or -1; only groups that can bind
    every_membership: Ints  # the same with all groups, for what runs outside any plan
    signature: Ints
    eligible: Bools
    blackouts: tuple[tuple[tuple[int, int], ...], ...]
    possible: Bools
    why_not: dict[int, str]

    @cached_property
    def members(self) -> list[tuple[int, ...]]:
        """The groups of each upgrade."""
        return _rows(self.membership)

    @cached_property
    def all_members(self) -> list[tuple[int, ...]]:
        """The groups of each upgrade, those included that cannot bind."""
        return _rows(self.every_membership)


def _rows(membership: Ints) -> list[tuple[int, ...]]:
    if not membership.shape[1]:
        return [()] * len(membership)
    return [tuple(g for g in row if g >= 0) for row in membership.tolist()]


def compile_problem(problem: FleetProblem) -> Compiled:
    """Work out groups, eligibility and what cannot run at all."""
    groups, membership = _groups(problem)
    signature, eligible, blackouts = _signatures(problem)
    possible, why_not = _possible(problem, groups, membership, signature, eligible, blackouts)
    kept = _binding(groups, membership, possible)
    return Compiled(problem, tuple(groups), kept, membership, signature, eligible, blackouts, possible, why_not)


def cap_of(rule: Limit | Floor, size: int, down: int) -> int:
    """How many more of ``size`` servers may go down when ``down`` are down already."""
    if isinstance(rule, Limit):
        most = rule.max_down if rule.max_down is not None else max(1, math.floor((rule.share or 0) * size + 1e-9))
        return max(0, most - down)
    least = rule.min_up if rule.min_up is not None else math.ceil((rule.share or 0) * size - 1e-9)
    return max(0, size - least - down)


def _groups(problem: FleetProblem) -> tuple[list[Group], Ints]:
    fleet, upgrades, rules = problem.fleet, problem.upgrades, problem.constraints
    groups: list[Group] = []
    columns: list[Ints] = []
    both: list[Limit | Floor] = [*rules.limits, *rules.floors]
    for rule in both:
        labels = fleet.domains[rule.domain]
        of_value = np.full(len(labels.values) + 1, -1)  # one more: code -1 reads the last
        sizes, downs = _sizes(fleet, rule.domain)
        for code, value in enumerate(labels.values):
            if not rule.values or value in rule.values:
                of_value[code] = len(groups)
                cap = cap_of(rule, int(sizes[code]), int(downs[code]))
                groups.append(Group(cap, _words(rule, value, cap, int(downs[code]))))
        column = of_value[labels.codes[upgrades.server]]
        # A server that is down already is counted in the cap; upgrading it takes nothing more away.
        column[fleet.down[upgrades.server]] = -1
        columns.append(column)
    if rules.max_running is not None:
        columns.append(np.full(len(upgrades), len(groups)))
        groups.append(Group(rules.max_running, f"the upgrade system runs at most {rules.max_running} at once"))
    several = np.bincount(upgrades.server, minlength=len(fleet))
    if several.max(initial=0) > 1:
        busy = np.nonzero(several > 1)[0]
        of_server = np.full(len(fleet), -1)
        of_server[busy] = np.arange(len(groups), len(groups) + len(busy))
        columns.append(of_server[upgrades.server])
        groups += [Group(1, f"server {fleet.names[server]} takes one upgrade at a time") for server in busy]
    return groups, np.stack(columns, axis=1) if columns else np.empty((len(upgrades), 0), np.int64)


def _sizes(fleet: Fleet, domain: str) -> tuple[Ints, Ints]:
    labels = fleet.domains[domain]
    count, inside = len(labels.values), labels.codes >= 0
    down = inside & fleet.down
    return np.bincount(labels.codes[inside], minlength=count), np.bincount(labels.codes[down], minlength=count)


def _words(rule: Limit | Floor, value: str, cap: int, down: int) -> str:
    already = f", {down} down already" if down else ""
    if isinstance(rule, Limit):
        return f"{rule.domain} {value} may have at most {cap + down if cap else down} down at once{already}"
    return f"{rule.domain} {value} may lose {cap} more before its floor{already}"


def _signatures(problem: FleetProblem) -> tuple[Ints, Bools, tuple[tuple[tuple[int, int], ...], ...]]:
    """Upgrades that the same windows and blackouts concern share a signature."""
    server = problem.upgrades.server
    scopes = list(dict.fromkeys(tuple(sorted(window.where.items())) for window in problem.windows))
    blackouts = problem.constraints.blackouts
    flags = [servers_where(problem.fleet, dict(scope))[server] for scope in scopes]
    flags += [servers_where(problem.fleet, blackout.where)[server] for blackout in blackouts]
    table = np.stack(flags, axis=1) if flags else np.zeros((len(server), 0), bool)
    distinct, signature = np.unique(np.packbits(table, axis=1), axis=0, return_inverse=True)
    rows = np.unpackbits(distinct, axis=1, count=table.shape[1]).astype(bool)
    position = {scope: number for number, scope in enumerate(scopes)}
    columns = [position[tuple(sorted(window.where.items()))] for window in problem.windows]
    eligible = rows[:, columns] if columns else np.zeros((len(rows), 0), bool)
    dark = tuple(
        tuple(sorted((b.start, b.end) for b, hit in zip(blackouts, row[len(scopes) :], strict=True) if hit))
        for row in rows
    )
    return signature.reshape(-1).astype(np.int64), eligible, dark


def _possible(
    problem: FleetProblem,
    groups: list[Group],
    membership: Ints,
    signature: Ints,
    eligible: Bools,
    blackouts: tuple[tuple[tuple[int, int], ...], ...],
) -> tuple[Bools, dict[int, str]]:
    """What could run if it were alone in the fleet, and why the rest could not."""
    upgrades = problem.upgrades
    need = problem.risk.reserves(upgrades.mean_s, upgrades.spread_s.astype(float) ** 2)
    possible = np.zeros(len(upgrades), dtype=bool)
    longest = np.zeros(len(upgrades))
    for position, window in enumerate(problem.windows):
        for code in range(len(eligible)):
            if not eligible[code, position]:
                continue
            mine = signature == code
            for start, end in light(window.start, window.end, blackouts[code]):
                first = np.maximum(start, upgrades.not_before)
                # A lane's reserve counts from the window's start, so waiting first costs nothing but time.
                room = np.minimum(end, upgrades.deadline) - first
                possible |= mine & (room >= need)
                longest = np.where(mine, np.maximum(longest, room), longest)
    why_not = {int(n): _too_long(problem, int(n), need, longest) for n in np.nonzero(~possible)[0]}
    for number in np.nonzero(possible & _shut(groups, membership))[0].tolist():
        shut = next(groups[g] for g in membership[number] if g >= 0 and groups[g].cap <= 0)
        why_not[number] = shut.reason
        possible[number] = False
    for number in _topological(upgrades.after):
        lost = next((n for n in upgrades.after.get(number, ()) if not possible[n]), None)
        if lost is not None and possible[number]:
            possible[number] = False
            why_not[number] = f"it comes after {upgrades.ids[lost]}, which cannot be scheduled"
    return possible, why_not


def light(start: int, end: int, dark: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """The parts of [start, end) outside the sorted intervals ``dark``."""
    parts, cursor = [], start
    for first, last in dark:
        if first >= end:
            break
        if first > cursor:
            parts.append((cursor, first))
        cursor = max(cursor, last)
    if cursor < end:
        parts.append((cursor, end))
    return parts


def _too_long(problem: FleetProblem, number: int, need: np.ndarray, longest: np.ndarray) -> str:
    if longest[number] <= 0:
        return "no window is open to it before its deadline and outside blackouts"
    every = max((window.length for window in problem.windows), default=0)
    what = "longer than any window" if need[number] > every else "longer than any time open to it"
    asked, room = need[number] / 60, longest[number] / 60
    return f"{what}: it needs {asked:.0f} min at this risk, and the longest has {room:.0f} min"


def _shut(groups: list[Group], membership: Ints) -> Bools:
    if not membership.shape[1]:
        return np.zeros(len(membership), dtype=bool)
    shut = np.array([group.cap <= 0 for group in groups] + [False])  # the last is read by -1
    return np.asarray(shut[membership].any(axis=1), dtype=bool)


def _topological(after: Mapping[int, tuple[int, ...]]) -> list[int]:
    return list(TopologicalSorter(dict(after)).static_order())


def _binding(groups: list[Group], membership: Ints, possible: Bools) -> Ints:
    """Memberships without the groups that have no more upgrades than they may run at once."""
    if not membership.shape[1]:
        return membership
    inside = membership[possible]
    counts = np.bincount(inside[inside >= 0], minlength=len(groups))
    binds = np.append(counts > np.array([group.cap for group in groups]), False)
    kept = np.where(binds[membership], membership, -1)
    return kept[:, (kept >= 0).any(axis=0)]
