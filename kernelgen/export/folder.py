"""Put an export in its place: all of it or nothing, and never over files that are not an earlier export's."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernelgen.export.manifest import KIND, NAME, digest
from sysmith_errors import InputError

_ELSEWHERE = "Choose another folder for --out, or move its files away."


def check_replaceable(out: Path) -> None:
    """Raise InputError unless ``out`` is absent, empty, or an earlier export that nobody has changed since.

    Python's own ``__pycache__`` folders do not count.
    """
    try:
        _check(out)
    except OSError as error:
        raise _refused(out, error) from None


def _check(out: Path) -> None:
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise InputError(f"--out {out} is not a folder", mend=_ELSEWHERE)
    present = {
        path.relative_to(out).as_posix(): path
        for path in out.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and "__pycache__" not in path.relative_to(out).parts
    }
    if not present:
        return
    exported = _exported_files(out)
    if exported is None:
        raise InputError(f"--out {out} holds files and is no earlier export", mend=_ELSEWHERE)
    for name, path in present.items():
        if name != NAME and (name not in exported or digest(path.read_bytes()) != exported[name]):
            how = "changed" if name in exported else "added"
            raise InputError(f"--out {out}: {name} was {how} since the export, and would be lost", mend=_ELSEWHERE)


def _exported_files(out: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((out / NAME).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND or not isinstance(manifest.get("files"), dict):
        return None
    return manifest["files"]


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (relative path -> bytes) to a new folder beside ``out``, then rename it to ``out``.

    Call :func:`check_replaceable` first: what was at ``out`` is gone afterwards. A failure, a full disk say, leaves the
    old export as it was. Raises InputError.
    """
    target = out.resolve()
    work: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        fresh, old = work / "new", work / "old"
        for name, content in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(fresh, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.rename(old, target)
            raise
    except OSError as error:
        raise _refused(out, error) from None
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        # The rename may reach the disk before the data: without this a power cut could leave empty files in place.
        os.fsync(stream.fileno())


def _refused(out: Path, error: OSError) -> InputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f"--out {out}: the disk is full, so nothing was exported",
            mend="Free some space, or choose a folder on another disk.",
        )
    where = f" ({error.filename})" if error.filename else ""
    return InputError(f"--out {out} cannot be written: {error.strerror or error}{where}", mend="Choose another folder.")
