"""The files of a run's command line: an earlier report in, and reports out that are known to be writable beforehand."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sysmith_errors import InputError


def read_report(path: Path) -> dict[str, Any]:
    """Read an earlier ``--json`` report. Raises InputError naming the file, the field and the mend."""
    mend = "Name a file that sysmith kernelgen --json wrote."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--baseline: {path} cannot be read: {error.strerror}", mend=mend) from None
    except UnicodeDecodeError:
        raise InputError(f"--baseline: {path} is not UTF-8 text", mend=mend) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"--baseline: {path} is not JSON ({where}: {error.msg})", mend=mend) from None
    except RecursionError:
        raise InputError(f"--baseline: {path} is nested too deeply", mend=mend) from None
    operators = data.get("operators") if isinstance(data, dict) else None
    if not isinstance(operators, list):
        raise InputError(f"--baseline: {path} has no field operators that is a list", mend=mend)
    for number, entry in enumerate(operators):
        fault = _fault(entry)
        if fault:
            raise InputError(f"--baseline: {path}: operators[{number}]{fault}", mend=mend)
    return data


def _fault(entry: Any) -> str:
    """Return what is wrong with an operator's entry, as far as a comparison reads it, or ""."""
    if not isinstance(entry, dict):
        return " is not an object"
    if not isinstance(entry.get("name"), str):
        return ".name is not a text"
    dtypes = entry.get("dtypes")
    if not isinstance(dtypes, dict):
        return ".dtypes is not an object"
    for dtype, score in dtypes.items():
        whole = isinstance(score, list) and len(score) == 2 and all(type(count) is int for count in score)
        if not whole:
            return f".dtypes.{dtype} is not a pair of counts [total, passed]"
    return ""


def check_writable_file(option: str, path: Path) -> None:
    """Raise InputError unless a file can be written at ``path``; leaves nothing behind."""
    existed = path.exists()
    try:
        with path.open("a"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise InputError(
            f"{option}: {path} cannot be written: {error.strerror}", mend="Name a file in a folder that exists."
        ) from None


def check_writable_folder(option: str, path: Path, mend: str) -> None:
    """Raise InputError unless files can be made in the folder ``path``; makes the folder."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{option}: {path} cannot be written: {error.strerror}", mend=mend) from None


def write_all(files: Mapping[Path, str]) -> None:
    """Write texts to files. Raises OSError when the disk refuses."""
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
