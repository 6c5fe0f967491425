"""What an installation contains: every data file of the packages, and nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .helpers import ROOT

PACKAGES = ("cli", "agents", "kernelgen", "tuners", "knowledge", "harness")


@pytest.mark.slow
def test_the_wheel_holds_all_code_and_data_of_the_packages(place: Path) -> None:
    # From a copy, so that the checkout gets no build folders.
    copy = place / "copy"
    files = [
        ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE", "sysmith_errors.py", "sysmith_files.py")
    ]
    files += [f for package in PACKAGES for f in (ROOT / package).rglob("*") if f.is_file() and f.suffix != ".pyc"]
    for file in files:
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (copy / "tests").mkdir()
    (copy / "tests" / "__init__.py").write_text("")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(place),
        str(copy),
    ]
    done = subprocess.run(build, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    (wheel,) = place.glob("sysmith-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {str(file.relative_to(ROOT)) for file in files[3:]}
    assert expected - inside == set()
    assert {name for name in inside if name.startswith(("tests", "examples"))} == set()
    assert any(name.endswith(".j2") for name in inside)
    assert "kernelgen/catalog/reference_set.json" in inside
