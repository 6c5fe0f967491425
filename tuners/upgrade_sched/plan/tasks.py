"""What the commands on a plan ask for, each as one function from a plan to a JSON document; it prints nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sysmith_errors import InputError, InternalFault
from sysmith_files import write_atomic
from tuners.upgrade_sched.plan import document as doc
from tuners.upgrade_sched.plan.adapters import ADAPTERS
from tuners.upgrade_sched.plan.fields import Reader, zone_of
from tuners.upgrade_sched.plan.groups import Compiled, compile_problem
from tuners.upgrade_sched.plan.happened import Happened, read_events
from tuners.upgrade_sched.plan.issues import Issues
from tuners.upgrade_sched.plan.load import Sources, load
from tuners.upgrade_sched.plan.lp import lp_bound
from tuners.upgrade_sched.plan.model import NOWHERE, Schedule
from tuners.upgrade_sched.plan.online import Controller, Start, overrun_probability, remaining
from tuners.upgrade_sched.plan.replan import broken, replan
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.tables import read_table
from tuners.upgrade_sched.plan.verify import violations


def verify(plan: doc.Plan) -> dict[str, Any]:
    """The independent check of a plan as it is written."""
    settled = plan.settled
    found = [one for one in violations(plan.problem, plan.schedule) if one.upgrade not in settled]
    scheduled = int(plan.schedule.placed.sum())
    return {"schema_version": 1, "scheduled": scheduled, "violations": [one.to_json() for one in found]}


def sources_of(plan: doc.Plan, changed: Mapping[str, Path | None]) -> Sources:
    """The plan's input files, with those that are given anew."""
    old = {role: Path(entry["path"]) for role, entry in plan.document["inputs"].items()}
    new = {role: path for role, path in changed.items() if path is not None}
    return Sources(**(old | new), timezone=str(plan.document["timezone"]))


def read_for_change(path: Path, changed: Mapping[str, Path | None]) -> tuple[doc.Plan, Sources]:
    """A plan whose inputs may have been replaced by ``changed``; what they do not know any more is dropped."""
    if not any(changed.values()):
        plan = doc.read(path)
        return plan, sources_of(plan, {})
    document = doc.parse(path)
    try:
        risk = Risk(document["risk"]["rule"], float(document["risk"]["level"]))
        durations, places = doc.rows_of(document)
        bare = doc.Plan(path, document, None, None)  # type: ignore[arg-type]  # only its inputs are read
        sources = sources_of(bare, changed)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a whole plan ({type(error).__name__}: {error})", mend=doc.AGAIN) from None
    typical = [mean for mean, _ in durations.values()] or [1]

    def predict(rows: Any) -> tuple[list[float], list[float]]:
        known = [durations.get(str(row["id"]), (float(np.median(typical)), float(np.std(typical)))) for row in rows]
        return [float(mean) for mean, _ in known], [float(spread) for _, spread in known]

    problem = load(sources, risk, predict)
    problem, schedule = doc.attach(problem, durations, places, str(path), strict=False)
    return doc.Plan(path, document, problem, schedule), sources


def again(
    plan: doc.Plan, sources: Sources, events: Path | None, *, now: int | None, attempts: int
) -> tuple[dict[str, Any], Compiled, Schedule]:
    """Replan after ``events``; the new plan's document has ``changes`` beside what every plan has.

    Raises InternalFault where the new plan breaks a constraint, which it must not.
    """
    happened = read_events(events, plan.problem.upgrades.index) if events else Happened()
    moment = now if now is not None else happened.last or int(time.time())
    result = replan(plan.problem, plan.schedule, happened, now=moment, attempts=attempts)
    wrong = broken(result)
    if wrong:
        raise InternalFault(f"the new plan breaks a constraint: {wrong[0]}")
    c, schedule = result.compiled, result.schedule
    options = plan.document["options"]
    value = doc.document(c, schedule, lp_bound(c), sources, options, settled=result.settled)
    given_up = {c.problem.upgrades.ids[job]: words for job, words in result.gave_up.items()}
    for row in value["not_scheduled"]:
        if row["upgrade"] in given_up:
            row |= {"kind": "failed", "reason": given_up[row["upgrade"]]}
    # A bound is on what could be planned from scratch; after the fact it says nothing, so it is not shown.
    value["summary"] |= {"bound": None, "gap": None, "bound_method": "none after the fact"}
    value["changes"] = result.changes
    value["now"] = doc.iso(moment)
    value["torn_event"] = happened.torn
    return value, c, schedule


