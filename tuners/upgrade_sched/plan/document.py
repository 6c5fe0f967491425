"""A plan as one JSON document: written whole, read back with its inputs checked; it solves nothing.

The document names its input files with their hashes and keeps the durations it was made with, so that ``explain``,
``replan``, ``simulate`` and ``export`` need neither the history nor the model that predicted them.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sysmith_errors import InputError
from sysmith_files import write_atomic
from tuners.upgrade_sched.plan.bound import Bound
from tuners.upgrade_sched.plan.explain import reasons
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.load import Sources, load, with_durations
from tuners.upgrade_sched.plan.model import NOWHERE, FleetProblem, Schedule
from tuners.upgrade_sched.plan.reading import reading
from tuners.upgrade_sched.plan.risk import Risk

SCHEMA_VERSION = 1
KIND = "upgrade-sched plan"
AGAIN = "Make it anew with sysmith upgrade-sched plan --out."


@dataclass(frozen=True)
class Plan:
    """A plan read back: its document, its problem and its schedule."""

    path: Path
    document: Mapping[str, Any]
    problem: FleetProblem
    schedule: Schedule

    @property
    def settled(self) -> frozenset[str]:
        """The upgrades that were over or running when the plan was made."""
        return frozenset(str(row["upgrade"]) for row in self.document.get("settled", ()))


def iso(moment: int | float) -> str:
    """UTC time as ISO 8601."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat().replace("+00:00", "Z")


def summary(c: Compiled, schedule: Schedule, bound: Bound) -> dict[str, Any]:
    """The plan in numbers. ``gap`` is 1 - value / bound, ``gap_reading`` how to read it; times are Unix seconds."""
    upgrades, placed = c.problem.upgrades, schedule.placed
    used = schedule.window[placed]
    return {
        "upgrades": len(upgrades),
        "scheduled": int(placed.sum()),
        "not_scheduled": int((~placed & c.possible).sum()),
        "impossible": int((~c.possible).sum()),
        "value": round(float(upgrades.weight[placed].sum()), 6),
        "bound": round(bound.value, 6),
        "bound_method": bound.method,
        "gap": round(bound.gap(schedule, upgrades.weight), 6),
        "gap_reading": reading(c, schedule, bound),
        "windows": len(c.problem.windows),
        "windows_used": len(np.unique(used)),
        "last_window": int(used.max()) + 1 if len(used) else 0,
        "least_windows": bound.windows,
        "demand_s": round(bound.demand_s),
        "capacity_s": round(bound.capacity_s),
        "ends": iso(int((schedule.start + upgrades.mean_s)[placed].max())) if len(used) else None,
    }


def window_rows(problem: FleetProblem, schedule: Schedule) -> list[dict[str, Any]]:
    """For each window: upgrades, lanes used, work, reserve and slack in seconds."""
    upgrades, rows = problem.upgrades, []
    order = np.argsort(schedule.window, kind="stable")
    edges = np.searchsorted(schedule.window[order], np.arange(len(problem.windows) + 1))
    variance = upgrades.spread_s.astype(float) ** 2
    for number, window in enumerate(problem.windows):
        jobs = order[edges[number] : edges[number + 1]]
        lanes, place = np.unique(schedule.lane[jobs], return_inverse=True)
        mean = np.bincount(place, upgrades.mean_s[jobs], len(lanes))
        reserve = problem.risk.reserves(mean, np.bincount(place, variance[jobs], len(lanes))) if len(lanes) else mean
        last = np.zeros(len(lanes))
        np.maximum.at(last, place, schedule.start[jobs] + upgrades.mean_s[jobs] - window.start)
        idle = last - mean
        total = window.slots * window.length
        rows.append(
            {
                "window": window.name,
                "start": iso(window.start),
                "end": iso(window.end),
                "slots": window.slots,
                "upgrades": len(jobs),
                "lanes_used": len(lanes),
                "work_s": int(mean.sum()),
                "buffer_s": round(float((reserve - mean).sum())),
                "waiting_s": round(float(idle.sum())),
                "slack_s": round(total - float((reserve + idle).sum())),
                "utilisation": round(float(mean.sum()) / total, 4),
            }
        )
    return rows


