"""Frames survive the trip, and nothing but frames is taken for one."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import wire
from sysmith_errors import SysmithError

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
bodies = st.dictionaries(st.text(), json_values, max_size=5)
messages = st.builds(wire.Message, bodies, st.lists(st.binary(max_size=300), max_size=5))


def flat(message: wire.Message) -> bytes:
    return b"".join(wire.encode(message))


@given(st.lists(messages, max_size=4), st.integers(1, 200))
def test_messages_survive_any_chunking(sent: list[wire.Message], size: int) -> None:
    stream = b"".join(map(flat, sent))
    decoder = wire.Decoder()
    got = [m for at in range(0, len(stream), size) for m in decoder.feed(stream[at : at + size])]
    decoder.close()
    assert [(m.body, [bytes(a) for a in m.arrays]) for m in got] == [(m.body, list(m.arrays)) for m in sent]


@given(st.binary(max_size=400))
def test_garbage_is_a_protocol_error_or_incomplete(data: bytes) -> None:
    decoder = wire.Decoder(max_bytes=1000)
    try:
        got = decoder.feed(data)
        decoder.close()
    except wire.ProtocolError:
        return
    assert bool(got) == bool(data)  # whole frames, each of at least a prefix


@given(messages, st.data())
def test_a_cut_frame_is_never_complete(message: wire.Message, data: st.DataObject) -> None:
    frame = flat(message)
    cut = data.draw(st.integers(1, len(frame) - 1))
    decoder = wire.Decoder()
    assert decoder.feed(frame[:cut]) == []
    with pytest.raises(wire.ProtocolError, match="inside a frame"):
        decoder.close()


@given(messages, st.data())
def test_a_damaged_frame_raises_nothing_but_protocol_errors(message: wire.Message, data: st.DataObject) -> None:
    frame = bytearray(flat(message))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    decoder = wire.Decoder(max_bytes=1 << 20)
    with contextlib.suppress(wire.ProtocolError):
        assert all(isinstance(got.body, dict) for got in decoder.feed(frame))
        decoder.close()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.arange(12, dtype=np.complex64).reshape(3, 4),
        np.arange(12, dtype=np.float16),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.array([True, False]),
    ],
)
def test_arrays_of_any_kind_arrive_as_their_bytes(array: np.ndarray) -> None:
    (got,) = wire.Decoder().feed(flat(wire.Message({}, [array])))
    assert bytes(got.arrays[0]) == array.tobytes()


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": {1, 2}}, {"x": b"bytes"}, ["no dict"]])
def test_what_json_cannot_hold_is_refused_at_the_sender(body: Any) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.encode(wire.Message(body))


def test_an_announced_size_over_the_limit_is_refused_before_memory_is_taken() -> None:
    head = wire.encode(wire.Message({}, [bytes(2000)]))[0]
    assert issubclass(wire.ProtocolError, SysmithError)
    with pytest.raises(wire.ProtocolError, match="announces"):
        wire.Decoder(max_bytes=1000).feed(head)


@pytest.mark.parametrize(
    "text", [b"[1]", b'{"a":NaN}', b'{"a":', b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b"\xff\xff"]
)
def test_bad_json_is_refused(text: bytes) -> None:
    frame = bytearray(wire._PREFIX.pack(wire.MAGIC, 0, 0, len(text)) + text)
    with pytest.raises(wire.ProtocolError, match="JSON"):
        wire.Decoder().feed(frame)


def test_a_pipe_carries_a_large_message() -> None:
    reader, writer = os.pipe()
    sent = wire.Message({"n": 1}, [os.urandom(3 << 20), b""])
    thread = threading.Thread(target=wire.write_message, args=(writer, sent))
    thread.start()
    got = wire.read_message(reader)
    thread.join()
    os.close(writer)
    assert [bytes(a) for a in got.arrays] == list(sent.arrays)
    with pytest.raises(wire.ProtocolError, match="ended"):
        wire.read_message(reader)
    os.close(reader)
