"""The event log under crashes, threads and full disks; what events mean is not tested here."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.artifacts import ArtifactStore
from agents.events import EventLog, read_events
from sysmith_errors import InputError, InternalFault, SysmithError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["$artifact", "$$", "$x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def write(path: Path, count: int) -> list[int]:
    """A log of ``count`` events; returns the size of the file after each."""
    sizes = []
    with EventLog(path) as log:
        for number in range(count):
            log.append("step", {"number": number, "text": "ü\n\u2028"}, problem="p")
            sizes.append(path.stat().st_size)
    return sizes


def test_events_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(path, 3)
    events = read_events(path)
    assert [(event.seq, event.kind, event.problem) for event in events] == [(n, "step", "p") for n in (1, 2, 3)]
    with EventLog(path) as log:
        assert log.append("step", {}).seq == 4
        assert [log.unpack(event)["number"] for event in log.of("p")] == [0, 1, 2]
        assert [event.seq for event in log.of(None)] == [4]


def test_a_last_line_torn_at_any_byte_is_dropped_and_the_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    *_, before, end = write(path, 3)
    whole = path.read_bytes()
    for size in range(before, end):
        path.write_bytes(whole[:size])
        assert [event.seq for event in read_events(path)] == [1, 2]
        assert path.stat().st_size == size, "reading must not change the file"
        with EventLog(path) as log:
            assert log.torn_bytes == size - before
            assert path.read_bytes() == whole[:before]
            log.append("after", {})
        assert [event.kind for event in read_events(path)] == ["step", "step", "after"]


@given(st.data())
def test_damage_before_the_last_line_names_file_and_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    write(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    line = data.draw(st.integers(0, 2))
    junk = data.draw(
        st.sampled_from([b"", b"{", b"\x00" * 20, b"\xff\xfe", b"[]", b"{}", b"7", lines[3].strip(), b'{"v": 99}'])
    )
    lines[line] = junk + b"\n"
    damaged = b"".join(lines)
    path.write_bytes(damaged)
    for opener in (read_events, EventLog):
        with pytest.raises(InputError) as caught:
            opener(path)
        assert f"{path}, line {line + 1}" in str(caught.value)
    assert path.read_bytes() == damaged, "a damaged log is left as found"


def test_a_whole_last_line_of_junk_is_torn_but_one_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\x00" * 30 + b"}\n")
    assert len(read_events(path)) == 2
    path.write_bytes(whole + b'{"v": 2}\n')
    with pytest.raises(InputError, match="line 3: schema version 2"):
        EventLog(path)
    assert path.read_bytes() == whole + b'{"v": 2}\n'


def test_threads_append_whole_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:

        def work(name: str) -> None:
            for number in range(25):
                log.append("step", {"number": number, "long": name * 9000}, problem=name)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with EventLog(path) as log:
        assert len(read_events(path)) == 150
        for name in "abcdef":
            found = [log.unpack(event) for event in log.of(name)]
            assert [data["number"] for data in found] == list(range(25))
            assert {data["long"] for data in found} == {name * 9000}
    assert len(list((tmp_path / "artifacts").iterdir())) == 6
    assert path.stat().st_size < 150 * 400, "long texts belong in artifacts"


@settings(max_examples=60)
@given(JSON)
def test_packing_loses_nothing(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    store = ArtifactStore(tmp_path_factory.mktemp("store") / "artifacts", inline_characters=3)
    packed = json.loads(json.dumps(store.pack(value)))
    assert store.unpack(packed) == value


def test_a_damaged_or_missing_artifact_is_named(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.put("x" * 10)
    (tmp_path / name).write_text("y" * 10)
    with pytest.raises(InputError, match=f"{name} is damaged"):
        store.get(name)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        store.get(name)


@pytest.mark.parametrize("written", [0, 1, 20])
@pytest.mark.parametrize("broken", ["write", "fsync"])
def test_a_full_disk_is_one_clear_error_and_the_log_stays_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int, broken: str
) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append("step", {})
    size = path.stat().st_size
    real = os.write
    calls = 0

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def short_then_full(handle: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        return real(handle, data[:written]) if calls == 1 and written else full()

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, short_then_full if broken == "write" else full)
        with pytest.raises(SysmithError, match=r"No space left on device.*resume"):
            log.append("step", {})
    assert path.stat().st_size == size
    with pytest.raises(SysmithError, match="No space left"):  # it does not go on as if nothing had happened
        log.append("step", {})
    log.close()
    with EventLog(path) as again:
        assert again.torn_bytes == 0
        assert again.append("step", {}).seq == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_always_full(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    full = os.open("/dev/full", os.O_WRONLY)
    assert log._handle is not None
    os.dup2(full, log._handle)
    os.close(full)
    with pytest.raises(SysmithError, match="No space left"):
        log.append("step", {})
    log.close()
    assert read_events(path) == []


def test_a_full_disk_under_an_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("step", {"text": "small"})
        with monkeypatch.context() as patch:
            patch.setattr("sysmith_files.os.replace", full)
            with pytest.raises(SysmithError, match="No space left"):
                log.append("step", {"text": "x" * 10_000})
        assert list((tmp_path / "artifacts").iterdir()) == [], "no half-written file stays"
    assert len(read_events(tmp_path / "events.jsonl")) == 1


def test_what_json_cannot_say_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        for data in ({"x": float("nan")}, {"x": object()}, {"x": {1: 2}}):
            with pytest.raises(InternalFault, match="JSON"):
                log.append("step", data)
        assert log.append("step", {}).seq == 1
    with pytest.raises(InternalFault, match="closed"):
        log.append("step", {})
    assert len(read_events(log.path)) == 1


def test_a_log_that_cannot_be_opened_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        EventLog(tmp_path / "nowhere" / "events.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_events(tmp_path / "events.jsonl")


def test_all_events_come_in_order_whatever_their_problem(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        for problem in ("a", None, "b", "a"):
            log.append("kind", {}, problem=problem)
        assert [(event.seq, event.problem) for event in log.all()] == [(1, "a"), (2, None), (3, "b"), (4, "a")]
