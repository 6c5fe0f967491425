"""The constraints file (TOML): limits, floors, waves, blackouts, deadlines, priorities, dependencies; it plans nothing.

timezone = "Europe/Berlin"                  # for times without an offset, in all files
[system]      max_running = 200
[[limit]]     domain = "rack"     max_down = 1 | max_down_share = 0.1    values = [...]
[[floor]]     domain = "service"  min_up = 8   | min_up_share = 0.9      values = [...]
[[wave]]      name = "canary"     servers = [...] | where = {...} | count = 5 | share = 0.01     soak_hours = 24
[order]       rest = "after" | "free"       # upgrades in no wave: after the last wave, or at any time
[[blackout]]  name = "..."  start = ...  end = ...  where = {...}
[[deadline]]  by = ...            where = {...}  types = [...]
[[priority]]  weight = 5          where = {...}  types = [...]
[[dependency]] upgrade = "id" after = ["id"] | type = "firmware" after_type = "bios"    # on the same server
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.fields import Reader
from tuners.upgrade_sched.plan.load_fleet import RawUpgrades
from tuners.upgrade_sched.plan.model import Blackout, Bools, Constraints, Fleet, Floor, Limit, Wave, servers_where
from tuners.upgrade_sched.plan.tables import line_of, named_on

SCOPE = {"where", "types"}
TABLES: dict[str, set[str]] = {
    "limit": {"domain", "values", "max_down", "max_down_share"},
    "floor": {"domain", "values", "min_up", "min_up_share"},
    "wave": {"name", "servers", "where", "count", "share", "soak_s", "soak_min", "soak_hours"},
    "blackout": {"name", "start", "end", "where"},
    "deadline": {"by", *SCOPE},
    "priority": {"weight", *SCOPE},
    "dependency": {"upgrade", "after", "type", "after_type"},
}
SINGLE: dict[str, set[str]] = {"system": {"max_running"}, "order": {"rest"}}


@dataclass
class RawConstraints:
    """Constraints as read, and the selectors that are resolved once the upgrades are known."""

    constraints: Constraints = field(default_factory=Constraints)
    waves: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    deadlines: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    priorities: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    dependencies: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


def read_constraints(path: Path, data: dict[str, Any], text: str, fleet: Fleet, read: Reader) -> RawConstraints:
    """Read what stands in ``data``, the parsed TOML ``text`` of ``path``."""
    rows: dict[str, list[tuple[int, dict[str, Any]]]] = {name: [] for name in TABLES}
    for name, value in data.items():
        if name in TABLES:
            rows[name] = _rows(name, value, text, read)
        elif name in SINGLE:
            if not isinstance(value, dict):
                read.bad("table", named_on(text, name), name, "is not a table", f"Write [{name}].")
            else:
                _unknown(name, value, SINGLE[name], named_on(text, name), read)
        elif name != "timezone":
            mend = f"Known: timezone, {', '.join([*SINGLE, *TABLES])}."
            read.bad("unknown-table", named_on(text, name), name, "is not a kind of constraint", mend)
    single = {name: data[name] if isinstance(data.get(name), dict) else {} for name in SINGLE}
    rest = single["order"].get("rest", "after")
    if rest not in ("after", "free"):
        line = named_on(text, "order")
        read.bad("rest", line, "order.rest", f"{rest!r} is neither after nor free", 'Write "after" or "free".')
    limits = [limit for line, row in rows["limit"] if (limit := _limit(row, line, fleet, read))]
    floors = [floor for line, row in rows["floor"] if (floor := _floor(row, line, fleet, read))]
    blackouts = [one for line, row in rows["blackout"] if (one := _blackout(row, line, fleet, read))]
    constraints = Constraints(
        max_running=read.count(
            single["system"].get("max_running"), named_on(text, "system"), "system.max_running", least=1
        ),
        limits=tuple(limits),
        floors=tuple(floors),
        waves=tuple(_wave(row, line, number, read) for number, (line, row) in enumerate(rows["wave"])),
        blackouts=tuple(blackouts),
        rest_is_free=rest == "free",
    )
    names = [wave.name for wave in constraints.waves]
    for number, name in enumerate(names):
        if name in names[:number]:
            read.bad("duplicate", rows["wave"][number][0], "wave.name", f"{name!r} is used twice", "Rename one.")
    return RawConstraints(constraints, rows["wave"], rows["deadline"], rows["priority"], rows["dependency"])


def _rows(name: str, value: Any, text: str, read: Reader) -> list[tuple[int, dict[str, Any]]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        read.bad("table", named_on(text, name), name, "is not an array of tables", f"Write [[{name}]].")
        return []
    found = []
    for number, row in enumerate(value):
        line = line_of(text, name, number)
        _unknown(name, row, TABLES[name], line, read)
        found.append((line, row))
    return found


def _unknown(name: str, row: dict[str, Any], known: set[str], line: int, read: Reader) -> None:
    for field_name in row:
        if field_name not in known:
            mend = f"Known: {', '.join(sorted(known))}."
            read.bad("unknown-field", line, f"{name}.{field_name}", "is not known", mend)


def _domain(row: dict[str, Any], kind: str, line: int, fleet: Fleet, read: Reader) -> tuple[str, tuple[str, ...]]:
    name = read.text(row.get("domain"), line, f"{kind}.domain")
    known = ", ".join(fleet.domains) or "none"
    if not name:
        read.bad("missing", line, f"{kind}.domain", "is missing", f"Name one of the fleet's domains ({known}).")
    elif name not in fleet.domains:
        read.bad("unknown-domain", line, f"{kind}.domain", f"the fleet has no column {name!r}", f"Domains: {known}.")
        name = ""
    values = read.texts(row.get("values"), line, f"{kind}.values")
    for value in values if name else ():
        if value not in fleet.domains[name].values:
            read.bad("unknown-value", line, f"{kind}.values", f"no server has {name} {value!r}", "Correct it.")
    return name, values


def _count_or_share(
    row: dict[str, Any], kind: str, field: str, line: int, read: Reader
) -> tuple[int | None, float | None]:
    """``field`` as a number of servers or ``field``_share as a share of them, the other None; both None where the row
    does not give exactly one."""
    count = read.count(row.get(field), line, f"{kind}.{field}")
    share = read.number(row.get(f"{field}_share"), line, f"{kind}.{field}_share", above=True, most=1.0)
    if (count is None) == (share is None):
        message = f"is given beside {field}_share" if count is not None else "is missing"
        read.bad(kind, line, f"{kind}.{field}", message, f"Give {field} or {field}_share.")
        return None, None
    return count, share


def _limit(row: dict[str, Any], line: int, fleet: Fleet, read: Reader) -> Limit | None:
    domain, values = _domain(row, "limit", line, fleet, read)
    most, share = _count_or_share(row, "limit", "max_down", line, read)
    if most is None and share is None:
        return None
    return Limit(domain, most, share, values) if domain else None


def _floor(row: dict[str, Any], line: int, fleet: Fleet, read: Reader) -> Floor | None:
    domain, values = _domain(row, "floor", line, fleet, read)
    least, share = _count_or_share(row, "floor", "min_up", line, read)
    if least is None and share is None:
        return None
    if domain and least is not None:
        labels = fleet.domains[domain]
        sizes = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.values))
        for value, size in zip(labels.values, sizes, strict=True):
            if (not values or value in values) and size < least:
                message = f"{domain} {value!r} has {size} servers, so {least} can never be up"
                read.bad("floor-size", line, "floor.min_up", message, "Lower it, or name the values it is for.")
    return Floor(domain, least, share, values) if domain else None


def _blackout(row: dict[str, Any], line: int, fleet: Fleet, read: Reader) -> Blackout | None:
    start = read.time(row.get("start"), line, "blackout.start")
    end = read.time(row.get("end"), line, "blackout.end")
    where = selector(row.get("where"), "blackout", line, fleet, read)
    for name, moment in (("start", start), ("end", end)):
        if moment is None and row.get(name) in (None, ""):
            read.bad("missing", line, f"blackout.{name}", "is missing", "Give start and end.")
    if start is None or end is None:
        return None
    if end <= start:
        message = f"{str(row['end'])!r:.60} is not after start {str(row['start'])!r:.60}"
        read.bad("blackout-order", line, "blackout.end", message, "Swap them, or correct the date.")
    return Blackout(read.text(row.get("name"), line, "blackout.name") or f"line {line}", start, end, where)


def _wave(row: dict[str, Any], line: int, number: int, read: Reader) -> Wave:
    given = [name for name in ("servers", "where", "count", "share") if name in row]
    if len(given) > 1:
        message = f"is given beside {given[0]}"
        read.bad("wave", line, f"wave.{given[1]}", message, "Select a wave in one way; split it in two if need be.")
    soak = read.seconds(row, "soak", line)
    return Wave(read.text(row.get("name"), line, "wave.name") or f"wave-{number + 1}", round(soak or 0))


def selector(where: Any, kind: str, line: int, fleet: Fleet, read: Reader) -> dict[str, tuple[str, ...]]:
    """A ``where`` table: domain -> values."""
    if where in (None, ""):
        return {}
    if not isinstance(where, dict):
        read.bad("where", line, f"{kind}.where", f"{where!r:.60} is not a table", 'Write where = { zone = "a" }.')
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for domain, cell in where.items():
        if domain not in fleet.domains:
            mend = f"Domains: {', '.join(fleet.domains) or 'none'}."
            read.bad("unknown-domain", line, f"{kind}.where", f"the fleet has no column {domain!r}", mend)
            continue
        found[domain] = read.texts(cell, line, f"{kind}.where.{domain}")
        for value in found[domain]:
            if value not in fleet.domains[domain].values:
                read.bad("unknown-value", line, f"{kind}.where", f"no server has {domain} {value!r}", "Correct it.")
    return found


def scope(row: dict[str, Any], kind: str, line: int, fleet: Fleet, raw: RawUpgrades, read: Reader) -> Bools:
    """Which upgrades a ``where`` and ``types`` select."""
    chosen = servers_where(fleet, selector(row.get("where"), kind, line, fleet, read))[np.array(raw.server, np.int64)]
    types = read.texts(row.get("types"), line, f"{kind}.types")
    for name in types:
        if name not in raw.type:
            read.bad("unknown-type", line, f"{kind}.types", f"no upgrade is of type {name!r}", "Correct it.")
    if types:
        chosen = chosen & np.isin(np.array(raw.type), types)
    return chosen


def pick_hashed(ids: list[str], free: list[int], count: int) -> list[int]:
    """``count`` of the upgrades ``free``, chosen by the hash of their ids: repeatable, and spread over the fleet."""
    ranked = sorted(free, key=lambda number: hashlib.sha256(ids[number].encode("utf-8", "replace")).digest())
    return ranked[:count]