def next_starts(plan: doc.Plan, events: Path | None, *, now: int | None, attempts: int = 2) -> dict[str, Any]:
    """What to start now, and how those that run are likely to end."""
    problem, c = plan.problem, compile_problem(plan.problem)
    happened = read_events(events, problem.upgrades.index) if events else Happened()
    moment = now if now is not None else int(time.time())
    control = Controller(c, plan.schedule)
    index, names = problem.upgrades.index, {window.name: n for n, window in enumerate(problem.windows)}
    for name, (begin, end) in happened.done.items():
        control.begin(_where(c, plan.schedule, control, index[name], names, begin, happened.where.get(name)), begin)
        control.end(index[name], end, completed=True)
    for name, (begin, window, lane) in happened.started.items():
        control.begin(_where(c, plan.schedule, control, index[name], names, begin, (window, lane)), begin)
    for name, count in happened.failures.items():
        if count >= attempts and name not in happened.done and name not in happened.started:
            control.give_up(index[name])
    running = [_progress(c, start, control.since[job], moment) for job, start in sorted(control.running.items())]
    held: Counter[str] = Counter()
    starts = control.admit(moment, held)
    rows = [
        {"upgrade": problem.upgrades.ids[s.job], "window": problem.windows[s.window].name, "lane": s.lane}
        | {"server": problem.fleet.names[problem.upgrades.server[s.job]], "type": problem.upgrades.type[s.job]}
        for s in starts
    ]
    return {
        "schema_version": 1,
        "now": doc.iso(moment),
        "start": rows,
        "running": running,
        "held": dict(held.most_common(20)),
        "done": len(happened.done),
        "torn_event": happened.torn,
    }


def _where(
    c: Compiled,
    schedule: Schedule,
    control: Controller,
    job: int,
    names: Mapping[str, int],
    begin: int,
    said: tuple[str, int] | None,
) -> Start:
    """The window and slot in which an upgrade started: as reported, else as planned, else any that was open."""
    windows = c.problem.windows
    window = names.get(said[0], NOWHERE) if said else NOWHERE
    if window < 0:
        open_then = [n for n, one in enumerate(windows) if one.start <= begin < one.end]
        planned = int(schedule.window[job])
        window = planned if planned in open_then or not open_then else open_then[0]
    window = max(window, 0)
    taken = {start.lane for start in control.running.values() if start.window == window}
    lane = said[1] if said and said[1] >= 0 else int(schedule.lane[job])
    if lane < 0 or lane in taken:
        lane = next((n for n in range(windows[window].slots) if n not in taken), windows[window].slots)
    return Start(job, window, lane)


def _progress(c: Compiled, start: Start, begin: int, now: int) -> dict[str, Any]:
    upgrades, elapsed = c.problem.upgrades, float(max(0, now - begin))
    mean, spread = float(upgrades.mean_s[start.job]), float(upgrades.spread_s[start.job])
    left, wide = remaining(mean, spread, elapsed)
    room = max(0.0, c.problem.windows[start.window].end - now)
    return {
        "upgrade": upgrades.ids[start.job],
        "window": c.problem.windows[start.window].name,
        "elapsed_s": round(elapsed),
        "remaining_s": round(left),
        "remaining_spread_s": round(wide),
        "overrun_probability": round(overrun_probability(mean, spread, elapsed, room), 4),
    }


def read_actuals(path: Path, plan: doc.Plan) -> dict[str, float]:
    """Measured durations: an event file (.jsonl with events), or a table with the columns upgrade and mean_min (or
    duration_s, duration_min, duration_hours). Raises InputError for what is wrong in it."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if path.suffix in (".jsonl", ".ndjson") and '"event"' in text[:4000]:
        return read_events(path, plan.problem.upgrades.index).durations()
    issues = Issues()
    table = read_table(path, "upgrade", issues)
    read, found = Reader(str(path), issues), {}
    if table is not None and "upgrade" not in table.columns:
        read.bad("column", 1, "upgrade", "this column is missing", "Name the column with the upgrades' ids upgrade.")
    for number, line in enumerate(table.lines if table else ()):
        row = {name: column[number] for name, column in table.columns.items()} if table else {}
        name, seconds = read.text(row.get("upgrade"), line, "upgrade"), read.seconds(row, "duration", line)
        if seconds is None:
            read.bad("missing", line, "duration_min", "is empty", "Give duration_s, duration_min or duration_hours.")
        elif name not in plan.problem.upgrades.index:
            read.bad("unknown-upgrade", line, "upgrade", f"the plan has no upgrade {name!r}", "Correct its name.")
        else:
            found[name] = max(1.0, seconds)
    issues.raise_if_any()
    return found


def export(plan: doc.Plan, kind: str, folder: Path, timezone: str) -> list[Path]:
    """Write the files of an adapter into ``folder``, each atomically. Raises InputError where it cannot."""
    if kind not in ADAPTERS:
        raise InputError(f"there is no adapter {kind!r}", mend=f"Use one of {', '.join(ADAPTERS)}, csv, ics or html.")
    c = compile_problem(plan.problem)
    extra = {"zone": zone_of(timezone)} if kind == "slurm" else {}
    files = ADAPTERS[kind](c, plan.schedule, **extra)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomic(folder / name, text.encode("utf-8"))
    except OSError as error:
        text = f"{error.filename or folder} cannot be written: {error.strerror}"
        raise InputError(text, mend="Name a folder that can be written.") from None
    return [folder / name for name in files]
