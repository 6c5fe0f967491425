"""One request and what comes back: pipes, deadline, frames, and how it ended; it starts no server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from harness import child, wire

Status = Literal["ok", "raised", "timeout", "memory", "crashed", "protocol"]

OUTPUT_TAIL_BYTES: Final = 64 << 10
_CHUNK: Final = 1 << 20
_AFTER_END_S: Final = 3.0
_AFTER_KILL_S: Final = 10.0
_WENT_ON: Final = "it went on after its last frame"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one child ended.

    ``status``: "ok" the entry function returned; "raised" it raised; "timeout"; "memory" it wanted more than allowed;
    "crashed" it died by a signal or left early; "protocol" it sent what is no frame, too much, or closed its pipe.
    ``detail`` is plain text written by or about untrusted code. ``stderr_tail`` is the end of what it printed, to
    stdout or stderr. ``wall_s`` in seconds; ``peak_rss_bytes`` counts pages shared with the server too.
    """

    status: Status
    detail: str
    stderr_tail: str
    wall_s: float
    peak_rss_bytes: int


class Exchange:
    """The parent's side of one request. ``settled``: the server reported the child's end and can go on."""

    def __init__(
        self,
        request: wire.Message,
        on_message: Callable[[wire.Message], None],
        *,
        timeout_s: float,
        max_sent_bytes: int,
    ) -> None:
        self._pending = wire.encode(request)
        self.request_bytes = sum(view.nbytes for view in self._pending)
        self._on_message = on_message
        self._timeout_s = timeout_s
        self._decoder = wire.Decoder(max_bytes=max_sent_bytes)
        self._tail = bytearray()
        self._end: dict[str, Any] | None = None
        self._exit: dict[str, Any] | None = None
        self._forced: tuple[Status, str] | None = None
        self._raised: Exception | None = None
        self._killing = False
        self.settled = False
        read_request, self._request = os.pipe()
        self._reply, write_reply = os.pipe()
        self._output, write_output = os.pipe()
        self.child_ends = [read_request, write_reply, write_output]
        for fd in (self._request, self._reply):
            with contextlib.suppress(OSError):  # a larger pipe is only faster
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _CHUNK)
        for fd in (self._request, self._reply, self._output):
            os.set_blocking(fd, False)
        self._open = {self._request, self._reply, self._output}

    def close_child_ends(self) -> None:
        """Close what now belongs to the child, so that its end is seen."""
        while self.child_ends:
            os.close(self.child_ends.pop())

    def close(self) -> None:
        """Close every descriptor."""
        self.close_child_ends()
        while self._open:
            os.close(self._open.pop())

    def drive(self, control: socket.socket) -> Outcome:
        """Pump until the child and all it started have ended; passes on what ``on_message`` raised."""
        began = time.monotonic()
        self._deadline = began + self._timeout_s
        with selectors.DefaultSelector() as selector:
            self._selector = selector
            selector.register(control, selectors.EVENT_READ)
            selector.register(self._request, selectors.EVENT_WRITE)
            selector.register(self._reply, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            while not (self._exit is not None and self._open <= {self._request}):
                left = self._deadline - time.monotonic()
                if left <= 0 and not self._expire(control):
                    break
                for key, _ in selector.select(max(0.0, left)):
                    if key.fd == control.fileno():
                        self._control_ready(control)
                    elif key.fd in self._open:
                        self._pipe_ready(key.fd, control)
        self.settled = self._exit is not None and not self._exit.get("leaving", True)
        if self._raised is not None:
            raise self._raised
        status, detail = self._verdict()
        peak = self._exit.get("peak_rss_bytes", 0) if self._exit else 0
        tail = self._tail[-OUTPUT_TAIL_BYTES:].decode(errors="replace")
        return Outcome(status, detail, tail, time.monotonic() - began, peak)

    def _expire(self, control: socket.socket) -> bool:
        """The deadline passed: give the order to kill, or give up (False) if it was given long ago."""
        if self._exit is not None or self._killing:
            return False
        if self._end is not None:
            self._kill(control, "protocol", _WENT_ON)
        elif self._reply not in self._open:
            self._kill(control, "protocol", "it closed its pipe and went on")
        else:
            self._kill(control, "timeout", f"it was stopped after {self._timeout_s:g} s")
        return True

    def _kill(self, control: socket.socket, status: Status, detail: str) -> None:
        if self._killing:
            return
        self._killing = True
        self._forced = self._forced or (status, detail)
        self._deadline = time.monotonic() + _AFTER_KILL_S
        with contextlib.suppress(OSError):  # the server is gone: its end arrives on the same socket
            control.send(b'{"kill": true}')

    def _control_ready(self, control: socket.socket) -> None:
        try:
            packet = control.recv(_CHUNK)
        except OSError:
            packet = b""
        self._exit = json.loads(packet)["exit"] if packet else {"why": "server"}
        # Everything inside is dead, so the pipes end as soon as they are read empty.
        self._deadline = max(self._deadline, time.monotonic() + _AFTER_KILL_S)
        self._selector.unregister(control)

    def _pipe_ready(self, fd: int, control: socket.socket) -> None:
        if fd == self._request:
            self._write_some()
            return
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._drop(fd)
            if fd == self._reply and self._exit is None and not self._killing:
                self._deadline = min(self._deadline, time.monotonic() + _AFTER_END_S)
        elif fd == self._output:
            self._tail += data
            if len(self._tail) > 2 * OUTPUT_TAIL_BYTES:
                del self._tail[:-OUTPUT_TAIL_BYTES]
        elif self._forced is None and self._raised is None:
            self._take(data, control)

    def _write_some(self) -> None:
        try:
            while self._pending:
                written = os.write(self._request, self._pending[0][:_CHUNK])
                self._pending[0] = self._pending[0][written:]
                if not self._pending[0].nbytes:
                    self._pending.pop(0)
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._pending = []
        self._drop(self._request)

    def _take(self, data: bytes, control: socket.socket) -> None:
        try:
            for message in self._decoder.feed(data):
                if self._end is not None:
                    raise wire.ProtocolError("it sent more after its last frame")
                if message.kind == wire.KIND_END:
                    self._end = _checked_end(message)
                    self._deadline = min(self._deadline, time.monotonic() + _AFTER_END_S)
                    continue
                began = time.monotonic()
                try:
                    self._on_message(message)
                except Exception as error:  # the caller's own: the child is ended first, then it passes through
                    self._raised = error
                    self._kill(control, "protocol", "the caller stopped it")
                    return
                self._deadline += time.monotonic() - began
        except wire.ProtocolError as error:
            self._kill(control, "protocol", error.message)

    def _drop(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._open.discard(fd)
        os.close(fd)

    def _verdict(self) -> tuple[Status, str]:
        exit_ = self._exit or {"why": "server"}
        # On a busy machine an honest child's end may be reported late: it left by itself, before the order came.
        late = self._forced == ("protocol", _WENT_ON) and exit_.get("code") == 0
        if self._forced is not None and not late:
            return self._forced
        if exit_["why"] == "memory":
            return "memory", "its processes together used more memory than allowed"
        if exit_["why"] == "processes":
            return "crashed", "it started more processes than allowed"
        if "code" not in exit_:
            return "crashed", "the sandbox's server died"
        code = exit_["code"]
        if code < 0:
            return self._signalled(-code)
        if code == child.EXIT_PIPE_BROKEN:
            return "protocol", "its pipe was closed or damaged before it could answer"
        try:
            self._decoder.close()
        except wire.ProtocolError as error:
            return "protocol", error.message
        if self._end is None or code != 0:
            return "crashed", f"it exited with code {code} before its entry function ended"
        return self._end["status"], self._end["detail"]

    def _signalled(self, number: int) -> tuple[Status, str]:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        if number == signal.SIGXCPU:
            return "timeout", "it used up its processor time"
        if number == signal.SIGABRT and b"bad_alloc" in self._tail:
            return "memory", "std::bad_alloc"
        return "crashed", name


def _checked_end(message: wire.Message) -> dict[str, Any]:
    status, detail = message.body.get("status"), message.body.get("detail")
    if status not in ("ok", "raised", "memory") or not isinstance(detail, str) or message.arrays:
        raise wire.ProtocolError("its last frame is not one")
    return {"status": status, "detail": detail[:4000]}
