"""Kubernetes node upgrades: events as ``kubectl get events -A -o json`` prints them, or one event object a line.

An upgrade of a node runs from the event that takes it out (Cordon, NodeNotSchedulable, Drain, Upgrading) to the one
that brings it back (Uncordon, NodeSchedulable, NodeReady, Upgraded). One that fails (UpgradeFailed, DrainFailed) ends
there; one with no end in the file is censored at the last event of all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from tuners.upgrade_sched.history.build import Builder
from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.values import Values
from tuners.upgrade_sched.types import History

BEGIN = {"cordon", "cordoned", "nodenotschedulable", "drain", "draining", "upgrading", "upgradestarted", "nodeupgrade"}
END = {"uncordon", "uncordoned", "nodeschedulable", "nodeready", "upgraded", "upgradecompleted", "upgradefinished"}
FAIL = {"upgradefailed", "drainfailed", "faileddraining"}
_TIMES = ("eventTime", "lastTimestamp", "firstTimestamp")


@dataclass(frozen=True)
class _Event:
    line: int
    time: float
    node: str
    reason: str
    component: str


def read_kubernetes(path: Path, found: Found) -> History:
    """Read events. Raises InputError where there is none of a node; bad events are issues in ``found``."""
    values = Values(str(path), found)
    builder = Builder(values)
    events = [event for line, raw in _objects(path, found) if (event := _event(raw, line, values)) is not None]
    if not events and not found.issues.found:
        raise InputError(
            f"{path}: there is no event of a node in it",
            mend="Print with kubectl get events -A -o json --field-selector involvedObject.kind=Node.",
        )
    begun: dict[str, _Event] = {}
    for event in sorted(events, key=lambda event: event.time):
        if event.reason in BEGIN:
            begun.setdefault(event.node, event)
        elif event.reason in END | FAIL and event.node in begun:
            _take(builder, begun.pop(event.node), event.time, "failed" if event.reason in FAIL else "", False)
    for event in begun.values():
        _take(builder, event, max(other.time for other in events), "cancelled", True)
    return builder.history(str(path))


def _take(builder: Builder, begin: _Event, end: float, outcome: str, censored: bool) -> None:
    builder.add(
        begin.line,
        entity=begin.node,
        type=begin.component or "node-upgrade",
        start=begin.time,
        duration=None,
        end=end,
        censored=censored,
        outcome=outcome,
        fields=("involvedObject.name", "lastTimestamp", "lastTimestamp", "firstTimestamp"),
    )


def _objects(path: Path, found: Found) -> Iterator[tuple[int, Any]]:
    """Events with their line, or their number in the list, from 1."""
    lines = list(read_lines(path, found))
    text = "\n".join(line for _, line, _ in lines)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        yield from enumerate(document["items"], start=1)
        return
    if text.lstrip().startswith("{") and '"items"' in text[:2000] and document is None:
        yield from _half_list(text, path, found)
        return
    for number, line, whole in lines:
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            if whole:
                found.issues.add("json", str(path), number, "", f"it is not JSON: {error}", "Correct the line.")
            else:
                found.notes.append(f"{path}: the last line ({number}) is cut off and was left out")


def _half_list(text: str, path: Path, found: Found) -> Iterator[tuple[int, Any]]:
    """The whole events of a list that is cut off."""
    decoder, place, number = json.JSONDecoder(), text.index("[", text.index('"items"')) + 1, 0
    while True:
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        try:
            item, place = decoder.raw_decode(text, place)
        except ValueError:
            break
        number += 1
        yield number, item
    found.notes.append(f"{path}: the list is cut off; its {number} whole events were read")


def _event(raw: Any, line: int, values: Values) -> _Event | None:
    if not isinstance(raw, Mapping):
        values.bad("json-object", line, "", "an event is not an object", "Print events with -o json.")
        return None
    about = raw.get("involvedObject") or raw.get("regarding")
    if not isinstance(about, Mapping) or about.get("kind") != "Node":
        return None
    reason = str(raw.get("reason", "")).lower()
    if reason not in BEGIN | END | FAIL:
        return None
    node = about.get("name")
    if not isinstance(node, str) or not node:
        values.bad("entity-missing", line, "involvedObject.name", "the event names no node", "Restore the event.")
        return None
    given = next((raw[name] for name in _TIMES if raw.get(name)), None)
    moment = values.time(given, line, "lastTimestamp")
    if moment is None:
        return None
    source = raw.get("source")
    component = str(source.get("component", "")) if isinstance(source, Mapping) else ""
    return _Event(line, moment, node, reason, component)