def schedule_rows(problem: FleetProblem, schedule: Schedule) -> list[dict[str, Any]]:
    """The scheduled upgrades by window, lane and time; ``reserved_until`` is the end with the lane's buffer so far."""
    upgrades, names = problem.upgrades, problem.fleet.names
    jobs = np.nonzero(schedule.placed)[0]
    jobs = jobs[np.lexsort((schedule.start[jobs], schedule.lane[jobs], schedule.window[jobs]))]
    rows = []
    at, mean, variance = (-1, -1), 0, 0.0
    for job in jobs.tolist():
        window, lane, start = int(schedule.window[job]), int(schedule.lane[job]), int(schedule.start[job])
        if (window, lane) != at:
            at, mean, variance = (window, lane), 0, 0.0
        idle = start - problem.windows[window].start - mean
        mean += int(upgrades.mean_s[job])
        variance += float(upgrades.spread_s[job]) ** 2
        reserved = problem.windows[window].start + idle + problem.risk.reserve(mean, variance)
        rows.append(
            {
                "upgrade": upgrades.ids[job],
                "server": names[upgrades.server[job]],
                "type": upgrades.type[job],
                "window": problem.windows[window].name,
                "lane": lane,
                "start": iso(start),
                "end": iso(start + int(upgrades.mean_s[job])),
                "reserved_until": iso(int(reserved)),
                "mean_s": int(upgrades.mean_s[job]),
                "spread_s": int(upgrades.spread_s[job]),
                "priority": float(upgrades.weight[job]),
            }
        )
    return rows


def document(
    c: Compiled,
    schedule: Schedule,
    bound: Bound,
    sources: Sources,
    options: Mapping[str, Any],
    *,
    run: str = "",
    settled: frozenset[int] = frozenset(),
) -> dict[str, Any]:
    """The whole plan in plain JSON values. ``settled`` upgrades are over or running: they are named apart."""
    upgrades = c.problem.upgrades
    left = [row for row in reasons(c, schedule) if upgrades.index[row["upgrade"]] not in settled]
    for row in left:
        job = upgrades.index[row["upgrade"]]
        row |= {"mean_s": int(upgrades.mean_s[job]), "spread_s": int(upgrades.spread_s[job])}
    future = schedule.copy()
    future.window[sorted(settled)] = NOWHERE
    digests = sources.digests()
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "run": run,
        "inputs": {role: {"path": str(path), "sha256": digests[role]} for role, path in sources.paths().items()},
        "timezone": sources.timezone,
        "risk": {"rule": c.problem.risk.rule, "level": c.problem.risk.level},
        "options": dict(options),
        "how": dict(schedule.facts),
        "summary": summary(c, future, bound) | _counts(left, len(settled)),
        "windows": window_rows(c.problem, future),
        "schedule": schedule_rows(c.problem, future),
        "not_scheduled": left,
        "settled": [_settled_row(c.problem, schedule, job) for job in sorted(settled)],
    }


def _counts(left: list[dict[str, Any]], settled: int) -> dict[str, int]:
    impossible = sum(row["kind"] == "impossible" for row in left)
    return {"not_scheduled": len(left) - impossible, "impossible": impossible, "settled": settled}


