"""Plans, explanations and simulations as text; it computes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

MOST_REASONS = 20


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns of text, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in [list(head), *cells]) for n in range(len(head))]
    right = [all(isinstance(row[n], int | float) for row in rows) for n in range(len(head))] if rows else [False] * 99
    lines = []
    for row in [list(head), *cells]:
        parts = [
            cell.rjust(width) if flag else cell.ljust(width)
            for cell, width, flag in zip(row, widths, right, strict=False)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def plan_text(plan: Mapping[str, Any]) -> str:
    """The summary, a line for each window, and what is not scheduled."""
    s = plan["summary"]
    lines = [
        f"{s['scheduled']} of {s['upgrades']} upgrades scheduled, {s['not_scheduled']} left for later, "
        f"{s['impossible']} cannot run",
        _bound_line(s),
        f"the last upgrade ends in window {s['last_window']} of {s['windows']}, at {s['ends'] or '-'}",
        "",
        table(
            ["window", "start (UTC)", "slots", "upgrades", "work h", "buffer h", "slack h", "used %"],
            [
                [
                    w["window"],
                    w["start"],
                    w["slots"],
                    w["upgrades"],
                    round(w["work_s"] / 3600, 1),
                    round(w["buffer_s"] / 3600, 1),
                    round(w["slack_s"] / 3600, 1),
                    round(100 * w["utilisation"], 1),
                ]
                for w in plan["windows"]
            ],
        ),
    ]
    lines += _left(plan["not_scheduled"])
    if "constraint_costs" in plan:
        lines += ["", costs_text(plan["constraint_costs"])]
    if plan.get("run"):
        lines += ["", f"run {plan['run']}; sysmith upgrade-sched explain SERVER says why"]
    return "\n".join(lines)


def _bound_line(s: Mapping[str, Any]) -> str:
    if s["bound"] is None:
        return f"weight {s['value']:g} still to come; {s['settled']} upgrades are over or running"
    how = f"({s['bound_method']}): at most {100 * s['gap']:.2f} % is missing"
    return f"weight {s['value']:g}; no schedule exceeds {s['bound']:g} {how}"


def _left(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = ["", "not scheduled:"]
    ordered = sorted(rows, key=lambda row: row["kind"] != "impossible")
    lines += [f"  {row['upgrade']} ({row['kind']}): {row['reason']}" for row in ordered[:MOST_REASONS]]
    return lines + ([f"  and {len(rows) - MOST_REASONS} more"] if len(rows) > MOST_REASONS else [])


def costs_text(costs: Mapping[str, Any]) -> str:
    """What each constraint costs, dearest first."""
    rows = [[r["constraint"], r["value"], r["cost"], r["more_scheduled"], r["bound"]] for r in costs["rows"]]
    head = f"what each constraint costs (weight {costs['value']:g} with all of them, before polishing):"
    return head + "\n" + table(["without", "weight", "gained", "more scheduled", "bound"], rows)


def explain_text(answers: Sequence[Mapping[str, Any]]) -> str:
    """Why each upgrade is where it is."""
    parts = []
    for a in answers:
        lines = [f"{a['upgrade']} on {a['server']}: {a['verdict']}"]
        where = ", ".join(f"{name} {value}" for name, value in a["domains"].items())
        lines.append(f"  {a['type'] or 'upgrade'}, priority {a['priority']:g}{', ' + where if where else ''}")
        lines.append(
            f"  predicted {a['mean_s'] / 60:.0f} min, spread {a['spread_s'] / 60:.0f} min; "
            f"alone it needs {a['reserve_alone_s'] / 60:.0f} min"
        )
        if a["scheduled"]:
            before = f", after {', '.join(a['lane_before'][-3:])}" if a["lane_before"] else ", first in it"
            lines.append(f"  {_utc(a['start'])} to {_utc(a['end'])} in lane {a['lane'] + 1}{before}")
        lines += [f"  wave {a['wave']}"] if a["wave"] else []
        lines += [f"  comes after {', '.join(a['after'])}"] if a["after"] else []
        lines += [f"  bound by: {text}" for text in a["groups"]]
        lines += [f"  {row['window']}: {row['reason']}" for row in a["windows"]]
        lines += [f"  with one more allowed ({row['constraint']}) it goes to {row['window']}" for row in a["lifting"]]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _utc(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bench_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each size."""
    names = ["servers", "seconds", "cpu_seconds", "peak_memory_mib", "scheduled", "gap_percent", "violations"]
    return table(names, [["-" if row[name] is None else row[name] for name in names] for row in rows])


def simulation_text(answer: Mapping[str, Any]) -> str:
    """A line for each policy."""
    names = ["policy", "started", "completed", "cancelled", "utilisation", "wasted_min", "violations"]
    rows = [[row[name] for name in names] for row in answer["policies"]]
    tail = f"{answer['repeats']} repeats; durations: {answer['durations']}; {answer['impossible']} upgrades cannot run"
    return table(names, rows) + "\n" + tail


def next_text(answer: Mapping[str, Any]) -> str:
    """What to start now, and how those that run are doing."""
    lines = [f"now {answer['now']}: start {len(answer['start'])}, {len(answer['running'])} running"]
    lines += [f"  start {row['upgrade']} in {row['window']}, lane {row['lane'] + 1}" for row in answer["start"]]
    lines += [
        f"  {row['upgrade']} has run {row['elapsed_s'] / 60:.0f} min, about {row['remaining_s'] / 60:.0f} min to go, "
        f"{100 * row['overrun_probability']:.0f} % to overrun its window"
        for row in answer["running"]
    ]
    if not answer["start"] and answer["held"]:
        lines += [f"  held: {text} ({count})" for text, count in list(answer["held"].items())[:8]]
    return "\n".join(lines)


def replan_text(plan: Mapping[str, Any]) -> str:
    """What changed, then the plan."""
    changes = plan["changes"]
    counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in changes.items() if kind != "kept")
    lines = [f"{len(changes['kept'])} stay as they were; {counts}"]
    for kind in ("moved", "shifted", "added", "dropped", "gave_up"):
        lines += [f"  {kind}: {row['upgrade']} {row['text']}" for row in changes[kind][:MOST_REASONS]]
    return "\n".join(lines) + "\n\n" + plan_text(plan)
