"""Fleet, pending upgrades and durations by type, from tables to columns; constraints and windows are read elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.fields import Reader
from tuners.upgrade_sched.plan.model import NEVER, Fleet, Labels, Upgrades
from tuners.upgrade_sched.plan.tables import Table

DURATION = ("mean_s", "mean_min", "mean_hours", "spread_s", "spread_min", "spread_hours")
UPGRADE = ("upgrade", "type", "priority", "not_before", "deadline", "after", "wave", *DURATION)


@dataclass
class RawUpgrades:
    """Upgrades as read, before waves and dependencies are resolved; lists run along upgrades.

    ``mean_s`` and ``spread_s`` are None where the table does not say. ``features`` are columns that no rule here knows.
    """

    file: str
    lines: list[int]
    ids: list[str]
    server: list[int]
    type: list[str]
    weight: list[float]
    mean_s: list[float | None]
    spread_s: list[float | None]
    not_before: list[int]
    deadline: list[int]
    wave: list[str]
    after: dict[int, tuple[str, ...]]
    features: dict[str, list[Any]]


def read_fleet(table: Table, read: Reader) -> Fleet:
    """The servers. Every column that is not known is a domain (rack, power, service, zone, ...)."""
    names = _names(table, "server", read)
    down = table.columns.get("down")
    flags = np.zeros(len(table), dtype=bool)
    if down is not None:
        flags[:] = [read.flag(cell, line, "down") for cell, line in zip(down, table.lines, strict=True)]
    domains: dict[str, Labels] = {}
    for name, column in table.columns.items():
        if name not in ("server", "down", *UPGRADE):
            clean = [
                cell.strip() if type(cell) is str and cell.isprintable() else read.text(cell, line, name)
                for cell, line in zip(column, table.lines, strict=True)
            ]
            domains[name] = Labels.of(clean)
    return Fleet(tuple(names), domains, flags)


def _names(table: Table, field: str, read: Reader) -> list[str]:
    column = table.columns.get(field)
    if column is None:
        near = ", ".join(list(table.columns)[:8])
        read.bad("column", 1, field, f"this column is missing; there are {near}", f"Name one column {field}.")
        return [""] * len(table)
    names = [read.text(cell, line, field) for cell, line in zip(column, table.lines, strict=True)]
    if len(set(names)) < len(names) or "" in names:
        seen: dict[str, int] = {}
        for name, line in zip(names, table.lines, strict=True):
            if not name:
                read.bad("missing", line, field, "is empty", f"Give each row a {field}.")
            elif name in seen:
                read.bad("duplicate", line, field, f"{name!r} is on line {seen[name]} too", "Keep one of the two.")
            else:
                seen[name] = line
    return names


def read_upgrades(table: Table, fleet: Fleet, read: Reader, *, own_file: bool) -> RawUpgrades:
    """The pending upgrades of a table of their own, or, without one, an upgrade for each server of the fleet's table
    that is not down."""
    count, columns, lines = len(table), table.columns, table.lines
    if own_file and "server" not in columns:
        read.bad("column", 1, "server", "this column is missing", "Name one column server.")
    cells = columns.get("server", [""] * count)
    servers = [read.text(cell, line, "server") for cell, line in zip(cells, lines, strict=True)]
    positions = []
    for name, line in zip(servers, lines, strict=True):
        if name not in fleet.index:
            if "server" in columns:
                message = f"{name!r} is not in the fleet" if name else "is empty"
                read.bad("unknown-server", line, "server", message, "Add the server to the fleet, or remove the row.")
            positions.append(0)
        else:
            positions.append(fleet.index[name])

    def column(name: str) -> list[Any]:
        return columns.get(name) or [None] * count

    types = [read.text(cell, line, "type") for cell, line in zip(column("type"), lines, strict=True)]
    raw = RawUpgrades(
        file=table.file,
        lines=lines,
        ids=_ids(table, servers, types, read),
        server=positions,
        type=types,
        weight=_weights(column("priority"), lines, read),
        mean_s=_durations(table, "mean", read, above=True),
        spread_s=_durations(table, "spread", read, above=False),
        not_before=_times(column("not_before"), lines, "not_before", 0, read),
        deadline=_times(column("deadline"), lines, "deadline", NEVER, read),
        wave=[read.text(cell, line, "wave") for cell, line in zip(column("wave"), lines, strict=True)],
        after={
            number: read.texts(cell, lines[number], "after")
            for number, cell in enumerate(column("after"))
            if cell not in (None, "")
        },
        features={name: cells for name, cells in columns.items() if name not in ("server", "down", *UPGRADE)},
    )
    for number, (early, late) in enumerate(zip(raw.not_before, raw.deadline, strict=True)):
        if early >= late:
            mend = "Let the deadline be later than not_before."
            given = [f"{str(column(name)[number])!r:.60}" for name in ("deadline", "not_before")]
            message = f"{given[0]} is not after not_before {given[1]}"
            read.bad("deadline-order", lines[number], "deadline", message, mend)
    return raw if own_file else _without_down(raw, fleet)


def _without_down(raw: RawUpgrades, fleet: Fleet) -> RawUpgrades:
    if not fleet.down.any():
        return raw
    keep = [number for number, server in enumerate(raw.server) if not fleet.down[server]]
    again = {old: new for new, old in enumerate(keep)}

    def some(column: list[Any]) -> list[Any]:
        return [column[number] for number in keep]

    return RawUpgrades(
        raw.file,
        some(raw.lines),
        some(raw.ids),
        some(raw.server),
        some(raw.type),
        some(raw.weight),
        some(raw.mean_s),
        some(raw.spread_s),
        some(raw.not_before),
        some(raw.deadline),
        some(raw.wave),
        {again[old]: names for old, names in raw.after.items() if old in again},
        {name: some(column) for name, column in raw.features.items()},
    )


def _ids(table: Table, servers: list[str], types: list[str], read: Reader) -> list[str]:
    """The upgrades' names: as given, else the server's name, with the type where a server has several."""
    if "upgrade" in table.columns:
        return _names(table, "upgrade", read)
    if len(set(servers)) == len(servers):
        return servers
    several = {name for name, number in _counts(servers).items() if number > 1}
    ids = [f"{s}:{t}" if s in several and t else s for s, t in zip(servers, types, strict=True)]
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        for name, line in zip(ids, table.lines, strict=True):
            if name in seen:
                mend = "Add a column upgrade with a name for each, or give the types."
                read.bad("duplicate", line, "upgrade", f"a second upgrade {name!r}", mend)
            seen.add(name)
    return ids


def _counts(names: list[str]) -> Mapping[str, int]:
    from collections import Counter

    return Counter(names)


def _weights(column: list[Any], lines: list[int], read: Reader) -> list[float]:
    if all(cell is None for cell in column):
        return [1.0] * len(column)
    found = (
        read.number(cell, line, "priority", above=True, most=1e9) for cell, line in zip(column, lines, strict=True)
    )
    return [1.0 if number is None else number for number in found]


def _times(column: list[Any], lines: list[int], field: str, default: int, read: Reader) -> list[int]:
    if all(cell is None for cell in column):
        return [default] * len(column)
    found = (read.time(cell, line, field) for cell, line in zip(column, lines, strict=True))
    return [default if moment is None else moment for moment in found]


def _durations(table: Table, name: str, read: Reader, *, above: bool) -> list[float | None]:
    given = [field for field in DURATION if field.startswith(name) and field in table.columns]
    if not given:
        return [None] * len(table)

    def number(value: Any, line: int, field: str) -> float | None:
        return read.number(value, line, field, above=above)

    cells = [table.columns[field] for field in given]
    return [
        read.seconds(dict(zip(given, row, strict=True)), name, line, number)
        for line, *row in zip(table.lines, *cells, strict=True)
    ]


def read_durations(table: Table, read: Reader) -> dict[str, tuple[float, float]]:
    """Mean and spread (s) of each type; the type ``*`` stands for all that are not named."""
    found: dict[str, tuple[float, float]] = {}
    names = _names(table, "type", read)
    means, spreads = _durations(table, "mean", read, above=True), _durations(table, "spread", read, above=False)
    for name, line, mean, spread in zip(names, table.lines, means, spreads, strict=True):
        if mean is None:
            read.bad("missing", line, "mean_min", "is empty", "Give the mean duration of each type.")
        else:
            found[name] = (mean, spread or 0.0)
    return found


def finish(raw: RawUpgrades, wave: list[int], after: dict[int, tuple[int, ...]], fleet: Fleet) -> Upgrades:
    """Columns of the model; durations are rounded up to whole seconds, so that no rounding shortens a reservation."""
    return Upgrades(
        ids=tuple(raw.ids),
        server=np.array(raw.server, np.int64),
        type=tuple(raw.type),
        weight=np.array(raw.weight, float),
        mean_s=np.ceil(np.array([mean or 1.0 for mean in raw.mean_s], float)).astype(np.int64),
        spread_s=np.ceil(np.array([spread or 0.0 for spread in raw.spread_s], float)).astype(np.int64),
        not_before=np.array(raw.not_before, np.int64),
        deadline=np.array(raw.deadline, np.int64),
        wave=np.array(wave, np.int64),
        after=after,
    )
