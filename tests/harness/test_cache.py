"""The cache returns what was put, whole, or nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cache import Cache, canonical_hash, default_root, library_versions
from sysmith_errors import InputError

KEY = canonical_hash("k")


def entry_file(cache: Cache, key: str = KEY) -> Path:
    return cache.root / key[:2] / f"{key}.json"


def test_what_was_put_is_got_and_the_rest_is_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    cache.put(KEY, {"status": "passed", "n": [1, 2.5, None]})
    assert cache.get(KEY) == {"status": "passed", "n": [1, 2.5, None]}
    assert Cache(tmp_path).get(KEY) == cache.get(KEY)
    assert cache.get(canonical_hash("other")) is None
    cache.put(KEY, {"status": "failed"})
    assert cache.get(KEY) == {"status": "failed"}
    assert [path.name for path in cache.root.rglob("*") if path.is_file()] == [f"{KEY}.json"]


@given(st.data())
def test_a_damaged_entry_is_absent_and_removed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    value = {"status": "passed", "text": "abc"}
    cache.put(KEY, value)
    path = entry_file(cache)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        del raw[at:]
    else:
        raw[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    got = cache.get(KEY)
    assert got is None or got == value  # a changed space outside the value changes nothing
    assert path.exists() == (got is not None)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "[" * 100_000, '{"schema": 1}', '{"schema":1,"key":1,"value":2,"digest":3}']
)
def test_other_damage_is_absent_too(tmp_path: Path, text: str) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, {})
    entry_file(cache).write_text(text)
    assert cache.get(KEY) is None
    assert not entry_file(cache).exists()


def test_an_entry_under_the_wrong_key_is_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, {"n": 1})
    other = canonical_hash("other")
    entry_file(cache, other).parent.mkdir(exist_ok=True)
    entry_file(cache).rename(entry_file(cache, other))
    assert cache.get(other) is None


def _hammer(root: str, number: int, failures: multiprocessing.Queue) -> None:
    cache = Cache(Path(root))
    for turn in range(60):
        cache.put(KEY, {"writer": number, "turn": turn, "filling": "x" * 20_000})
        got = cache.get(KEY)
        if got is None or len(got["filling"]) != 20_000:
            failures.put((number, turn))
    failures.put(None)


def test_concurrent_processes_never_see_half_an_entry(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    workers = [context.Process(target=_hammer, args=(str(tmp_path), number, failures)) for number in range(3)]
    for worker in workers:
        worker.start()
    results: list[object] = []
    while results.count(None) < len(workers):
        results.append(failures.get(timeout=60))
    for worker in workers:
        worker.join()
    assert results == [None] * 3


def test_prune_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    keys = [canonical_hash(n) for n in range(4)]
    for age, key in enumerate(keys):
        cache.put(key, {"filling": "x" * 1000})
        os.utime(entry_file(cache, key), (1000 + age, 1000 + age))
    assert cache.get(keys[0]) is not None  # used now, so youngest
    each = cache.size_bytes() // 4
    assert cache.prune(2 * each + 10) == 2
    assert [cache.get(key) is not None for key in keys] == [True, False, False, True]
    assert cache.prune(10**9) == 0


def test_hashes_are_canonical() -> None:
    assert canonical_hash({"a": 1, "b": [2]}) == canonical_hash({"b": [2], "a": 1})
    assert canonical_hash({"a": 1}) != canonical_hash({"a": 1.0})
    for bad in (float("nan"), {1, 2}, object()):
        with pytest.raises(InputError):
            canonical_hash(bad)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_hash_survives_a_trip_through_json(value: dict[str, object]) -> None:
    assert canonical_hash(json.loads(json.dumps(value))) == canonical_hash(value)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "z" * 64, KEY.upper()])
def test_a_key_is_a_hash_or_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match="cache key"):
        Cache(tmp_path).get(key)


def test_the_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYSMITH_CACHE_DIR", str(tmp_path / "own"))
    assert default_root() == tmp_path / "own"
    monkeypatch.delenv("SYSMITH_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "sysmith"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "sysmith"


def test_library_versions_name_what_matters() -> None:
    versions = library_versions()
    assert {"python", "torch", "triton", "numpy", "sysmith"} <= set(versions)
    assert "absent" not in (versions["numpy"], versions["torch"])
