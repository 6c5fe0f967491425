"""Every hostile candidate that lint can catch is caught by its rule; the others reach the evaluator."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from kernelgen.lint import lint_source

CORPUS = Path(__file__).parent / "corpus"
CANDIDATES = tomllib.loads((CORPUS / "corpus.toml").read_text("utf-8"))["candidate"]
RUNTIME = {
    *("aten_compute", "no_launch", "wrong_value", "mutated_input", "aliases_input", "stale_output", "nondeterministic"),
    *("uninitialised", "timeout", "memory", "sandbox", "dtype_mismatch", "precision"),
}


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate["file"])
def test_each_hostile_candidate_is_caught_by_its_name(candidate: dict[str, str]) -> None:
    report = lint_source((CORPUS / candidate["file"]).read_text("utf-8"), filename=candidate["file"])
    errors = {finding.rule for finding in report.errors}
    if candidate["caught_by"] == "lint":
        assert candidate["as"] in errors
    else:
        assert candidate["caught_by"] == "runtime"
        assert candidate["as"] in RUNTIME
        # These have nothing wrong in their source; a lint error would hide whether the evaluator catches them.
        assert errors == set()


def test_manifest_and_folder_agree() -> None:
    assert sorted(item["file"] for item in CANDIDATES) == sorted(path.name for path in CORPUS.glob("*.py"))
    assert len(CANDIDATES) >= 34


def test_every_hostile_candidate_is_a_full_candidate() -> None:
    for candidate in CANDIDATES:
        text = (CORPUS / candidate["file"]).read_text("utf-8")
        names = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        assert any(name.endswith("_kernel_impl") for name in names), candidate["file"]
