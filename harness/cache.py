"""A content-addressed cache of evaluations, one JSON file an entry; it decides nothing about what to evaluate."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from sysmith_errors import InputError

_SCHEMA: Final = 1
_LIBRARIES: Final = ("sysmith", "torch", "triton", "numpy")


def default_root() -> Path:
    """``$SYSMITH_CACHE_DIR``, or ``sysmith`` under ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := os.environ.get("SYSMITH_CACHE_DIR"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sysmith"


def canonical_hash(value: object) -> str:
    """SHA-256, in hexadecimal, of ``value`` as canonical JSON: keys sorted, no spaces, no NaN.

    Raises InputError for a value that JSON cannot hold.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the value to hash is not JSON: {error}", mend="use JSON values only") from None
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of what an evaluation's outcome depends on, read without importing it; "absent" where not installed."""
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


class Cache:
    """Evaluations kept under ``root``; safe under concurrent readers and writers, in one process or many.

    An entry is written to a temporary file, synced and renamed, so a reader sees all of it or nothing. An entry that
    does not parse, or whose digest does not fit, is removed and reported as absent.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_root()) / "evaluations"

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of ``key`` (a ``canonical_hash``), or None; refreshes its age."""
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            entry = json.loads(raw)
            value = entry["value"]
            whole = entry["schema"] == _SCHEMA and entry["key"] == key and entry["digest"] == canonical_hash(value)
        except (ValueError, TypeError, KeyError, RecursionError, InputError):
            whole = False
        if not whole or not isinstance(value, dict):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # prune removes what was longest unused
        return value

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keep ``value`` under ``key``; raises InputError when it is not JSON, OSError when the disk refuses."""
        entry = {"schema": _SCHEMA, "key": key, "digest": canonical_hash(value), "value": value}
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(entry, file, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:  # whatever stops the write, no temporary file is left behind
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def size_bytes(self) -> int:
        """Bytes of all entries together."""
        return sum(size for _, size, _ in self._entries())

    def prune(self, max_bytes: int) -> int:
        """Remove the entries longest unused until at most ``max_bytes`` are left; returns how many went."""
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        removed = 0
        for _, size, path in entries:
            if total <= max_bytes:
                break
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                removed += 1
            total -= size
        return removed

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.root.glob("*/*.json"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path

    def _path(self, key: str) -> Path:
        if not (len(key) == 64 and all(letter in "0123456789abcdef" for letter in key)):
            raise InputError(f"{key!r} is no cache key", mend="make keys with canonical_hash")
        return self.root / key[:2] / f"{key}.json"
