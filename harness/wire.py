"""Messages between processes: one JSON object and raw buffers in a length-prefixed frame; never pickle, no transport.

A frame is ``b"SYM"``, a kind byte, the number of buffers (u32), the length of the JSON text (u64), the length of each
buffer (u64 each), the JSON text and the buffers. Integers are little-endian.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sysmith_errors import SysmithError

# Anything with the buffer protocol (bytes, bytearray, a NumPy array); Python has a name for it only from 3.12 on.
Buffer = Any

MAGIC: Final = b"SYM"
KIND_MESSAGE: Final = 0
KIND_END: Final = 1  # the last frame of a child: how its entry function ended
MAX_BUFFERS: Final = 1 << 20
MAX_JSON_BYTES: Final = 1 << 28
DEFAULT_MAX_BYTES: Final = 2 << 30

_PREFIX: Final = struct.Struct("<3sBIQ")
_READ_BYTES: Final = 1 << 20


class ProtocolError(SysmithError):
    """What arrived is no valid frame: damaged, cut short or larger than allowed."""


@dataclass(frozen=True, slots=True)
class Message:
    """One JSON object and the raw buffers that go with it (bytes in, bytearrays out)."""

    body: dict[str, Any]
    arrays: Sequence[Buffer] = ()
    kind: int = field(default=KIND_MESSAGE)


def encode(message: Message) -> list[memoryview]:
    """Return the frame of ``message`` as byte views in order, without copying contiguous buffers.

    Raises ProtocolError when the body is not an object of JSON values (NaN and infinities are not JSON).
    """
    if not isinstance(message.body, dict):
        raise ProtocolError(f"a message body must be a dict, not {type(message.body).__name__}")
    try:
        text = json.dumps(message.body, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"the message body is not JSON: {error}") from None
    views = [_as_bytes(array) for array in message.arrays]
    if len(text) > MAX_JSON_BYTES or len(views) > MAX_BUFFERS:
        raise ProtocolError(
            f"a message of {len(text)} JSON bytes and {len(views)} buffers is larger than a frame may be"
        )
    head = _PREFIX.pack(MAGIC, message.kind, len(views), len(text))
    sizes = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
    return [memoryview(head + sizes + text), *views]


def _as_bytes(array: Buffer) -> memoryview:
    view = memoryview(array)
    if view.nbytes == 0:
        return memoryview(b"")
    try:
        return view.cast("B")
    except TypeError:  # strided, or an element type (complex, half) that memoryview cannot cast
        return memoryview(view.tobytes())


class Decoder:
    """An incremental parser of frames: ``feed`` bytes as they come, take whole messages out.

    ``max_bytes`` bounds all bytes ever fed, so a sender cannot fill the memory of the reader: memory grows with what
    arrived, never with what a header announces.
    """

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._seen = 0
        self._need = _PREFIX.size
        self._held = bytearray()
        self._stage: Callable[[bytearray], Message | None] = self._prefix
        self._kind = 0
        self._json_bytes = 0
        self._sizes: list[int] = []
        self._body: dict[str, Any] = {}
        self._arrays: list[bytearray] = []

    @property
    def wanted(self) -> int:
        """How many bytes complete the part now being read (at least 1)."""
        return self._need - len(self._held)

    def feed(self, data: Buffer) -> list[Message]:
        """Take in ``data`` and return the messages it completes; raises ProtocolError on anything not a frame."""
        view = memoryview(data)
        self._seen += view.nbytes
        if self._seen > self._max_bytes:
            raise ProtocolError(f"more than {self._max_bytes} bytes were sent")
        done: list[Message] = []
        while view.nbytes:
            taken = min(self.wanted, view.nbytes)
            self._held += view[:taken]
            view = view[taken:]
            while len(self._held) == self._need:
                part, self._held = self._held, bytearray()
                message = self._stage(part)
                if message is not None:
                    done.append(message)
        return done

    def close(self) -> None:
        """Raise ProtocolError if the stream ended inside a frame."""
        if self._stage != self._prefix or self._held:
            raise ProtocolError("the stream ended inside a frame")

    def _expect(self, need: int, stage: Callable[[bytearray], Message | None]) -> None:
        self._need, self._stage = need, stage

    def _prefix(self, part: bytearray) -> None:
        magic, self._kind, count, self._json_bytes = _PREFIX.unpack(part)
        if magic != MAGIC or self._kind not in (KIND_MESSAGE, KIND_END):
            raise ProtocolError("the bytes are not a frame")
        if count > MAX_BUFFERS or self._json_bytes > MAX_JSON_BYTES:
            raise ProtocolError("the frame is larger than a frame may be")
        self._sizes = [0] * count
        self._expect(8 * count, self._lengths)

    def _lengths(self, part: bytearray) -> None:
        self._sizes = list(struct.unpack(f"<{len(self._sizes)}Q", part))
        if sum(self._sizes) + self._json_bytes > self._max_bytes:
            raise ProtocolError(f"the frame announces more than the {self._max_bytes} bytes allowed")
        self._expect(self._json_bytes, self._json)

    def _json(self, part: bytearray) -> Message | None:
        try:
            body = json.loads(part.decode("ascii"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"the frame's JSON is damaged: {type(error).__name__}") from None
        if not isinstance(body, dict):
            raise ProtocolError("the frame's JSON is not an object")
        self._body, self._arrays = body, []
        return self._advance()

    def _array(self, part: bytearray) -> Message | None:
        self._arrays.append(part)
        return self._advance()

    def _advance(self) -> Message | None:
        if len(self._arrays) < len(self._sizes):
            self._expect(self._sizes[len(self._arrays)], self._array)
            return None
        self._expect(_PREFIX.size, self._prefix)
        message = Message(self._body, self._arrays, self._kind)
        self._body, self._arrays = {}, []
        return message


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def write_message(fd: int, message: Message) -> None:
    """Write the whole frame of ``message`` to a blocking ``fd``; OSError passes through."""
    for view in encode(message):
        while view.nbytes:
            view = view[os.write(fd, view[:_READ_BYTES]) :]


def read_message(fd: int, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Message:
    """Read one frame from a blocking ``fd``; raises ProtocolError at a damaged, oversized or cut frame."""
    decoder = Decoder(max_bytes=max_bytes)
    while True:
        data = os.read(fd, min(decoder.wanted, _READ_BYTES))
        if not data:
            raise ProtocolError("the stream ended before a whole frame")
        if messages := decoder.feed(data):
            return messages[0]
