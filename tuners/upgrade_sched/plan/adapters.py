"""A plan for other tools: Ansible inventories in batches, Kubernetes node lists, Slurm reservations; it runs nothing.

A batch is a set of upgrades that may run at once whatever they take: it keeps every limit, floor and the window's
slots, and holds nothing that comes after another of its own. A tool that finishes one batch before the next keeps all.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import shlex
from collections.abc import Callable, Iterator

import numpy as np

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.document import iso, schedule_rows
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Schedule

_NODE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SLURM = re.compile(r"[A-Za-z0-9_.-]+")


def batches(c: Compiled, schedule: Schedule, window: int) -> list[list[int]]:
    """A window's upgrades in batches, in order of their planned starts."""
    waiting = np.nonzero(schedule.window == window)[0]
    waiting = waiting[np.argsort(schedule.start[waiting], kind="stable")]
    left = waiting.tolist()
    inside, step = set(left), c.problem.step
    found: list[list[int]] = []
    done: set[int] = set()
    while left:
        counts: dict[int, int] = {}
        batch: list[int] = []
        rest: list[int] = []
        first = min((int(step[job]) for job in left if step[job] >= 0), default=-1)
        for job in left:
            groups = c.all_members[job]
            ready = all(n in done or n not in inside for n in c.problem.upgrades.after.get(job, ()))
            ready &= int(step[job]) <= first or step[job] < 0
            room = len(batch) < c.problem.windows[window].slots
            if ready and room and all(counts.get(g, 0) < c.groups[g].cap for g in groups):
                batch.append(job)
                for group in groups:
                    counts[group] = counts.get(group, 0) + 1
            else:
                rest.append(job)
        found.append(batch)
        done |= set(batch)
        left = rest
    return found


def _windows(c: Compiled, schedule: Schedule) -> Iterator[tuple[int, str, list[list[int]]]]:
    for number, window in enumerate(c.problem.windows):
        if np.any(schedule.window == number):
            yield number, _slug(window.name), batches(c, schedule, number)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "window"


def ansible(c: Compiled, schedule: Schedule) -> dict[str, str]:
    """A YAML inventory for each window; group ``batch_NNN`` holds the hosts that may be upgraded together. Run the
    groups in order: ``ansible-playbook -i FILE play.yml --limit batch_001``. JSON strings are YAML strings."""
    files = {}
    for number, slug, groups in _windows(c, schedule):
        window = c.problem.windows[number]
        lines = [
            f"# {window.name}: {iso(window.start)} to {iso(window.end)}; run the batches one after another",
            "all:",
        ]
        lines.append("  children:")
        for place, jobs in enumerate(groups, 1):
            lines += [f"    batch_{place:03d}:", "      hosts:"]
            for job in jobs:
                upgrades, server = c.problem.upgrades, c.problem.fleet.names[c.problem.upgrades.server[job]]
                lines.append(f"        {json.dumps(server)}:")
                lines.append(f"          upgrade_id: {json.dumps(upgrades.ids[job])}")
                if upgrades.type[job]:
                    lines.append(f"          upgrade_type: {json.dumps(upgrades.type[job])}")
                lines.append(f"          upgrade_not_before: {json.dumps(iso(int(schedule.start[job])))}")
                lines.append(f"          upgrade_expected_minutes: {math.ceil(int(upgrades.mean_s[job]) / 60)}")
        files[f"{slug}.yml"] = "\n".join(lines) + "\n"
    return files


def kubernetes(c: Compiled, schedule: Schedule) -> dict[str, str]:
    """A list of nodes for each window and batch, one name a line, for ``kubectl drain`` or an upgrade controller.
    Raises InputError for a server whose name no node can have (RFC 1123 subdomain)."""
    files = {}
    for _, slug, groups in _windows(c, schedule):
        for place, jobs in enumerate(groups, 1):
            names = [c.problem.fleet.names[c.problem.upgrades.server[job]] for job in jobs]
            for name in names:
                if len(name) > 253 or not _NODE.fullmatch(name):
                    mend = "Node names are lower-case letters, digits, - and dots."
                    raise InputError(f"server {name!r} cannot be a Kubernetes node", mend=mend)
            files[f"{slug}.batch-{place:03d}.nodes"] = "\n".join(names) + "\n"
    return files


def slurm(c: Compiled, schedule: Schedule, zone: dt.tzinfo = dt.UTC) -> dict[str, str]:
    """A shell script with one ``scontrol create reservation`` for each upgrade, from its start to the end of its lane's
    reserve so far, in whole minutes outwards. ``zone`` is the Slurm controller's own time zone. Raises InputError for a
    server that cannot be a node's name."""
    lines = [
        "#!/bin/sh",
        "# Makes a maintenance reservation for each planned upgrade; stops at the first refusal.",
        "set -eu",
    ]

    seen: set[str] = set()
    for row in schedule_rows(c.problem, schedule):
        if not _SLURM.fullmatch(row["server"]):
            raise InputError(f"server {row['server']!r} cannot be a Slurm node", mend="Use the node's name in Slurm.")
        start = dt.datetime.fromisoformat(row["start"]).astimezone(zone).replace(second=0)
        end = dt.datetime.fromisoformat(row["reserved_until"]).astimezone(zone)
        minutes = max(1, math.ceil((end - start).total_seconds() / 60))
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"sysmith-{row['window']}-{row['upgrade']}")
        if name in seen:
            name = f"{name}-{len(seen)}"
        seen.add(name)
        arguments = [
            f"ReservationName={name}",
            f"StartTime={start.strftime('%Y-%m-%dT%H:%M:%S')}",
            f"Duration={minutes}",
            f"Nodes={row['server']}",
            "Users=root",
            "Flags=MAINT,IGNORE_JOBS",
        ]
        lines.append("scontrol create reservation " + " ".join(shlex.quote(part) for part in arguments))
    return {"reservations.sh": "\n".join(lines) + "\n"}


ADAPTERS: dict[str, Callable[..., dict[str, str]]] = {"ansible": ansible, "kubernetes": kubernetes, "slurm": slurm}
