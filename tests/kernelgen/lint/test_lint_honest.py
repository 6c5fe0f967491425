"""No honest kernel is rejected, and each honest file really launches its kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelgen.lint import lint_source, render

HONEST = sorted((Path(__file__).parent / "honest").glob("*.py"))


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
@pytest.mark.parametrize("target", ["interpret", "cuda:90", "hip:gfx942"])
def test_honest_kernels_have_neither_errors_nor_warnings(path: Path, target: str) -> None:
    report = lint_source(path.read_text("utf-8"), targets=[target], filename=path.name)
    assert [f for f in report.findings if f.severity != "info"] == [], render(report)


def test_there_are_honest_kernels_of_several_archetypes() -> None:
    assert len(HONEST) >= 6
