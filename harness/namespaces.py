"""Private namespaces for this process, as many as the kernel grants; what may be read inside, landlock decides."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness import linux

_KINDS: Final = {
    "net": linux.CLONE_NEWNET,
    "ipc": linux.CLONE_NEWIPC,
    "uts": linux.CLONE_NEWUTS,
    "mount": linux.CLONE_NEWNS,
    "pid": linux.CLONE_NEWPID,
}


def enter(*, scratch: Path, scratch_bytes: int, hide: Iterable[Path]) -> list[str]:
    """Move this single-threaded process into new namespaces and return the names of those it got.

    With a process namespace it returns in a forked child, process 1 there, which dies with its parent. With a mount
    namespace, ``scratch`` is a private tmpfs, ``hide`` is covered and ``/proc`` shows only the processes inside.
    """
    granted = _unshare()
    if "pid" in granted:
        _become_first()
    if "mount" in granted:
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        options = f"size={scratch_bytes},mode=700"
        flags = linux.MS_NOSUID | linux.MS_NODEV
        linux.mount("tmpfs", str(scratch), "tmpfs", flags, options)
        for path in hide:
            linux.mount("tmpfs", str(path), "tmpfs", flags, "size=4096,mode=555")
        if "pid" in granted:
            # Refused where the host's /proc has covered parts; landlock still keeps other processes' secrets closed.
            with contextlib.suppress(PermissionError):
                linux.mount("proc", "/proc", "proc", flags | linux.MS_NOEXEC)
    return granted


def _unshare() -> list[str]:
    user, group = os.geteuid(), os.getegid()
    names = []
    try:
        linux.unshare(linux.CLONE_NEWUSER)
    except OSError:
        pass  # not granted: the real root may still get the others
    else:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with contextlib.suppress(FileNotFoundError):  # setgroups came with Linux 3.19
                Path(f"/proc/self/{name}").write_text(text)
        names.append("user")
    for name, flag in _KINDS.items():
        with contextlib.suppress(OSError):  # not granted: the caller sees which ones are missing
            linux.unshare(flag)
            names.append(name)
    return names


def _become_first() -> None:
    child = os.fork()
    if child == 0:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    # Only the child goes on; this one waits, so that the process the caller started ends when the child does.
    os.closerange(0, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 20 else 1 << 16)
    while True:
        try:
            _, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
