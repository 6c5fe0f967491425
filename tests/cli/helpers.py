"""Starting the program as a user does, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

ROOT = Path(__file__).resolve().parents[2]
# A small run: three operators, a few samples, no compiler.
SMALL = ("kernelgen", "--ops", "add,neg,view", "--dtypes", "float32", "--samples", "3", "--target", "interpret")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]


def environment(**extra: str) -> dict[str, str]:
    """The environment without SYSMITH_* but for the cache, and with this checkout on the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SYSMITH_") or k == "SYSMITH_CACHE_DIR"}
    return kept | {"PYTHONPATH": str(ROOT)} | extra


def sysmith(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 280
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=env or environment(), capture_output=True, text=True, timeout=timeout
    )


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the program in this process: exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence of a refused command line; stdout must be empty."""
    code, out, err = said(capsys, *arguments)
    lines = [line for line in err.splitlines() if not line.startswith("sandbox: ")]
    assert (code, out, len(lines)) == (2, "", 1), err
    assert lines[0].startswith("sysmith: ")
    return lines[0]


def events(state: Path, kind: str) -> Iterator[Any]:
    """The events of one kind in the only run below ``state``."""
    from agents.events import read_events

    (log,) = (state / "runs").glob("*/events.jsonl")
    return (event for event in read_events(log) if event.kind == kind)


def modules_loaded_by(*arguments: str, cwd: Path) -> tuple[str, set[str]]:
    """Run the program, which must end well: what it printed, and the names of the modules it had imported."""
    code = (
        "import sys\nfrom cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    shown, _, loaded = done.stdout.partition("LOADED")
    return shown, set(loaded.split())
