"""Why an upgrade is where it is, or why it is nowhere; it changes no schedule."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.board import Board
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Schedule

PROBED = 300  # unscheduled upgrades that are each tried in every window for a plan's list of reasons
FULL = "the lanes are full"


def reasons(c: Compiled, schedule: Schedule) -> list[dict[str, Any]]:
    """Each upgrade that is not scheduled with ``kind`` (impossible, order, constraint, capacity) and ``text``.

    The first ``PROBED`` are tried in every window; of the rest only what needs no trial is told apart.
    """
    upgrades = c.problem.upgrades
    board: Board | None = None
    rows = []
    for count, job in enumerate(np.nonzero(~schedule.placed)[0].tolist()):
        if not c.possible[job]:
            kind, text = "impossible", c.why_not[job]
        elif count < PROBED:
            board = board or Board(c, schedule)
            kind, text = _probe(board, job)
        else:
            kind, text = "capacity", "what was scheduled is worth more for its time, or a constraint keeps it out"
        server = c.problem.fleet.names[upgrades.server[job]]
        rows.append({"upgrade": upgrades.ids[job], "server": server, "kind": kind, "reason": text})
    return rows


def _probe(board: Board, job: int) -> tuple[str, str]:
    tally: Counter[str] = Counter()
    place = board.first_place(job, tally)
    if place is not None:
        return "capacity", f"it would fit into {board.problem.windows[place.window].name}, and the search missed it"
    best = tally.most_common()
    if not best:
        return "capacity", "there is no window"
    real = [row for row in best if row[0] != "the window is not for this server"] or best
    text, count = real[0]
    order = text.startswith(("it comes after", "wave ", "a later wave"))
    kind = "order" if order else "capacity" if text == FULL else "constraint"
    windows = len(board.problem.windows)
    return kind, text if order or windows == 1 else f"{text} (in {count} of {windows} windows)"


def find(c: Compiled, name: str) -> list[int]:
    """The upgrades of a server, or the one called ``name``. Raises InputError where there is neither."""
    upgrades, fleet = c.problem.upgrades, c.problem.fleet
    if name in upgrades.index:
        return [upgrades.index[name]]
    if name in fleet.index:
        found: list[int] = np.nonzero(upgrades.server == fleet.index[name])[0].tolist()
        if found:
            return found
        raise InputError(f"server {name!r} has no pending upgrade", mend="Name one that has.")
    import difflib

    near = difflib.get_close_matches(name, fleet.names[:50_000], 3)
    raise InputError(
        f"there is no server or upgrade {name!r}",
        mend=f"Did you mean {' or '.join(near)}?" if near else "Check its name.",
    )


def explain(c: Compiled, schedule: Schedule, job: int) -> dict[str, Any]:
    """Everything about one upgrade: its duration and reserve, its place, what kept it from each earlier (or any)
    window, and which single constraint, if lifted, would give it an earlier place."""
    upgrades, fleet = c.problem.upgrades, c.problem.fleet
    server = int(upgrades.server[job])
    alone = c.problem.risk.reserve(float(upgrades.mean_s[job]), float(upgrades.spread_s[job]) ** 2)
    waves = c.problem.constraints.waves
    answer: dict[str, Any] = {
        "upgrade": upgrades.ids[job],
        "server": fleet.names[server],
        "type": upgrades.type[job],
        "domains": {
            name: labels.values[k] for name, labels in fleet.domains.items() if (k := labels.codes[server]) >= 0
        },
        "priority": float(upgrades.weight[job]),
        "mean_s": int(upgrades.mean_s[job]),
        "spread_s": int(upgrades.spread_s[job]),
        "reserve_alone_s": round(alone),
        "wave": waves[upgrades.wave[job]].name if upgrades.wave[job] >= 0 else None,
        "after": [upgrades.ids[n] for n in upgrades.after.get(job, ())],
        "groups": [c.groups[g].reason for g in c.members[job]],
        "scheduled": bool(schedule.placed[job]),
    }
    if not c.possible[job]:
        return answer | {"verdict": f"not scheduled: {c.why_not[job]}", "windows": [], "lifting": []}
    board = Board(c, schedule)
    own = int(schedule.window[job])
    if own >= 0:
        board.lift(job)
        answer |= _place(c, schedule, job)
    until = own if own >= 0 else len(c.problem.windows)
    rows = []
    for which in range(until):
        tally: Counter[str] = Counter()
        place = board.first_place(job, tally, windows=[which])
        text = "it would fit" if place is not None else next(iter(tally), FULL)
        rows.append({"window": c.problem.windows[which].name, "reason": text})
    answer["windows"] = rows
    answer["lifting"] = _lifting(c, schedule, job, rows)
    answer["verdict"] = _verdict(c, own, rows)
    return answer


def _place(c: Compiled, schedule: Schedule, job: int) -> dict[str, Any]:
    window = c.problem.windows[schedule.window[job]]
    lane = (schedule.window == schedule.window[job]) & (schedule.lane == schedule.lane[job])
    before = np.nonzero(lane & (schedule.start < schedule.start[job]))[0]
    return {
        "window": window.name,
        "lane": int(schedule.lane[job]),
        "start": int(schedule.start[job]),
        "end": int(schedule.start[job] + c.problem.upgrades.mean_s[job]),
        "lane_before": [c.problem.upgrades.ids[n] for n in before[np.argsort(schedule.start[before])]],
    }


def _verdict(c: Compiled, own: int, rows: list[dict[str, str]]) -> str:
    if own >= 0:
        name = c.problem.windows[own].name
        if not rows:
            return f"scheduled in {name}, the first window"
        kept = Counter(row["reason"] for row in rows if row["reason"] != "it would fit")
        if not kept:
            return f"scheduled in {name}; an earlier window would do too, and the order of preference put others first"
        text, count = kept.most_common(1)[0]
        return f"scheduled in {name}; what kept it from {count} of {len(rows)} earlier windows: {text}"
    kept = Counter(row["reason"] for row in rows)
    if not kept:
        return "not scheduled: there is no window"
    text, count = kept.most_common(1)[0]
    return f"not scheduled; what kept it from {count} of {len(rows)} windows: {text}"


def _lifting(c: Compiled, schedule: Schedule, job: int, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """For each group that stood in the way: where the upgrade would go if that group had room for one more."""
    found = []
    for group in c.members[job]:
        reason = c.groups[group].reason
        if not any(row["reason"] == reason for row in rows):
            continue
        groups = list(c.groups)
        groups[group] = replace(groups[group], cap=groups[group].cap + 1)
        board = Board(replace(c, groups=tuple(groups)), schedule)
        if schedule.placed[job]:
            board.lift(job)
        place = board.first_place(job)
        if place is not None and (not schedule.placed[job] or place.start < schedule.start[job]):
            found.append({"constraint": reason, "window": c.problem.windows[place.window].name})
    return found
