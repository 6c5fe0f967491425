"""The lock of a store, one writer at a time; it knows nothing of manuals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sysmith_errors import InputError

# What mends a damaged index: the originals are still there.
REBUILD = "Run sysmith knowledge rebuild."


@contextlib.contextmanager
def locked(folder: Path, *, wait_s: float = 60.0, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the folder's lock, which dies with the process. Waits up to ``wait_s`` for another writer.

    Raises InputError where the folder cannot be written or the other writer does not end.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", mend="Choose another --state.") from None
    try:
        end, told = time.monotonic() + wait_s, False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise InputError(
                        f"another process is changing {folder}", mend="Wait for it to end, or stop it."
                    ) from None
                if not told:
                    say(f"waiting for another process that is changing {folder}")
                    told = True
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)
