"""A worker: one sandboxed fork server and, for each request, one limited child whose messages stream to the caller.

It judges nothing: what a child says is untrusted, and the verdict is the caller's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from harness import cgroup, sandbox, seccomp, wire
from harness.exchange import Exchange, Outcome
from sysmith_errors import InputError, InternalFault

__all__ = ["Outcome", "Worker"]

DEFAULT_MAX_SENT_BYTES: Final = wire.DEFAULT_MAX_BYTES
_PACKET: Final = 1 << 20
_LOG_TAIL_BYTES: Final = 4000
_KERNEL_KILLED: Final = "the kernel killed it for want of memory"


@cache
def _starter() -> ThreadPoolExecutor:
    """One thread that starts every server: the kernel ties "die with your parent" to the thread that forked."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sysmith-start")


class Worker:
    """Runs ``entry`` ("package.module:function") in a fresh forked child for each request, inside the sandbox.

    ``preload`` names modules that the server imports once. ``env`` is added to an otherwise scrubbed environment.
    ``profile`` is "compute" (no processes, threads, sockets or files to write) or "compile" (programs may be run and
    files written in the scratch directory). ``hide`` covers more directories. ``tier`` overrides ``detect_tier()``.

    One worker runs one request at a time; several workers may be used from several threads, one each. Raises
    MissingPart when there is no sandbox, InputError for a bad entry or profile, InternalFault when the server does not
    start.
    """

    def __init__(
        self,
        entry: str,
        *,
        preload: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        profile: str = "compute",
        allow_unsandboxed: bool = False,
        start_timeout_s: float = 120,
        max_sent_bytes: int = DEFAULT_MAX_SENT_BYTES,
        hide: Iterable[Path] = (),
        tier: sandbox.Tier | None = None,
    ) -> None:
        module, colon, function = entry.partition(":")
        if not (module and colon and function):
            raise InputError(f"the entry {entry!r} is not written as package.module:function")
        if profile not in seccomp.PROFILES:
            raise InputError(f"the profile {profile!r} is unknown", mend=f"Use one of {', '.join(seccomp.PROFILES)}.")
        self.tier = tier or sandbox.require_tier(allow_unsandboxed=allow_unsandboxed)
        self.namespaces: tuple[str, ...] = ()
        self.import_s = 0.0
        self._config = {"entry": entry, "preload": list(preload), "profile": profile}
        self._env = dict(env or {})
        self._hide = list(hide)
        self._start_timeout_s = start_timeout_s
        self._max_sent_bytes = max_sent_bytes
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._launch: sandbox.Launch | None = None
        self._group: cgroup.Group | None = None
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        request: wire.Message,
        on_message: Callable[[wire.Message], None],
        *,
        timeout_s: float,
        memory_bytes: int,
    ) -> Outcome:
        """Run one child on ``request``; ``on_message`` is called here for each message, as it comes.

        ``timeout_s`` is wall time, time spent in ``on_message`` left out; at its end the child and all it started are
        killed. ``memory_bytes`` is what the child may map beyond what the server has. An exception of ``on_message``
        ends the child and passes through. A dead server is started again once; raises InternalFault if that fails.
        """
        exchange = Exchange(request, on_message, timeout_s=timeout_s, max_sent_bytes=self._max_sent_bytes)
        job = {
            "memory_bytes": int(memory_bytes),
            "cpu_s": int(timeout_s) + 2,
            "max_request_bytes": exchange.request_bytes,
        }
        try:
            control = self._submit(job, exchange)
            kills = self._group.kills() if self._group else 0
            outcome = exchange.drive(control)
        except BaseException:  # also ^C: whatever the child still does, it must not go on unwatched
            exchange.close()
            if not exchange.settled:
                self.close()
            raise
        exchange.close()
        if outcome.status in ("crashed", "raised", "timeout") and self._group and self._group.kills() > kills:
            outcome = replace(outcome, status="memory", detail=_KERNEL_KILLED)
        if not exchange.settled:
            self.close()
        return outcome

    @property
    def limits(self) -> str:
        """What bounds memory and processes besides rlimits, in words for reports."""
        return str(self._group) if self._group else "rlimits only"

    def close(self) -> None:
        """End the server and everything in it; the worker can be used again and then starts a new one."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None
        if self._group is not None:
            self._group.remove()
            self._group = None
        if self._launch is not None:
            self._launch.clean()
            self._launch = None

    def _submit(self, job: dict[str, Any], exchange: Exchange) -> socket.socket:
        packet = json.dumps(job).encode()
        for attempt in (1, 2):
            if self._server is None or self._server.poll() is not None or self._control is None:
                self.close()
                self._start()
            assert self._control is not None
            if self._group is not None:
                self._group.limit(job["memory_bytes"])
            try:
                socket.send_fds(self._control, [packet], exchange.child_ends)
            except OSError as error:
                self.close()
                if attempt == 2:
                    raise InternalFault(f"the worker's server does not take requests: {error}") from None
                continue
            exchange.close_child_ends()
            return self._control
        raise AssertionError("unreachable")

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, "-m", "harness.forkserver", str(theirs.fileno())]
        launch = sandbox.prepare(self.tier, program, env=self._env, hide=self._hide)
        self._group = cgroup.create()
        if self._group is not None:
            launch.argv = self._group.wrap(launch.argv)
        with tempfile.TemporaryFile() as log:
            self._launch, self._control = launch, ours
            try:
                self._server = _starter().submit(_spawn, launch, theirs, log.fileno()).result()
            except OSError as error:
                self.close()
                raise InternalFault(f"the sandbox's program does not start: {error}") from None
            finally:
                theirs.close()
            answer = self._handshake(launch)
            if "ready" not in answer:
                self._server.kill()
                self._server.wait()
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                said = answer.get("failed") or log.read().decode(errors="replace").strip() or "it ended without a word"
                self.close()
                raise InternalFault(f"the server of {self._config['entry']} did not start in {self.tier.name}: {said}")
        self.namespaces = tuple(answer["ready"]["namespaces"])
        self.import_s = answer["ready"]["import_s"]

    def _handshake(self, launch: sandbox.Launch) -> dict[str, Any]:
        assert self._control is not None
        config = {**self._config, "confine": launch.confine, "scratch": launch.scratch}
        self._control.settimeout(self._start_timeout_s)
        began = time.monotonic()
        try:
            self._control.send(json.dumps(config).encode())
            packet = self._control.recv(_PACKET)
        except TimeoutError:
            return {"failed": f"it was not ready after {time.monotonic() - began:.0f} s"}
        except OSError:
            return {}
        except BaseException:  # ^C while the server imports: leave nothing running
            self.close()
            raise
        self._control.settimeout(None)
        answer: dict[str, Any] = json.loads(packet) if packet else {}
        return answer


def _spawn(launch: sandbox.Launch, control: socket.socket, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        launch.argv,
        env=launch.env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[control.fileno()],
        start_new_session=True,  # ^C at the terminal is for the parent alone
    )
