"""Runs generated kernels in a child under Triton's interpreter: Triton decides at import whether it interprets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _child(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def operators_pass() -> Callable[[str, str], None]:
    """Give a function that fails unless every OpInfo name in a space-separated text passes for the dtypes given."""

    def check(names: str, dtypes: str) -> None:
        done = _child("kernelgen.evaluate.inprocess", *names.split(), "--dtypes", dtypes, "--quiet")
        wanted = len(names.split())
        assert done.returncode == 0, done.stdout + done.stderr[-2000:]
        assert f"{wanted} of {wanted} names pass" in done.stdout

    return check


@pytest.fixture
def properties_hold() -> Callable[[str], None]:
    """Give a function that runs a file of property tests, beside this one, with the interpreter switched on."""

    def check(name: str) -> None:
        done = _child("pytest", "-v", "-p", "no:cacheprovider", str(Path(__file__).with_name(name)))
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert " passed" in done.stdout
        assert "skipped" not in done.stdout

    return check
