"""What ``upgrade-sched check`` and ``analyze`` print; it computes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cli.text import safe


def render_check(report: Any, planned: Sequence[Any] | None, *, as_json: bool) -> str:
    """A history's ``check.Report`` and the issues of a plan's files, either None, as JSON or text."""
    issues = list(planned or ())
    if as_json:
        document: dict[str, Any] = report.to_json() if report else {"schema_version": 1, "problems": 0, "issues": []}
        document["problems"] += len(issues)
        document["issues"] += [issue.to_json() for issue in issues]
        return json.dumps(document, indent=2)
    lines = []
    if report:
        lines += [safe(str(issue)) for issue in report.found.issues.found]
        hidden = report.problems - len(lines)
        lines += [f"... and {hidden} more"] if hidden > 0 else []
        lines += [f"note: {safe(note)}" for note in report.found.notes]
        verdict = f"{report.problems} problems" if report.problems else "no problems"
        lines.append(f"{safe(report.file)}: {report.records} records are in order, {verdict}")
    if planned is not None:
        lines += [safe(str(issue)) for issue in issues]
        lines.append(f"files of the plan: {len(issues)} problems" if issues else "files of the plan: no problems")
    return "\n".join(lines)


def render_analysis(history: Any, reports: Sequence[Any], *, as_json: bool) -> str:
    """``TypeReport``s as JSON or a table."""
    if as_json:
        document = {
            "schema_version": 1,
            "source": history.source,
            "records": len(history),
            "types": [report.to_json() for report in reports],
        }
        return json.dumps(document, indent=2)
    head = (
        "type",
        "count",
        "median",
        "p95",
        "longest",
        "tail",
        "stragglers",
        "censored",
        "drift",
        "explained",
        "regime",
    )
    rows = [head]
    for r in reports:
        rows.append(
            (
                safe(r.type, 28),
                str(r.count),
                duration(r.median_s),
                duration(r.p95_s),
                duration(r.longest_s),
                "-" if r.tail_index is None else f"{r.tail_index:.1f}",
                f"{r.stragglers:.1%}",
                f"{r.censored:.0%}",
                f"{r.drift:+.2f}",
                "-" if r.explained is None else f"{r.explained:.0%}",
                f"{r.regime}: {r.advice}",
            )
        )
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first to the left and the last as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    lines = []
    for row in rows:
        cells = [
            cell if i == last else cell.ljust(widths[i]) if i == 0 else cell.rjust(widths[i])
            for i, cell in enumerate(row)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds for people: 45s, 12m, 3.5h, 2.1d."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f}{name}" if unit < 3600 else f"{seconds / unit:.1f}{name}"
    return f"{seconds / 86400:.1f}d"
