"""Which sandbox this machine offers and how a program is started in it; what runs inside is not its concern."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from harness import bubblewrap, landlock, leftovers, paths, seccomp
from sysmith_errors import MissingPart

TierName = Literal["bubblewrap", "landlock", "none"]
SCRATCH_BYTES: Final = 512 << 20


@dataclass(frozen=True, slots=True)
class Tier:
    """How strongly untrusted code is confined here, and why it is not more strongly."""

    name: TierName
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@cache
def detect_tier() -> Tier:
    """The strongest tier that works on this machine: tried once, then remembered."""
    bubblewrap_problem = bubblewrap.problem()
    if not bubblewrap_problem:
        return Tier("bubblewrap", "bwrap works" + _filter_note())
    landlock_abi = landlock.abi() if sys.platform == "linux" else 0
    if landlock_abi and seccomp.supported():
        return Tier("landlock", f"{bubblewrap_problem}; landlock ABI {landlock_abi}")
    missing = "this kernel offers no landlock" if not landlock_abi else "no system-call filter for this processor"
    return Tier("none", f"{bubblewrap_problem}; {missing}")


def require_tier(*, allow_unsandboxed: bool = False) -> Tier:
    """``detect_tier()``, but raises MissingPart for "none" unless ``allow_unsandboxed``."""
    tier = detect_tier()
    if tier.name == "none" and not allow_unsandboxed:
        raise MissingPart(
            f"no sandbox works on this machine: {tier.reason}",
            mend="Install bubblewrap, use a kernel with landlock, or accept the risk with --allow-unsandboxed.",
        )
    return tier


def _filter_note() -> str:
    return "" if seccomp.supported() else "; no system-call filter for this processor"


@dataclass(slots=True)
class Launch:
    """A program ready to be started: its command line, its whole environment and what it must do itself inside."""

    argv: list[str]
    env: dict[str, str]
    confine: dict[str, Any] | None
    scratch: str
    _folder: str | None = field(default=None)

    def clean(self) -> None:
        """Remove the scratch directory, where it is one of this machine's own."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def prepare(tier: Tier, program: Sequence[str], *, env: Mapping[str, str], hide: Iterable[Path] = ()) -> Launch:
    """Make ``program`` ready to run in ``tier`` with only ``env`` and a minimal environment of its own.

    In the landlock tier the program confines itself, by ``Launch.confine``; raises OSError where no scratch directory
    can be made.
    """
    if tier.name == "bubblewrap":
        argv = bubblewrap.command(program, scratch_bytes=SCRATCH_BYTES, hide=hide)
        scratch = str(bubblewrap.SCRATCH)
        return Launch(argv, _environment(scratch, env), None, scratch)
    leftovers.sweep(Path(tempfile.gettempdir()))
    scratch = tempfile.mkdtemp(prefix=f"{leftovers.PREFIX}{os.getpid()}-")
    confine: dict[str, Any] | None = None
    if tier.name == "landlock":
        confine = {
            "read": [str(path) for path in landlock.readable_paths(hide)],
            "hide": [str(path.resolve()) for path in (Path.cwd() / ".sysmith", *hide) if path.is_dir()],
            "scratch_bytes": SCRATCH_BYTES,
        }
    return Launch(list(program), _environment(scratch, env), confine, scratch, scratch)


def _environment(scratch: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Nothing of this process's environment but its import path; one thread, so that the server can fork."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(map(str, paths.import_path())),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        **extra,
    }
