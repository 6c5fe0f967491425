"""The toy optimizer runs on the loop unchanged, finds the minimum, and replays its log; it tests no other example."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_toy(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "examples/toy_problem.py", str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_toy_reaches_the_known_minimum_and_a_second_run_evaluates_nothing(tmp_path: Path) -> None:
    first = run_toy(tmp_path)
    found = re.match(r"x = (\S+), y = (\S+) after (\d+) trials \(0 replayed\)", first)
    assert found, first
    # The true minimum, from a scan of the curve in steps of 1e-5.
    assert abs(float(found[1]) - -0.51221) < 0.02
    assert -9.7319 < float(found[2]) <= -9.72
    log = (tmp_path / "events.jsonl").read_bytes()

    second = run_toy(tmp_path)
    assert second == first.replace("(0 replayed)", f"({found[3]} replayed)")
    assert (tmp_path / "events.jsonl").read_bytes() == log
