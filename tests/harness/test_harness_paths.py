"""What is shown and what is hidden, and what the package itself costs to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import bubblewrap, leftovers, paths


def test_needed_places_under_hidden_ones_are_shown_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    venv = home / "venv"
    venv.mkdir(parents=True)
    assert paths.shown_again([venv, Path("/usr")], [home]) == [venv]


def test_a_checkout_that_is_the_home_shows_its_packages_only(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "module.py").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "data").mkdir()
    assert paths.shown_again([tmp_path], [tmp_path]) == [tmp_path / "module.py", tmp_path / "package"]


def test_this_package_and_its_interpreter_are_needed() -> None:
    needed = paths.code_paths()
    for place in (Path(paths.__file__), Path(sys.executable), Path(subprocess.__file__)):
        assert any(place.is_relative_to(path) for path in needed), place


def test_the_home_is_covered_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if bubblewrap.problem():
        pytest.skip(bubblewrap.problem())
    home = Path(__file__).parent  # any place outside /tmp; it is only named, not used
    monkeypatch.setenv("HOME", str(home))
    line = bubblewrap.command(["x"], scratch_bytes=1)
    assert any(line[at : at + 2] == ["--tmpfs", str(home.resolve())] for at in range(len(line)))


def test_importing_the_harness_imports_no_heavy_library() -> None:
    script = (
        "import sys, harness.pool, harness.cache; print([m for m in ('torch', 'triton', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_leftovers_of_dead_processes_are_swept_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    gone, full = tmp_path / f"sysmith-{dead.pid}-a", tmp_path / f"sysmith-{dead.pid}-full"
    kept = [tmp_path / f"sysmith-{os.getpid()}-a", tmp_path / "sysmith-notes", tmp_path / "other", full]
    for folder in (gone, *kept):
        folder.mkdir()
    (full / "file").touch()
    leftovers.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
