"""The append-only event log, the only state of a run; it gives events no meaning (``agents.loop`` does).

One event is one line of JSON:
``{"v": 1, "seq": <line number>, "t": <Unix seconds>, "kind": ..., "problem": ..., "data": {...}}``.
A line is on disk before ``append`` returns. One process writes at a time (``agents.run_dir`` holds the lock), from any
number of its threads. A crash can only tear the last line, which is dropped when the log is next opened for writing.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from agents.artifacts import ArtifactStore
from agents.protocols import canonical_json
from sysmith_errors import InputError, InternalFault, SysmithError
from sysmith_files import fsync_dir

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Event:
    """One line. ``seq`` is its line number, from 1; ``time`` is in Unix seconds; ``data`` has its long texts packed
    (``EventLog.unpack`` brings them back)."""

    seq: int
    time: float
    kind: str
    problem: str | None
    data: Mapping[str, Any] = field(default_factory=dict)


def _decode(path: Path, seq: int, document: object) -> Event:
    where = f"{path}, line {seq}"
    if not isinstance(document, dict):
        raise InputError(f"{where}: an event is a JSON object, not {type(document).__name__}", mend="Start a new run.")
    version = document.get("v")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{where}: schema version {version!r} is not {SCHEMA_VERSION}, the one this program reads",
            mend="Use the version of Sysmith that wrote it, or start a new run.",
        )
    if document.get("seq") != seq:
        raise InputError(f"{where}: found event number {document.get('seq')!r}; lines are missing or were moved")
    moment, kind, problem, data = (document.get(name) for name in ("t", "kind", "problem", "data"))
    if not (isinstance(moment, int | float) and isinstance(kind, str) and isinstance(data, dict)):
        raise InputError(f"{where}: the event lacks a proper t, kind or data field", mend="Start a new run.")
    if not isinstance(problem, str | None):
        raise InputError(f"{where}: problem is {problem!r}, not a name", mend="Start a new run.")
    return Event(seq, float(moment), kind, problem, data)


def _parse(path: Path, content: bytes) -> tuple[list[Event], int]:
    """The events in ``content``, and the number of bytes of the torn last line that follows them."""
    lines = content.split(b"\n")
    tail = len(lines.pop())  # what follows the last newline was never finished
    events: list[Event] = []
    for seq, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
        except ValueError as error:  # covers bad UTF-8 too
            if seq == len(lines) and not tail:
                # After a power cut the last line may keep its end and lose its middle; it costs one trial, not the run.
                return events, len(line) + 1
            raise InputError(
                f"{path}, line {seq}: damaged event ({error})",
                mend="Restore the file from a copy, or start a new run.",
            ) from error
        events.append(_decode(path, seq, document))
    return events, tail


def read_events(path: Path) -> list[Event]:
    """All whole events of a log, changing nothing on disk. Raises InputError naming file and line for damage."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"event log {path} cannot be read: {error.strerror}") from error
    return _parse(path, content)[0]


class EventLog:
    """A log open for appending; it keeps the events of each problem at hand for replay.

    ``torn_bytes`` is what was dropped from the end on opening. Artifacts lie in ``artifacts/`` beside the log.
    Raises InputError for a damaged or unreadable log. After a failed write the log refuses to go on, because what is on
    disk can no longer be known; opening it again recovers it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.artifacts = ArtifactStore(path.parent / "artifacts")
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._handle: int | None = None
        self._by_problem: dict[str | None, list[Event]] = {}
        try:
            fresh = not path.exists()
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            if fresh:
                fsync_dir(path.parent)
        except OSError as error:
            raise InputError(f"event log {path} cannot be opened: {error.strerror}") from error
        try:
            content = path.read_bytes()
            events, self.torn_bytes = _parse(path, content)
            self._end = len(content) - self.torn_bytes
            if self.torn_bytes:
                os.ftruncate(handle, self._end)
                os.fsync(handle)
        except OSError as error:
            os.close(handle)
            raise InputError(f"event log {path} cannot be recovered: {error.strerror}") from error
        except BaseException:  # whatever it is, the handle must not leak
            os.close(handle)
            raise
        self._handle = handle
        self._seq = len(events)
        for event in events:
            self._by_problem.setdefault(event.problem, []).append(event)

    def append(self, kind: str, data: Mapping[str, Any], *, problem: str | None = None) -> Event:
        """Write one event; it is on disk when this returns.

        Raises SysmithError when the disk is full or fails (the log stays readable), InternalFault for data that JSON
        cannot hold or a log already closed.
        """
        try:
            packed = self.artifacts.pack(dict(data))
        except OSError as error:
            raise self._refusal(f"cannot write to {self.artifacts.root}: {error.strerror}") from error
        except TypeError as error:
            raise InternalFault(f"event {kind} holds what JSON cannot say: {error}") from error
        with self._lock:
            if self._failure is not None:
                raise self._refusal(self._failure)
            if self._handle is None:
                raise InternalFault(f"event log {self.path} is closed, yet {kind} was to be written")
            event = Event(self._seq + 1, time.time(), kind, problem, packed)
            self._write(self._handle, event)
            self._seq = event.seq
            self._by_problem.setdefault(problem, []).append(event)
        return event

    def _write(self, handle: int, event: Event) -> None:
        document = {
            "v": SCHEMA_VERSION,
            "seq": event.seq,
            "t": event.time,
            "kind": event.kind,
            "problem": event.problem,
            "data": event.data,
        }
        try:
            line = canonical_json(document).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise InternalFault(f"event {event.kind} holds what JSON cannot say: {error}") from error
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        except OSError as error:
            self._failure = f"cannot write to {self.path}: {error.strerror}"
            with contextlib.suppress(OSError):  # if this fails too, the torn line is dropped on the next opening
                os.ftruncate(handle, self._end)
            raise self._refusal(self._failure) from error
        except BaseException:  # an interrupt inside the write: the line may be torn, so no other may follow it
            self._failure = f"writing to {self.path} was interrupted"
            with contextlib.suppress(OSError):
                os.ftruncate(handle, self._end)
            raise
        self._end += len(line)

    @staticmethod
    def _refusal(what: str) -> SysmithError:
        return SysmithError(what, mend="Free some space or mend the disk, then resume the run.")

    def of(self, problem: str | None) -> list[Event]:
        """The events of one problem so far, oldest first (None: those of the run as a whole)."""
        with self._lock:
            return list(self._by_problem.get(problem, ()))

    def all(self) -> list[Event]:
        """All events so far, oldest first."""
        with self._lock:
            return sorted((event for events in self._by_problem.values() for event in events), key=lambda e: e.seq)

    def unpack(self, event: Event) -> dict[str, Any]:
        """The event's data with its long texts in place. Raises InputError for a missing or damaged artifact."""
        data: dict[str, Any] = self.artifacts.unpack(dict(event.data))
        return data

    def close(self) -> None:
        """Close the file; events still at hand stay readable. Closing twice is harmless."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
