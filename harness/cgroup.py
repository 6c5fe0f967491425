"""A control group for one worker, version 1 or 2, where this user may make one; elsewhere rlimits stand alone."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from harness import leftovers, limits

MOUNT: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")

_SLACK_BYTES: Final = 64 << 20
# The server, the sandbox's own processes, and room for the watch to see that a child started too many.
_EXTRA_PROCESSES: Final = 36
_JOIN: Final = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1/cgroup.procs"; shift; n=$((n-1)); done; exec "$@"'
_numbers = itertools.count()


class Group:
    """The directories of one group: "memory" and, where offered, "pids" (the same directory in version 2)."""

    def __init__(self, version: int, folders: dict[str, Path]) -> None:
        self.version = version
        self._folders = folders

    def __str__(self) -> str:
        return f"cgroup v{self.version} ({', '.join(self._folders)})"

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """``argv`` started as a member, so that all it starts is one too."""
        places = list(dict.fromkeys(map(str, self._folders.values())))
        return ["/bin/sh", "-c", _JOIN, "sh", str(len(places)), *places, *argv]

    def limit(self, memory_bytes: int) -> None:
        """Allow ``memory_bytes`` beyond what the idle members use now, and a copy of that (children write to shared
        pages)."""
        used = self._read_number("memory.usage_in_bytes" if self.version == 1 else "memory.current")
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        with contextlib.suppress(OSError):  # below what is in use: the rlimits still hold
            (self._folders["memory"] / name).write_text(str(2 * used + memory_bytes + _SLACK_BYTES))

    def kills(self) -> int:
        """How many members the kernel has killed for want of memory so far."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with contextlib.suppress(OSError):
            for line in (self._folders["memory"] / name).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        return 0

    def remove(self) -> None:
        """Remove the group once its members are gone; waits for them one second at most."""
        deadline = time.monotonic() + 1
        for folder in dict.fromkeys(self._folders.values()):
            while True:
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.01)
                else:
                    break

    def _read_number(self, name: str) -> int:
        try:
            return int((self._folders["memory"] / name).read_text())
        except (OSError, ValueError):
            return 0


def create(*, mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> Group | None:
    """A new group below this process's own, or None where memory is not controlled or no group may be made."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return None
    own = {name: path for _, names, path in lines for name in names.split(",")}
    name = f"{leftovers.PREFIX}{os.getpid()}-{next(_numbers)}"
    processes = str(limits.COMPILE_PROCESSES + _EXTRA_PROCESSES)
    folders: dict[str, Path] = {}
    if "memory" in own:
        for controller in ("memory", "pids"):
            for parent in _places(mount / controller, own.get(controller, "/")):
                if made := _made(parent / name, {"pids.max": processes} if controller == "pids" else {}):
                    folders[controller] = made
                    break
        return Group(1, folders) if "memory" in folders else None
    for parent in _delegated(mount, own.get("", "/")):
        if made := _made(parent / name, {"pids.max": processes}):
            return Group(2, {"memory": made, "pids": made})
    return None


def _places(root: Path, own: str) -> Iterator[Path]:
    """The process's own group; in a container its path may be the host's, then the root that is mounted."""
    for place in dict.fromkeys((root / own.lstrip("/"), root)):
        if os.access(place, os.W_OK):
            yield place


def _delegated(mount: Path, own: str) -> Iterator[Path]:
    """Where version 2 lets a group with limits be made: the nearest ancestors that hand both controllers down."""
    place = mount / own.lstrip("/")
    while place.is_relative_to(mount):
        with contextlib.suppress(OSError):
            if {"memory", "pids"} <= set((place / "cgroup.subtree_control").read_text().split()):
                yield place
        place = place.parent


def _made(folder: Path, settings: dict[str, str]) -> Path | None:
    leftovers.sweep(folder.parent)
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        for name, value in settings.items():
            (folder / name).write_text(value)
        # Joining may be refused though making the group was not.
        if os.access(folder / "cgroup.procs", os.W_OK):
            return folder
    except OSError:
        pass  # removed below: a group without its limit is none
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None
