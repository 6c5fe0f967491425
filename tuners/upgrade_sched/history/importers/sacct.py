"""Slurm accounting: what ``sacct --parsable2`` (or ``-p``) prints; job steps are left out, the job itself counts.

Needed are User, Start (or Eligible) and Elapsed (or ElapsedRaw, or End); used where there: JobID, JobName, Partition,
Account, Submit, State, Timelimit, NNodes, NCPUS, ReqCPUS, ReqMem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from sysmith_errors import InputError
from tuners.upgrade_sched.history.build import Builder
from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.values import Values
from tuners.upgrade_sched.types import History

# Slurm's job states (sacct manual, JOB STATE CODES) in our words; the censored ones were cut off.
_STATES = {
    "COMPLETED": ("completed", False),
    "FAILED": ("failed", False),
    "OUT_OF_MEMORY": ("failed", False),
    "BOOT_FAIL": ("failed", False),
    "NODE_FAIL": ("failed", True),
    "PREEMPTED": ("cancelled", True),
    "CANCELLED": ("cancelled", True),
    "TIMEOUT": ("timeout", True),
    "DEADLINE": ("timeout", True),
}
_UNFINISHED = ("PENDING", "RUNNING", "SUSPENDED", "REQUEUED", "RESIZING")
_UNKNOWN = ("", "Unknown", "None", "N/A")


def read_sacct(path: Path, found: Found) -> History:
    """Read the output. Raises InputError where its header lacks what is needed; bad lines are issues in ``found``."""
    file, header, skipped = str(path), list[str](), 0
    values = Values(file, found)
    builder = Builder(values)
    for number, line, whole in read_lines(path, found):
        if not line.strip():
            continue
        cells = line.split("|")
        if not header:
            header = cells if cells[-1] else cells[:-1]  # -p ends each line with a bar
            _check(header, file)
            continue
        if len(cells) == len(header) + 1 and not cells[-1]:
            cells = cells[:-1]
        if len(cells) != len(header):
            if not whole and len(cells) < len(header):
                found.notes.append(f"{file}: the last line ({number}) is cut off and was left out")
            else:
                message = f"it has {len(cells)} fields, and the header has {len(header)}"
                values.bad("columns", number, "", message, "Print with --parsable2, or choose another --delimiter.")
            continue
        job = dict(zip(header, cells, strict=True))
        state = job.get("State", "COMPLETED").split(" ")[0].rstrip("+")
        if "." in job.get("JobID", "") or state in _UNFINISHED or job.get("Start") in _UNKNOWN:
            skipped += 1  # a step of a job, or one that has not ended or never began
            continue
        if state not in _STATES:
            values.bad("outcome-unknown", number, "State", f"{state!r} is no state of a job", "See the sacct manual.")
            continue
        _take(job, number, builder, *_STATES[state])
    if not header:
        raise InputError(f"{file} is empty", mend="Print accounting with sacct --parsable2 --format=...")
    if skipped:
        found.notes.append(f"{file}: {skipped} lines are job steps, or jobs that have not run to an end; left out")
    return builder.history(file)


def _check(header: list[str], file: str) -> None:
    for wanted in (("User",), ("Start",), ("Elapsed", "ElapsedRaw", "End")):
        if not set(wanted) & set(header):
            raise InputError(
                f"{file}, line 1: there is no field {' or '.join(wanted)}",
                mend="Print with sacct --parsable2 --format=JobID,User,JobName,Partition,Submit,Start,Elapsed,State.",
            )


def _take(job: Mapping[str, str], number: int, builder: Builder, outcome: str, censored: bool) -> None:
    values = builder.values
    before = values.found.issues.count
    lasts = None
    if job.get("Elapsed", job.get("ElapsedRaw", "")):
        name = "Elapsed" if job.get("Elapsed") else "ElapsedRaw"
        lasts = values.duration(job[name], number, name)
    end = job.get("End", "")
    submit = job.get("Submit", "")
    limit = job.get("Timelimit", "")
    numbers = {name: _number(job[name]) for name in ("NNodes", "NCPUS", "ReqCPUS") if name in job}
    if limit not in (*_UNKNOWN, "UNLIMITED", "Partition_Limit"):
        numbers["Timelimit"] = values.duration(limit, number, "Timelimit") or math.nan
    start = values.time(job["Start"], number, "Start")
    if values.found.issues.count > before:
        return
    builder.add(
        number,
        entity=job["User"].strip(),
        type=job.get("Partition", "").strip(),
        start=start,
        duration=lasts,
        end=values.time(end, number, "End") if lasts is None and end not in _UNKNOWN else None,
        censored=censored,
        outcome=outcome,
        submit=values.time(submit, number, "Submit") if submit not in _UNKNOWN else None,
        numbers=numbers,
        texts={name: job[name].strip() for name in ("JobName", "Account") if name in job},
        fields=("User", "Elapsed", "End", "Submit"),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
