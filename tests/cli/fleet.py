"""The example fleet as the tests of ``upgrade-sched plan`` use it."""

from __future__ import annotations

import shutil
from pathlib import Path

from .helpers import ROOT

EXAMPLE = ROOT / "examples" / "fleet"
FILES = ("--fleet", "fleet.csv", "--windows", "windows.csv")
ALL = (*FILES, "--upgrades", "upgrades.csv", "--constraints", "constraints.toml", "--durations", "durations.csv")
QUICK = ("--tries", "1", "--polish", "0")


def copy_example(place: Path) -> None:
    """Put the example's files into ``place``."""
    for file in EXAMPLE.iterdir():
        if file.is_file():
            shutil.copy(file, place)
