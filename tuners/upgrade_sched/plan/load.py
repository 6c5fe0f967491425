"""All input files to one checked planning problem: reads, resolves names across files, predicts; it plans nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan import load_constraints as lc
from tuners.upgrade_sched.plan.fields import Reader, zone_of
from tuners.upgrade_sched.plan.issues import Issue, Issues
from tuners.upgrade_sched.plan.load_fleet import RawUpgrades, finish, read_durations, read_fleet, read_upgrades
from tuners.upgrade_sched.plan.load_windows import read_windows
from tuners.upgrade_sched.plan.model import Fleet, FleetProblem, Window
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.tables import read_table, read_text, read_toml

Predict = Callable[[Sequence[dict[str, Any]]], tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True)
class Sources:
    """The input files. ``upgrades`` left out: one upgrade for each server of the fleet that is not down."""

    fleet: Path
    windows: Path
    upgrades: Path | None = None
    constraints: Path | None = None
    durations: Path | None = None
    timezone: str = "UTC"

    def paths(self) -> dict[str, Path]:
        """The files that are given, by role."""
        roles = ("fleet", "windows", "upgrades", "constraints", "durations")
        return {role: path for role in roles if (path := getattr(self, role)) is not None}

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file. Raises OSError."""
        return {role: hashlib.sha256(path.read_bytes()).hexdigest() for role, path in self.paths().items()}


def load(sources: Sources, risk: Risk, predict: Predict | None = None) -> FleetProblem:
    """The planning problem. ``predict`` gives mean and spread (s) for rows of upgrades without a duration of their own.

    Raises InputError naming the first problem of the files and how many more there are.
    """
    issues = Issues()
    problem = _read(sources, risk, predict, issues)
    issues.raise_if_any()
    assert problem is not None
    return problem


def validate(sources: Sources, predict: Predict | None = None) -> list[Issue]:
    """Every problem in the input files, by file and line; an empty list means that they can be planned (``predict``:
    see ``load``)."""
    issues = Issues()
    _read(sources, Risk(), predict, issues)
    return sorted(issues.found, key=lambda issue: (issue.file, issue.line))


def _read(sources: Sources, risk: Risk, predict: Predict | None, issues: Issues) -> FleetProblem | None:
    zone, data, text = zone_of(sources.timezone), {}, ""
    if sources.constraints is not None:
        data = read_toml(sources.constraints, issues) or {}
        text = read_text(sources.constraints, Issues()) or ""
        if "timezone" in data:
            zone = zone_of(str(data["timezone"]))

    def reader(path: Path) -> Reader:
        return Reader(str(path), issues, zone)

    fleet_table = read_table(sources.fleet, "server", issues)
    if fleet_table is not None and not len(fleet_table):
        issues.add("empty", str(sources.fleet), 0, "", "has no rows", "Give it at least one server.")
    fleet = read_fleet(fleet_table, reader(sources.fleet)) if fleet_table is not None else None
    if fleet is None:  # the rest means nothing without it, but its syntax can be told
        for path, kind in ((sources.windows, "window"), (sources.upgrades, "upgrade")):
            if path is not None:
                read_table(path, kind, issues)
        return None
    windows: tuple[Window, ...] = ()
    window_table = read_table(sources.windows, "window", issues)
    if window_table is not None:
        windows = read_windows(window_table, fleet, reader(sources.windows))
        if not len(window_table):
            issues.add("empty", str(sources.windows), 0, "", "has no rows", "Give it at least one window.")
    upgrade_path = sources.upgrades or sources.fleet
    table = read_table(upgrade_path, "upgrade", issues) if sources.upgrades else fleet_table
    if table is None:
        return None
    read = reader(upgrade_path)
    raw = read_upgrades(table, fleet, read, own_file=sources.upgrades is not None)
    if not raw.ids:
        issues.add("empty", str(upgrade_path), 0, "", "names no pending upgrade", "Give it at least one.")
        return None
    _durations(sources, raw, fleet, predict, read, reader)
    rules = lc.RawConstraints()
    rules_read = reader(sources.constraints) if sources.constraints else read
    if sources.constraints is not None:
        rules = lc.read_constraints(sources.constraints, data, text, fleet, rules_read)
    wave = _waves(raw, rules, fleet, rules_read, read)
    _scopes(raw, rules, fleet, rules_read)
    after = _dependencies(raw, rules, rules_read, read)
    if issues.count:
        return None
    _order(raw, wave, after, rules, read)
    return FleetProblem(fleet, finish(raw, wave, after, fleet), windows, rules.constraints, risk)


