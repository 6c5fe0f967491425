"""The front page's commands: how the Makefile passes on exit codes and ^C, with a stand-in for the program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .helpers import ROOT, environment


def stand_in(place: Path, script: str) -> list[str]:
    """A virtual environment that counts as installed, with a script for ``sysmith``; returns make's command line."""
    folder = place / "venv"
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "sysmith"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    for stamp in (".torch", ".installed"):
        (folder / stamp).touch()
        time.sleep(0.02)
    return ["make", "--no-print-directory", "-C", str(ROOT), f"VENV={folder}", "ARGS="]


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 2), (130, 2)])
def test_a_complete_run_is_a_success_and_nothing_else_is(place: Path, code: int, expected: int) -> None:
    make = stand_in(place, f"echo $*; exit {code}")
    done = subprocess.run(
        [*make, "run", "ARGS=--jobs 3"], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert done.stdout == "kernelgen --ops all --jobs 3\n"
    # make itself answers every failure of a recipe with 2, and names the recipe's own code.
    assert done.returncode == expected
    assert (f"Error {code}" in done.stderr) == bool(expected)
    assert ("not every operator passed" in done.stderr) == (code == 1)
    assert ("make resume" in done.stderr) == (code == 130)


def test_resume_asks_for_the_latest_run(place: Path) -> None:
    make = stand_in(place, "echo $*")
    done = subprocess.run([*make, "resume"], capture_output=True, text=True, env=environment(), timeout=60)
    assert done.stdout == "kernelgen --ops all --resume latest\n"


def test_the_demo_is_a_dozen_operators(place: Path) -> None:
    from kernelgen.evaluate.opinfo import database

    make = stand_in(place, "echo $3")
    done = subprocess.run([*make, "demo"], capture_output=True, text=True, env=environment(), timeout=60)
    names = done.stdout.strip().split(",")
    assert len(names) == len(set(names)) == 12
    assert set(names) <= set(database())


def test_an_interrupt_reaches_the_program_which_ends_in_its_own_time(place: Path) -> None:
    make = stand_in(place, 'trap "sleep 0.3; echo kept; exit 130" INT\necho ready\nwhile :; do sleep 0.05; done')
    with subprocess.Popen(
        [*make, "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does
        out, err = process.communicate(timeout=30)
    assert out == "kept\n"
    assert "make resume" in err
    assert process.returncode != 0
