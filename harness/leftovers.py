"""Empty directories that a killed process left behind, removed by the next one; it touches nothing that holds files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

PREFIX: Final = "sysmith-"


def sweep(parent: Path) -> None:
    """Remove empty ``sysmith-PID-*`` directories (control groups without members included) of processes now gone."""
    with contextlib.suppress(OSError):
        for entry in parent.iterdir():
            owner = entry.name.removeprefix(PREFIX).partition("-")[0]
            if entry.name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
                with contextlib.suppress(OSError):  # not empty, or another's
                    entry.rmdir()
