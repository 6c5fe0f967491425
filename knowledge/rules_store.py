"""Where rules are kept: an append-only file of JSON lines, safe against concurrent runs and crashes; learns nothing.

One line is one state of one rule, ``{"v": 1, "rule": {...}}``; the last one of an id counts. Writers take a lock file,
drop what a crash tore off the end, read, append and sync. When most lines are outdated, the file is rewritten and
replaced in one step. Readers need no lock: they see whole lines only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from knowledge.rules import Rule, rule_to_json
from knowledge.rules_check import rule_from_json
from sysmith_errors import InputError, SysmithError
from sysmith_files import fsync_dir, write_atomic

SCHEMA_VERSION = 1
FILE = "rules.jsonl"
LOCK_WAIT_S = 30.0
_OUTDATED = 64  # lines that may be outdated before the file is rewritten
_MOVE = "Mend the line, or move the file away to begin anew."


def user_folder() -> Path:
    """``$SYSMITH_RULES_DIR``, or ``sysmith`` under ``$XDG_DATA_HOME`` or ``~/.local/share``."""
    if own := os.environ.get("SYSMITH_RULES_DIR"):
        return Path(own)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "sysmith"


class RuleStore:
    """The rules in ``folder``. Safe to use from many threads and processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE

    def read(self) -> dict[str, Rule]:
        """Rules by id, in the order they were learned; no file means no rules.

        Raises InputError naming file and line for what is damaged other than at the end, or of another version.
        """
        return self._parse(self._content())[0]

    def update(self, change: Callable[[Mapping[str, Rule]], Iterable[Rule]]) -> tuple[Rule, ...]:
        """Write the rules that ``change`` makes of the current ones, and return those that are new or differ.

        No other process can come between reading and writing. Raises InputError where the folder cannot be written or
        the file is damaged, SysmithError where the lock stays taken or the disk is full.
        """
        with self._locked():
            content = self._content()
            rules, lines, whole = self._parse(content)
            changed = tuple(rule for rule in change(dict(rules)) if rules.get(rule.id) != rule)
            if changed:
                rules |= {rule.id: rule for rule in changed}
                try:
                    if lines + len(changed) > 2 * len(rules) + _OUTDATED:
                        self._rewrite(rules.values())
                    else:
                        self._append(changed, whole)
                except OSError as error:
                    raise SysmithError(
                        f"cannot write to {self.path}: {error.strerror}", mend="Free some space or mend the disk."
                    ) from error
            return changed

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise InputError(
                f"rule store {self.path} cannot be read: {error.strerror}", mend="Mend or remove it."
            ) from error

    def _parse(self, content: bytes) -> tuple[dict[str, Rule], int, int]:
        """Rules, number of lines, and the bytes of whole lines: what follows them was torn by a crash."""
        lines = content.split(b"\n")
        whole = len(content) - len(lines.pop())
        rules: dict[str, Rule] = {}
        for number, line in enumerate(lines, start=1):
            where = f"{self.path}, line {number}"
            try:
                document = json.loads(line)
            except ValueError as error:
                if number == len(lines) and whole == len(content):
                    # After a power cut the last line may keep its end and lose its middle.
                    return rules, number - 1, whole - len(line) - 1
                raise InputError(f"{where} is damaged ({error})", mend=_MOVE) from error
            version = document.get("v") if isinstance(document, dict) else None
            if version != SCHEMA_VERSION:
                raise InputError(f"{where} has version {version!r}, not {SCHEMA_VERSION}", mend=_MOVE)
            rule = rule_from_json(document.get("rule"), where)
            rules[rule.id] = rule
        return rules, len(lines), whole

    def _append(self, rules: Iterable[Rule], whole: int) -> None:
        fresh = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(handle, whole)
            os.lseek(handle, whole, os.SEEK_SET)
            _write(handle, b"".join(_line(rule) for rule in rules))
        finally:
            os.close(handle)
        if fresh:
            fsync_dir(self.folder)

    def _rewrite(self, rules: Iterable[Rule]) -> None:
        write_atomic(self.path, b"".join(_line(rule) for rule in rules))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # A file of its own, as the data file is replaced now and then, and a lock on the old one would guard nothing.
        path = self.folder / f"{FILE}.lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(
                f"rule store {self.folder} cannot be written: {error.strerror}", mend="Choose a folder that can be."
            ) from error
        try:
            self._take(handle)
            yield
        finally:
            os.close(handle)  # this gives up the lock too

    def _take(self, handle: int) -> None:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise InputError(f"rule store {self.folder} cannot be locked: {error.strerror}") from error
                if time.monotonic() >= deadline:
                    raise SysmithError(
                        f"rule store {self.folder} was locked by another process for {LOCK_WAIT_S:.0f} s",
                        mend="Wait for it to end, or stop it.",
                    ) from error
            time.sleep(0.01)


def _line(rule: Rule) -> bytes:
    document: dict[str, Any] = {"v": SCHEMA_VERSION, "rule": rule_to_json(rule)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _write(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)
