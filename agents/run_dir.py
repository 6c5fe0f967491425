"""One folder for each run, ``<state>/runs/<id>/``: its description, its lock, its event log; it knows no loop.

    run.json        command, options, versions; written once, when the run is created
    lock            held by the process that writes to the run
    events.jsonl    the event log            artifacts/    its large texts

An id begins with the time of creation in UTC, so that ids sort by time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from agents.events import EventLog
from sysmith_errors import InputError
from sysmith_files import fsync_dir, write_atomic

SCHEMA_VERSION = 1
LATEST = "latest"
_ANOTHER = "Start a new run."

# POSIX locks do not exclude the process that holds them, so runs open in this process are kept here.
_open_here: set[Path] = set()
_open_here_guard = threading.Lock()


@dataclass(frozen=True)
class RunInfo:
    """What ``run.json`` says. ``created`` is in Unix seconds. ``fault`` is set, and the rest empty, where it is
    unreadable (a run killed while it was created, say)."""

    id: str
    path: Path
    command: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0
    fault: str | None = None


def list_runs(state: Path) -> list[RunInfo]:
    """All runs below ``state``, oldest first, unreadable ones included (see ``RunInfo.fault``). Raises InputError where
    the folder cannot be read; no folder means no runs."""
    runs = state / "runs"
    try:
        names = sorted(entry.name for entry in os.scandir(runs) if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"run folder {runs} cannot be read: {error.strerror}") from error
    return [_info(runs / name) for name in names]


def latest(state: Path, command: str | None = None) -> RunInfo:
    """The newest readable run, of ``command`` where one is given. Raises InputError where there is none."""
    for info in reversed(list_runs(state)):
        if info.fault is None and command in (None, info.command):
            return info
    raise InputError(f"there is no run{f' of {command}' if command else ''} in {state / 'runs'}", mend=_ANOTHER)


class RunDir:
    """A run open for writing, locked against other processes until it is closed. ``log`` is its event log.

    Made by ``create`` and ``resume``; use it in a ``with`` statement.
    """

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.path = info.path
        self._lock = _Lock(info.path)
        try:
            self.log = EventLog(info.path / "events.jsonl")
        except BaseException:  # whatever it is, the lock must not stay
            self._lock.release()
            raise

    @classmethod
    def create(
        cls, state: Path, command: str, options: Mapping[str, Any], *, versions: Mapping[str, str] | None = None
    ) -> RunDir:
        """Begin a run below ``state`` (usually ``.sysmith``).

        ``options`` is what decides the outcome, in plain JSON; put the hash of an input file beside its name, so that a
        changed file is noticed on resume. Raises InputError where the folder cannot be written.
        """
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        run_id = f"{stamp}-{int(now % 1 * 1_000_000):06d}-{secrets.token_hex(2)}"
        path = state / "runs" / run_id
        document = {
            "schema_version": SCHEMA_VERSION,
            "id": run_id,
            "created": now,
            "command": command,
            "options": dict(options),
            "versions": dict(versions or {}),
        }
        content = json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"
        try:
            path.mkdir(parents=True)
            write_atomic(path / "run.json", content)
            fsync_dir(path.parent)
        except OSError as error:
            raise InputError(
                f"run folder {path} cannot be created: {error.strerror}",
                mend="Choose a folder that can be written and has space.",
            ) from error
        return cls(_info(path))

    @classmethod
    def resume(
        cls,
        state: Path,
        command: str,
        options: Mapping[str, Any] | None = None,
        *,
        run_id: str = LATEST,
        free: Collection[str] = (),
        versions: Mapping[str, str] | None = None,
    ) -> RunDir:
        """Open a run again; ``latest`` is the newest of ``command``.

        ``options`` must equal those the run was started with, but for the names in ``free`` (None: take them as they
        were from ``info.options``), and so must ``versions`` where given. Raises InputError naming the first that
        differs, for a run that is not there or unreadable, and for one that another process has open.
        """
        if run_id == LATEST:
            info = latest(state, command)
        else:
            if run_id in ("", ".", "..") or Path(run_id).name != run_id:
                raise InputError(f"{run_id!r} is not the id of a run", mend=_known(state))
            if not (state / "runs" / run_id).is_dir():
                raise InputError(f"there is no run {run_id} in {state / 'runs'}", mend=_known(state))
            info = _info(state / "runs" / run_id)
        if info.fault is not None:
            raise InputError(f"run {info.id} cannot be resumed: {info.fault}", mend=_ANOTHER)
        if info.command != command:
            raise InputError(f"run {info.id} is one of {info.command}, not of {command}", mend=_known(state))
        if options is not None:
            _same(info, "option", info.options, json.loads(json.dumps(dict(options))), free)
        if versions is not None:
            _same(info, "version of", info.versions, versions, ())
        return cls(info)

    def close(self) -> None:
        """Close the log and give the lock back. Closing twice is harmless."""
        self.log.close()
        self._lock.release()

    def __enter__(self) -> RunDir:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _info(path: Path) -> RunInfo:
    file = path / "run.json"
    try:
        document = json.loads(file.read_bytes())
        if document["schema_version"] != SCHEMA_VERSION:
            fault = f"{file} has schema version {document['schema_version']!r}, not {SCHEMA_VERSION}"
            return RunInfo(path.name, path, fault=fault)
        return RunInfo(
            path.name,
            path,
            command=str(document["command"]),
            options=dict(document["options"]),
            versions=dict(document["versions"]),
            created=float(document["created"]),
        )
    except OSError as error:
        return RunInfo(path.name, path, fault=f"{file} cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError) as error:
        return RunInfo(path.name, path, fault=f"{file} is damaged ({type(error).__name__}: {error})")


def _known(state: Path) -> str:
    ids = [info.id for info in list_runs(state) if info.fault is None][-5:]
    return f"The newest runs are {', '.join(ids)}." if ids else _ANOTHER


def _same(info: RunInfo, what: str, was: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]) -> None:
    missing = object()
    for name in sorted({*was, *now} - set(free)):
        before, after = was.get(name, missing), now.get(name, missing)
        if before != after:
            old, new = ("not set" if value is missing else json.dumps(value) for value in (before, after))
            raise InputError(
                f"run {info.id} was started with {what} {name}: {old}, and now it is {new}",
                mend="Resume with what it was started with, or start a new run.",
            )


def is_open_here(path: Path) -> bool:
    """Whether this process has the run in folder ``path`` open for writing."""
    with _open_here_guard:
        return path.resolve() in _open_here


class _Lock:
    """The POSIX lock of one run. Unlike ``flock`` worker processes that outlive a killed parent do not inherit it."""

    def __init__(self, path: Path) -> None:
        self._key = path.resolve()
        with _open_here_guard:
            if self._key in _open_here:
                raise InputError(f"run {path.name} is already open in this process")
            try:
                handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise InputError(f"run {path.name} cannot be locked: {error.strerror}") from error
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(handle)
                if not isinstance(error, BlockingIOError | PermissionError):  # the two ways of saying "held"
                    raise InputError(f"run {path.name} cannot be locked: {error.strerror}") from error
                raise InputError(
                    f"run {path.name} is open in another process (process id {holder})",
                    mend="Wait for it to end, or stop it first.",
                ) from error
            self._handle: int | None = handle
            _open_here.add(self._key)
        self._sign(handle)

    @staticmethod
    def _sign(handle: int) -> None:
        with contextlib.suppress(OSError):  # the process id only serves the message to whoever finds the run locked
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        with _open_here_guard:
            if self._handle is not None:
                os.close(self._handle)  # this gives up the lock too
                self._handle = None
                _open_here.discard(self._key)