def _durations(
    sources: Sources,
    raw: RawUpgrades,
    fleet: Fleet,
    predict: Predict | None,
    read: Reader,
    reader: Callable[[Path], Reader],
) -> None:
    """Fill in durations: the row's own, else the table of types, else what ``predict`` says."""
    if sources.durations is not None:
        table = read_table(sources.durations, "type", read.issues)
        by_type = read_durations(table, reader(sources.durations)) if table is not None else {}
        for number, name in enumerate(raw.type):
            known = by_type.get(name, by_type.get("*"))
            if raw.mean_s[number] is None and known is not None:
                raw.mean_s[number], raw.spread_s[number] = known
    missing = [number for number, mean in enumerate(raw.mean_s) if mean is None]
    if missing and predict is not None:
        rows = [
            {"id": raw.ids[n], "server": fleet.names[raw.server[n]], "type": raw.type[n]}
            | {name: column[n] for name, column in raw.features.items()}
            for n in missing
        ]
        means, spreads = predict(rows)
        for number, mean, spread in zip(missing, means, spreads, strict=True):
            raw.mean_s[number], raw.spread_s[number] = max(float(mean), 1.0), max(float(spread), 0.0)
        missing = []
    for number in missing:
        mend = "Give mean_min (and spread_min), a --durations table with its type, or --history."
        read.bad("duration", raw.lines[number], "mean_min", f"{raw.ids[number]!r} has no duration", mend)


def _waves(raw: RawUpgrades, rules: lc.RawConstraints, fleet: Fleet, rules_read: Reader, read: Reader) -> list[int]:
    names = {wave.name: number for number, wave in enumerate(rules.constraints.waves)}
    wave = [-1] * len(raw.ids)
    for number, name in enumerate(raw.wave):
        if name and name not in names:
            mend = f"Waves: {', '.join(names) or 'none, add [[wave]] to the constraints'}."
            read.bad("unknown-wave", raw.lines[number], "wave", f"there is no wave {name!r}", mend)
        elif name:
            wave[number] = names[name]
    for position, (line, row) in enumerate(rules.waves):
        free = [number for number, one in enumerate(wave) if one < 0]
        chosen: list[int] = []
        if "servers" in row:
            wanted = rules_read.texts(row["servers"], line, "wave.servers")
            for name in wanted:
                if name not in fleet.index:
                    rules_read.bad(
                        "unknown-server", line, "wave.servers", f"{name!r} is not in the fleet", "Correct it."
                    )
            places = {fleet.index[name] for name in wanted if name in fleet.index}
            chosen = [number for number in free if raw.server[number] in places]
        elif "where" in row:
            mask = lc.scope({"where": row["where"]}, "wave", line, fleet, raw, rules_read)
            chosen = [number for number in free if mask[number]]
        elif "count" in row:
            count = rules_read.count(row["count"], line, "wave.count", least=1)
            chosen = lc.pick_hashed(raw.ids, free, count or 0)
        elif "share" in row:
            share = rules_read.number(row["share"], line, "wave.share", above=True, most=1.0) or 0.0
            chosen = lc.pick_hashed(raw.ids, free, max(1, round(share * len(raw.ids))))
        elif position not in wave:
            mend = "Give servers, where, count or share, or name it in the column wave."
            rules_read.bad("wave-empty", line, "wave", "selects no upgrade", mend)
        for number in chosen:
            wave[number] = position
    return wave


