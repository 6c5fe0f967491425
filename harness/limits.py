"""Resource limits of one child and the reading of what processes use; it kills nothing."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

FILE_BYTES: Final = 64 << 20
OPEN_FILES: Final = 256
COMPILE_PROCESSES: Final = 64
_PAGE: Final = os.sysconf("SC_PAGESIZE")


def address_space() -> int:
    """Bytes of virtual memory that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE


def apply(*, memory_bytes: int, cpu_s: int, profile: str) -> None:
    """Limit the calling process: address space (relative to what is mapped now), CPU time, files, processes, core.

    RLIMIT_NPROC counts only where the kernel keeps it (never for the real root), so it is a second fence, behind
    the system-call filter (profile "compute") and the watch on process numbers (profile "compile").
    """
    _lower(resource.RLIMIT_AS, address_space() + memory_bytes)
    _lower(resource.RLIMIT_CPU, cpu_s)
    _lower(resource.RLIMIT_FSIZE, FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_MEMLOCK, 0)
    _lower(resource.RLIMIT_MSGQUEUE, 0)
    _lower(resource.RLIMIT_NPROC, own_processes() + (COMPILE_PROCESSES if profile == "compile" else 0))


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def own_processes() -> int:
    """How many visible processes belong to this user."""
    uid = os.getuid()
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                count += entry.stat().st_uid == uid
            except OSError:
                continue  # it ended meanwhile
    return count


def proportional_bytes(pid: int) -> int:
    """Memory of ``pid`` in bytes, each shared page divided among its sharers; 0 once the process is gone.

    A process that hides its maps is counted with all its resident pages.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0