def _settled_row(problem: FleetProblem, schedule: Schedule, job: int) -> dict[str, Any]:
    upgrades, window = problem.upgrades, int(schedule.window[job])
    row: dict[str, Any] = {"upgrade": upgrades.ids[job], "server": problem.fleet.names[upgrades.server[job]]}
    row |= {"window": problem.windows[window].name if window >= 0 else None, "lane": int(schedule.lane[job])}
    row |= {"start": iso(int(schedule.start[job])) if window >= 0 else None}
    return row | {"mean_s": int(upgrades.mean_s[job]), "spread_s": int(upgrades.spread_s[job])}


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Write the document; a reader meets the old file or the new one whole. Raises InputError where it cannot."""
    write_file(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_file(path: Path, text: str) -> None:
    """Write a text file atomically. Raises InputError where the disk refuses."""
    try:
        write_atomic(path, text.encode("utf-8"))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        mend = "Free some space and run it again." if full else "Name a file in a folder that exists."
        raise InputError(f"{path} cannot be written: {error.strerror}", mend=mend) from None


def read(path: Path) -> Plan:
    """Read a plan and its inputs. Raises InputError where the file is no whole plan, an input has changed since, or the
    two do not belong together."""
    value = parse(path)
    try:
        inputs = {role: Path(entry["path"]) for role, entry in value["inputs"].items()}
        hashes = {role: str(entry["sha256"]) for role, entry in value["inputs"].items()}
        sources = Sources(**inputs, timezone=str(value["timezone"]))
        risk = Risk(value["risk"]["rule"], float(value["risk"]["level"]))
        durations, places = rows_of(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"{path} is not a whole plan ({type(error).__name__}: {error})"
        raise InputError(text, mend=AGAIN) from None
    for role, file in inputs.items():
        if not file.exists():
            raise InputError(
                f"{path} was made from {file} ({role}), which is gone", mend="Run it from where it was made."
            )
    now = sources.digests()
    for role, digest in hashes.items():
        if now[role] != digest:
            text = f"{inputs[role]} ({role}) has changed since {path} was made"
            raise InputError(text, mend="Plan again, or give replan the new files.")
    problem = load(sources, risk, lambda rows: ([1.0] * len(rows), [0.0] * len(rows)))
    return Plan(path, value, *attach(problem, durations, places, str(path)))


def rows_of(value: Mapping[str, Any]) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[str, int, int]]]:
    """A plan's durations (mean, spread in s) and places (window, lane, start) by upgrade. Raises KeyError, TypeError or
    ValueError for a damaged document."""
    rows = (*value["schedule"], *value["not_scheduled"], *value.get("settled", ()))
    durations = {str(row["upgrade"]): (int(row["mean_s"]), int(row["spread_s"])) for row in rows}
    placed = (*value["schedule"], *(row for row in value.get("settled", ()) if row["window"] is not None))
    places = {str(row["upgrade"]): (str(row["window"]), int(row["lane"]), _unix(row["start"])) for row in placed}
    return durations, places


def attach(
    problem: FleetProblem,
    durations: Mapping[str, tuple[int, int]],
    places: Mapping[str, tuple[str, int, int]],
    name: str,
    *,
    strict: bool = True,
) -> tuple[FleetProblem, Schedule]:
    """The problem with the plan's durations and its schedule. Unless ``strict``, what the plan does not know keeps its
    own duration and no place, and places in windows that are gone are dropped."""
    upgrades = problem.upgrades
    missing = [one for one in upgrades.ids if one not in durations]
    if missing and strict:
        raise InputError(f"{name} does not name upgrade {missing[0]!r}", mend=AGAIN)
    means = [durations.get(n, (int(m), 0))[0] for n, m in zip(upgrades.ids, upgrades.mean_s, strict=True)]
    spreads = [durations.get(n, (0, int(s)))[1] for n, s in zip(upgrades.ids, upgrades.spread_s, strict=True)]
    problem = with_durations(problem, means, spreads)
    schedule = Schedule.empty(len(upgrades))
    windows = {window.name: number for number, window in enumerate(problem.windows)}
    for upgrade, (window, lane, start) in places.items():
        job = upgrades.index.get(upgrade)
        if job is None or window not in windows:
            if strict:
                what = f"upgrade {upgrade!r}" if job is None else f"window {window!r}"
                raise InputError(f"{name} names {what}, which the inputs do not have", mend=AGAIN)
            continue
        schedule.window[job], schedule.lane[job], schedule.start[job] = windows[window], lane, start
    return problem, schedule


def parse(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"plan {path} cannot be read: {error.strerror}", mend=AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"plan {path} is not whole JSON ({error})", mend=AGAIN) from None
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise InputError(f"{path} is not a plan of upgrade-sched", mend="Name a file that plan --out or --json wrote.")
    if value.get("schema_version") != SCHEMA_VERSION:
        text = f"{path} has schema version {value.get('schema_version')!r}, not {SCHEMA_VERSION}"
        raise InputError(text, mend=AGAIN)
    return value


def _unix(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp())
