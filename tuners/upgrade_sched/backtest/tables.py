"""Reports and replays as CSV and JSON lines, and claims as a Markdown table; it computes no figure."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuners.upgrade_sched.backtest.score import FIGURES

_FIGURES = (*FIGURES, "idle_minutes", "completed_share")
EVENT_COLUMNS = (
    *("policy", "split", "window", "slot", "record", "entity", "type", "start", "end", "held_s", "needs_s"),
    "outcome",
)
_COUNTS = ("windows", "offered", "longer_than_window")
_EFFICIENT = ("efficient_idle_wasted", "efficient_completed_cancelled")


def csv_rows(report: Mapping[str, Any]) -> str:
    """One row a policy and load, then one for each point of the sweep; figures with ``_low`` and ``_high`` beside them.
    What does not apply to a row is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [name + end for name in _FIGURES for end in ("", "_low", "_high")]
    writer.writerow(["history", "part", "load", "policy", "cost_ratio", *_COUNTS, *columns, *_EFFICIENT])
    source = history_name(report)
    sweep = report.get("sweep") or {"points": []}
    for part, rows in (("backtest", report["rows"]), ("sweep", sweep["points"])):
        for row in rows:
            cells = [row[name][key] for name in _FIGURES for key in ("value", "low", "high")]
            ratio = row.get("cost_ratio")
            head = [source, part, row["load"], row["policy"], "" if ratio is None else ratio]
            counts = [row.get(name, "") for name in _COUNTS]
            flags = ["" if row.get(name) is None else str(row[name]).lower() for name in _EFFICIENT]
            writer.writerow([*head, *counts, *(f"{cell:.6g}" for cell in cells), *flags])
    return stream.getvalue()


def claims_rows(reports: Sequence[Mapping[str, Any]], *, beyond: bool = False) -> list[dict[str, Any]]:
    """Every claim cell of ``reports`` in order, with its history; with ``beyond`` also what is no one's claim."""
    return [
        {"history": history_name(report)} | dict(claim) | {"claim": claim_set == "claims"}
        for report in reports
        for claim_set in ("claims", "beyond_claims")[: 2 if beyond else 1]
        for claim in report.get(claim_set, [])
    ]


def claims_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """One Markdown table of the rows of ``claims_rows``, then how many are met."""
    head = ("history", "load", "against", "figure", "goal", "ratio (95 % interval)", "oracle", "met", "why not")
    lines = ["| " + " | ".join(head) + " |", "|---|--:|---|---|--:|--:|--:|---|---|"]
    for row in rows:
        ratio, oracle = row["ratio"], row.get("oracle_ratio")
        sign = "<=" if row["figure"] == "cancelled_share" else ">="
        cells = (
            row["history"],
            f"{row['load']:g}",
            row["against"],
            row["figure"].replace("_", " "),
            f"{sign} {row['goal']:.2f}",
            f"{ratio['value']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})",
            "" if oracle is None else f"{oracle:.2f}",
            "yes" if row["met"] else "no",
            row["why_not"],
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    claims = [row for row in rows if row["claim"]]
    lines += ["", f"{sum(row['met'] for row in claims)} of {len(claims)} claims met."]
    return "\n".join(lines)


def events_csv(events: Sequence[Mapping[str, Any]]) -> str:
    """A replay's admissions as CSV; times in UTC, ``held_s`` and ``needs_s`` in seconds."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, EVENT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_timed(event) for event in events)
    return stream.getvalue()


def events_lines(events: Sequence[Mapping[str, Any]]) -> str:
    """A replay's admissions as JSON lines, fields as the columns of ``events_csv``."""
    return "".join(json.dumps(_timed(event)) + "\n" for event in events)


def _timed(event: Mapping[str, Any]) -> dict[str, Any]:
    return dict(event) | {name: utc(event[name]) for name in ("start", "end")}


def utc(moment: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def history_name(report: Mapping[str, Any]) -> str:
    """The file name of the history, without its folder."""
    return Path(report["history"]["source"]).name or "history"


def _cell(text: str) -> str:
    """``text`` as one cell: a bar or a line break would end it."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
