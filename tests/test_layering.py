"""The shape of the code base: who imports whom, file sizes, docstrings, light start-up; it runs no feature."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "kernelgen", "tuners", "agents", "knowledge", "harness")
BELOW: dict[str, set[str]] = {
    "cli": {"kernelgen", "tuners", "agents", "knowledge", "harness"},
    "kernelgen": {"agents", "knowledge", "harness"},
    "tuners": {"agents", "knowledge", "harness"},
    "agents": {"knowledge", "harness"},
    "knowledge": set(),
    "harness": set(),
    "sysmith_errors": set(),
    "sysmith_files": set(),
}
LONGEST = 400
HEAVY = (
    *("torch", "triton", "litellm", "jinja2", "pydantic", "chromadb", "pandas", "pyarrow", "sklearn", "xgboost"),
    *("optuna", "ortools", "bs4", "docutils", "pypdf", "bm25s"),
)

SHARED = ("sysmith_errors.py", "sysmith_files.py")
PACKAGED = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
FILES = sorted([*(ROOT / name for name in SHARED), *PACKAGED])
NAMES = [str(file.relative_to(ROOT)) for file in FILES]


def imported(tree: ast.AST, inside: tuple[str, ...]) -> set[str]:
    """The top-level names that a module imports; ``inside`` is the package it lies in, for relative imports."""
    tops: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                tops.add((node.module or "").split(".")[0])
            elif node.level > len(inside):
                tops.add("..")  # climbs out of its own top-level package
            else:
                tops.add(inside[0])
    return tops


def violations(source: str, path: Path) -> set[str]:
    """Packages of ours that the module at ``path`` (relative to the root) must not import, yet does."""
    own = path.parts[0].removesuffix(".py")
    tops = imported(ast.parse(source), path.parts[:-1])
    return (tops & {*PACKAGES, "..", "tests", "examples"}) - BELOW[own] - {own}


def test_the_walk_sees_every_package() -> None:
    seen = {Path(name).parts[0] for name in NAMES}
    assert seen == {*PACKAGES, *SHARED}


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_only_what_lies_below_it(name: str) -> None:
    assert violations((ROOT / name).read_text(), Path(name)) == set()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("harness/x.py", "from agents.loop import run_loop"),
        ("harness/x.py", "import knowledge.rules as r"),
        ("knowledge/x.py", "def f():\n    import harness"),
        ("agents/x.py", "import json, kernelgen"),
        ("kernelgen/x.py", "from tuners import iotune"),
        ("tuners/a/x.py", "from ... import cli"),
        ("sysmith_errors.py", "import agents"),
        ("sysmith_files.py", "import harness"),
    ],
)
def test_an_import_in_the_wrong_direction_is_noticed(path: str, source: str) -> None:
    assert violations(source, Path(path))


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_short_and_says_what_it_is_for(name: str) -> None:
    source = (ROOT / name).read_text()
    assert len(source.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(source)), "no module docstring"


def modules_loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def light_modules() -> list[str]:
    return sorted("agents." + file.stem for file in (ROOT / "agents").glob("*.py") if file.stem != "__init__")


def test_agents_do_not_import_anything_heavy() -> None:
    assert modules_loaded_by(", ".join(light_modules())) & set(HEAVY) == set()


def test_the_command_line_does_not_import_anything_heavy() -> None:
    assert modules_loaded_by("cli.main") & set(HEAVY) == set()
