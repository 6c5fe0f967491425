"""The processes that a child started, seen from the server: counted, weighed and killed to the last one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from harness import limits

_PATIENCE_S: Final = 10.0


def others() -> list[int]:
    """Every process of this process namespace but this one, as ``/proc`` numbers them.

    The direct children only, where the namespace, or the ``/proc`` that is seen, is not this server's own.
    """
    with contextlib.suppress(OSError):
        own = os.readlink("/proc/self")
        if own == "1" and os.getpid() == 1:
            return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != own]
        return [int(pid) for pid in Path(f"/proc/self/task/{own}/children").read_text().split()]
    return []


def excess(memory_bytes: int) -> str:
    """ "memory" or "processes" if the others together use more than they may, else ""."""
    pids = others()
    if len(pids) > limits.COMPILE_PROCESSES:
        return "processes"
    return "memory" if sum(map(limits.proportional_bytes, pids)) > memory_bytes else ""


def kill_all_others() -> None:
    """Kill and reap everything the children left behind, daemons in sessions of their own included.

    As process 1 of a namespace one call reaches all of them at once, so that nothing can fork away from it. Elsewhere
    this process must be a subreaper: orphans come to it, and it kills generation after generation, for 10 s at most.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for pid in others():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
