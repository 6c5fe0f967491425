"""The server inside the sandbox: imports once, then forks a child for each request and clears up after it.

It trusts its parent and nothing else; it reads no request itself. Started by ``harness.pool`` only, as
``python -m harness.forkserver FD``, where FD is a sequenced-packet socket: JSON both ways, pipes from the parent.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

from harness import child, landlock, linux, namespaces, processes

_PACKET: Final = 1 << 20
_WATCH_MS: Final = 50


def main() -> None:
    """Serve until the parent closes the socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = json.loads(control.recv(_PACKET))
    began = time.monotonic()
    try:
        granted = _confine(config)
        entry = _import(config)
    except Exception as error:  # whatever stops the start is reported to the parent, which raises it
        control.send(json.dumps({"failed": child.describe(error)[:2000]}).encode())
        sys.exit(1)
    gc.collect()
    gc.freeze()  # keeps the children's collector off the pages they share with this process
    ready = {"namespaces": granted, "import_s": time.monotonic() - began}
    control.send(json.dumps({"ready": ready}).encode())
    while True:
        packet, descriptors, _, _ = socket.recv_fds(control, _PACKET, 3)
        if not packet:
            return
        job = json.loads(packet)
        if "kill" in job:
            continue  # the child ended before the order came
        report = _serve(entry, control, descriptors, {**job, "profile": config["profile"]})
        report["leaving"] = not _cleared(Path(config["scratch"]))
        control.send(json.dumps({"exit": report}).encode())
        if report["leaving"]:
            return  # the parent starts a fresh server, with a fresh scratch directory


def _confine(config: dict[str, Any]) -> list[str]:
    granted: list[str] = []
    confine = config["confine"]
    scratch = Path(config["scratch"])
    if confine is not None:
        granted = namespaces.enter(
            scratch=scratch, scratch_bytes=confine["scratch_bytes"], hide=[Path(p) for p in confine["hide"]]
        )
        landlock.restrict(read=[Path(p) for p in confine["read"]], write=[scratch])
        linux.drop_capabilities()
    os.chdir(scratch)
    # Children share this user: without it they could rewrite the server that forks the next candidate's child.
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    return granted


def _import(config: dict[str, Any]) -> child.Entry:
    for name in config["preload"]:
        importlib.import_module(name)
    module, _, function = config["entry"].partition(":")
    entry: child.Entry = getattr(importlib.import_module(module), function)
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(
            f"importing {config['preload']} and {module} started {threads - 1} threads: fork is not safe"
        )
    return entry


def _serve(entry: child.Entry, control: socket.socket, descriptors: list[int], job: dict[str, Any]) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        child.run(entry, descriptors, job)
    for descriptor in descriptors:
        os.close(descriptor)
    verdict = _watch(pid, control, job)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    # The main child first, with its usage; then whatever it started and left behind.
    _, status, usage = os.wait4(pid, 0)
    processes.kill_all_others()
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "why": verdict, "peak_rss_bytes": usage.ru_maxrss * 1024}


def _watch(pid: int, control: socket.socket, job: dict[str, Any]) -> str:
    """Wait until the child ends or must end; says why it must: "", "kill", "memory" or "processes"."""
    handle = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    poller.register(control, select.POLLIN)
    many = job["profile"] == "compile"
    try:
        while True:
            ready = {fd for fd, _ in poller.poll(_WATCH_MS if many else None)}
            if handle in ready:
                return ""
            if control.fileno() in ready:
                if not control.recv(_PACKET):
                    processes.kill_all_others()
                    os._exit(0)  # the parent is gone
                return "kill"
            if many and (excess := processes.excess(job["memory_bytes"])):
                return excess
    finally:
        os.close(handle)


def _cleared(scratch: Path) -> bool:
    """Empty the scratch directory, so that one candidate leaves nothing for the next; False if that fails."""
    try:
        for entry in os.scandir(scratch):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    except (OSError, RecursionError):
        return False
    return True


if __name__ == "__main__":
    main()
