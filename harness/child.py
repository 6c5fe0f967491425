"""What a forked child does: give up what it does not need, run the entry function, say how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from harness import limits, linux, seccomp, wire

Send = Callable[[dict[str, Any], Sequence[wire.Buffer]], None]
Entry = Callable[[wire.Message, Send], None]

EXIT_PIPE_BROKEN: Final = 71
_REQUEST, _REPLY = 3, 4
_DETAIL_CHARACTERS: Final = 4000
_NO_MEMORY_TEXTS: Final = ("bad_alloc", "can't allocate memory", "Cannot allocate memory", "Unable to allocate")


def run(entry: Entry, descriptors: Sequence[int], job: dict[str, Any]) -> NoReturn:
    """Be the child: ``descriptors`` are the request, reply and output pipes; never returns.

    ``job`` has ``memory_bytes``, ``cpu_s``, ``profile`` and ``max_request_bytes``.
    """
    code = EXIT_PIPE_BROKEN
    try:
        _arrange(descriptors)
        limits.apply(memory_bytes=job["memory_bytes"], cpu_s=job["cpu_s"], profile=job["profile"])
        request = wire.read_message(_REQUEST, max_bytes=job["max_request_bytes"])
        os.close(_REQUEST)
        if seccomp.supported():
            seccomp.install(job["profile"])
        code = _call(entry, request)
    finally:
        os._exit(code)  # the server's own exit handlers and buffers are not the child's to run


def _arrange(descriptors: Sequence[int]) -> None:
    os.setsid()
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    high = [os.dup(os.dup2(fd, 64 + index)) for index, fd in enumerate(descriptors)]  # clear of 0 to 4
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for target, source in ((1, high[2]), (2, high[2]), (_REQUEST, high[0]), (_REPLY, high[1])):
        os.dup2(source, target, inheritable=target in (1, 2))
    os.closerange(5, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") <= 65536 else 65536)


def _call(entry: Entry, request: wire.Message) -> int:
    no_memory = wire.encode(wire.Message({"status": "memory", "detail": "MemoryError"}, kind=wire.KIND_END))

    def send(body: dict[str, Any], arrays: Sequence[wire.Buffer] = ()) -> None:
        wire.write_message(_REPLY, wire.Message(body, arrays))

    end = {"status": "ok", "detail": ""}
    try:
        try:
            entry(request, send)
        except BaseException as error:  # whatever untrusted code raises is its result, not this program's fault
            end = {"status": "memory" if _is_no_memory(error) else "raised", "detail": describe(error)}
            with contextlib.suppress(Exception):
                traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # untrusted code may have replaced or closed it
                stream.flush()
        try:
            wire.write_message(_REPLY, wire.Message(end, kind=wire.KIND_END))
        except MemoryError:
            os.write(_REPLY, no_memory[0])
    except OSError:
        return EXIT_PIPE_BROKEN
    return 0


def _is_no_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    with contextlib.suppress(Exception):  # __str__ is untrusted too
        return any(text in str(error) for text in _NO_MEMORY_TEXTS)
    return False


def describe(error: BaseException) -> str:
    """Type and text of an exception as plain text, at most 4000 characters; never raises."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException:  # __str__ is untrusted too
        return name
    return f"{name}: {text}"[:_DETAIL_CHARACTERS] if text else name
