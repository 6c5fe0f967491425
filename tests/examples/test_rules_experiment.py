"""The rules experiment shows what it claims: fewer evaluations on the same and on related problems, same seeds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "examples/rules_experiment.py", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_rules_save_evaluations_on_the_same_and_on_related_problems() -> None:
    document = json.loads(run("--seeds", "10", "--json"))
    rows = {row["problem"]: row for row in document["rows"]}
    assert (document["landscape"], document["seeds"]) == ("synthetic", 10)
    assert all(len(row["pairs"]) == 10 for row in rows.values())
    for name in ("checkpoint", "checkpoint-48-nodes", "checkpoint-24-nodes", "looks-related, again"):
        # The whole interval is above zero, so it is not the luck of a few seeds.
        assert rows[name]["saved_95"][0] > 0, rows[name]
        assert rows[name]["with"] < rows[name]["without"]
    # Where the lesson is wrong rules cost something, and that is reported, too.
    assert rows["looks-related"]["more"] > 0
