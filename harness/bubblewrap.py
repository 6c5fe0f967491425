"""The bubblewrap tier: the command line that runs a program without network, over read-only files; it runs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from harness import paths

SCRATCH: Final = Path("/tmp/scratch")
_TEMPORARY: Final = SCRATCH.parent


def command(program: Sequence[str], *, scratch_bytes: int, hide: Iterable[Path] = ()) -> list[str]:
    """``program`` wrapped: the file system is read-only, ``SCRATCH`` is empty and writable, of ``scratch_bytes``.

    Homes, run-time sockets, run logs, the evaluation cache and ``hide`` are covered; the interpreter and the import
    path are shown again where they lie under a covered place. The program is process 1 of its own process namespace,
    so nothing that it starts outlives it. Raises FileNotFoundError when bubblewrap is not installed.
    """
    executable = shutil.which("bwrap")
    if executable is None:
        raise FileNotFoundError("bwrap")
    hidden = [*paths.hidden_folders(), *(path.resolve() for path in hide if path.is_dir())]
    needed = paths.code_paths()
    shown = paths.shown_again([*needed, *(path.resolve() for path in needed)], [_TEMPORARY, *hidden])
    covered = [path for path in hidden if not _inside(path, [_TEMPORARY, *(h for h in hidden if h != path)])]
    again = [path for path in hidden if _inside(path, shown)]

    line = [
        executable,
        "--unshare-all",
        "--die-with-parent",
        "--as-pid-1",
        "--cap-drop",
        "ALL",
        "--hostname",
        "sandbox",
    ]
    line += ["--ro-bind", "/", "/", "--dev", "/dev", "--remount-ro", "/dev"]
    # Without the remount the real root, though without capabilities, could write the kernel's settings in /proc/sys.
    line += ["--proc", "/proc", "--remount-ro", "/proc"]
    line += ["--tmpfs", str(_TEMPORARY), "--size", str(scratch_bytes), "--tmpfs", str(SCRATCH)]
    for path in covered:
        line += ["--tmpfs", str(path)]
    for path in shown:
        line += ["--ro-bind", str(path), str(path)]
    for link in paths.executable_links():
        if _inside(link, [_TEMPORARY, *hidden]) and not _inside(link, shown):
            line += ["--symlink", os.readlink(link), str(link)]
    for path in again:
        line += ["--tmpfs", str(path)]
    for path in dict.fromkeys([_TEMPORARY, *covered, *again]):
        line += ["--remount-ro", str(path)]
    for path in paths.hidden_files():
        line += ["--ro-bind", "/dev/null", str(path)]
    return [*line, "--chdir", str(SCRATCH), "--", *program]


def problem() -> str:
    """Why bubblewrap cannot be used here, in words; empty when it works."""
    try:
        line = command(["/bin/true"], scratch_bytes=1 << 20)
        done = subprocess.run(line, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except FileNotFoundError:
        return "bubblewrap is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start ({type(error).__name__})"
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"bubblewrap does not work here ({said[-1] if said else f'exit code {done.returncode}'})"


def _inside(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)
