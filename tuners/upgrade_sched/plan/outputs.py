"""The files a plan is written to: JSON, CSV, iCalendar, HTML; each replaced atomically; it prints nothing."""

from __future__ import annotations

import csv as csv_module
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuners.upgrade_sched.plan import document as doc
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.ical import calendar
from tuners.upgrade_sched.plan.model import Schedule
from tuners.upgrade_sched.plan.page import page

COLUMNS = ("upgrade", "server", "type", "window", "lane", "start", "end", "reserved_until", "mean_s", "spread_s")


def csv_text(plan: Mapping[str, Any]) -> str:
    """The schedule as CSV: a line for each upgrade, those not scheduled last with their reason."""
    stream = io.StringIO()
    writer = csv_module.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, "priority", "reason"])
    for row in plan["schedule"]:
        writer.writerow([*(row[name] for name in COLUMNS), row["priority"], ""])
    for row in plan["not_scheduled"]:
        writer.writerow([*(row.get(name, "") for name in COLUMNS), "", row["reason"]])
    return stream.getvalue()


def write_outputs(
    plan: Mapping[str, Any],
    c: Compiled,
    schedule: Schedule,
    *,
    out: Path | None = None,
    csv: Path | None = None,
    ics: Path | None = None,
    report: Path | None = None,
) -> None:
    """Write what is asked for. Raises InputError where a file cannot be written."""
    if out:
        doc.write(out, plan)
    if csv:
        doc.write_file(csv, csv_text(plan))
    if ics:
        doc.write_file(ics, calendar(plan, stamp=time.time()))
    if report:
        doc.write_file(report, page(plan, c, schedule))