def _scopes(raw: RawUpgrades, rules: lc.RawConstraints, fleet: Fleet, read: Reader) -> None:
    """Deadlines and priorities that are set for a part of the fleet; the earlier deadline and the last weight hold."""
    for line, row in rules.deadlines:
        by = read.time(row.get("by"), line, "deadline.by")
        if row.get("by") in (None, ""):
            read.bad("missing", line, "deadline.by", "is missing", "Say when.")
        chosen = np.nonzero(lc.scope(row, "deadline", line, fleet, raw, read))[0].tolist()
        for number in chosen if by is not None else ():
            raw.deadline[number] = min(raw.deadline[number], by or 0)
    for line, row in rules.priorities:
        weight = read.number(row.get("weight"), line, "priority.weight", above=True, most=1e9)
        if row.get("weight") in (None, ""):
            read.bad("missing", line, "priority.weight", "is missing", "Say what one such upgrade is worth.")
        chosen = np.nonzero(lc.scope(row, "priority", line, fleet, raw, read))[0].tolist()
        for number in chosen if weight is not None else ():
            raw.weight[number] = weight or 1.0


def _dependencies(
    raw: RawUpgrades, rules: lc.RawConstraints, rules_read: Reader, read: Reader
) -> dict[int, tuple[int, ...]]:
    index = {name: number for number, name in enumerate(raw.ids)}
    after: dict[int, set[int]] = {}

    def need(number: int, names: tuple[str, ...], line: int, field: str, reader: Reader) -> None:
        for name in names:
            if name not in index:
                reader.bad("unknown-upgrade", line, field, f"there is no upgrade {name!r}", "Correct its name.")
            elif index[name] == number:
                reader.bad("cycle", line, field, f"{name!r} comes after itself", "Remove it.")
            else:
                after.setdefault(number, set()).add(index[name])

    for number, names in raw.after.items():
        need(number, names, raw.lines[number], "after", read)
    for line, row in rules.dependencies:
        ids = rules_read.text(row.get("upgrade"), line, "dependency.upgrade")
        first = rules_read.text(row.get("after_type"), line, "dependency.after_type")
        then = rules_read.text(row.get("type"), line, "dependency.type")
        if ids and ids not in index:
            rules_read.bad("unknown-upgrade", line, "dependency.upgrade", f"there is no upgrade {ids!r}", "Correct it.")
        elif ids:
            need(index[ids], rules_read.texts(row.get("after"), line, "dependency.after"), line, "after", rules_read)
        elif first and then and first != then:
            places: dict[int, list[int]] = {}
            for number, name in enumerate(raw.type):
                if name == first:
                    places.setdefault(raw.server[number], []).append(number)
            for number, name in enumerate(raw.type):
                if name == then and raw.server[number] in places:
                    after.setdefault(number, set()).update(places[raw.server[number]])
        else:
            mend = "Give upgrade and after, or type and after_type."
            rules_read.bad("dependency", line, "dependency", "does not say what comes after what", mend)
    return {number: tuple(sorted(names)) for number, names in after.items()}


def _order(
    raw: RawUpgrades, wave: list[int], after: dict[int, tuple[int, ...]], rules: lc.RawConstraints, read: Reader
) -> None:
    """Dependencies must form no circle and not run against the waves."""
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        circle = " after ".join(raw.ids[number] for number in reversed(error.args[1][:8]))
        line = raw.lines[error.args[1][0]]
        read.bad("cycle", line, "after", f"these wait for each other: {circle}", "Remove one of the dependencies.")
    last = len(rules.constraints.waves)
    rest = -1 if rules.constraints.rest_is_free else last
    step = [rest if one < 0 else one for one in wave]
    for number, names in after.items():
        for name in names:
            if step[name] > step[number] >= 0:
                message = f"{raw.ids[number]!r} comes after {raw.ids[name]!r}, which is in a later wave"
                read.bad("wave-order", raw.lines[number], "after", message, "Move one of them to another wave.")
                return


def with_durations(problem: FleetProblem, mean_s: Sequence[float], spread_s: Sequence[float]) -> FleetProblem:
    """The same problem with other durations (s), rounded up to whole seconds."""
    means = np.maximum(np.ceil(np.asarray(mean_s, float)), 1).astype(np.int64)
    spreads = np.ceil(np.asarray(spread_s, float)).astype(np.int64)
    return replace(problem, upgrades=replace(problem.upgrades, mean_s=means, spread_s=spreads))
