"""Hostile candidates that lint cannot tell from honest ones, and the lint-caught ones with lint off: run for real."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernelgen.check import overloads_in
from kernelgen.evaluate.judge import Judge
from kernelgen.lint import lint_source
from kernelgen.proposer import choose
from kernelgen.run import library

CORPUS = Path(__file__).parent / "corpus"
CANDIDATES = tomllib.loads((CORPUS / "corpus.toml").read_text())["candidate"]
AT_RUN_TIME = [c for c in CANDIDATES if c["caught_by"] == "runtime"]
BY_LINT = [c for c in CANDIDATES if c["caught_by"] == "lint"]
# What the judge says where the attack has no name of its own: the values show it.
SAID_AS = {"uninitialised": "wrong_value", "precision": "wrong_value"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    made = Judge(timeout_s=20, memory_bytes=1 << 30)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kernels() -> dict[str, str]:
    return choose(library(), {})


def verdict_on(judge: Judge, kernels: dict[str, str], candidate: dict[str, Any], dtypes: list[str]) -> Any:
    text = (CORPUS / candidate["file"]).read_text()
    return judge.judge(candidate["operator"], dtypes, kernels | dict.fromkeys(overloads_in(text), text))


@pytest.mark.parametrize("candidate", AT_RUN_TIME, ids=lambda c: c["file"])
def test_run_time_attack_is_caught_by_name(judge: Judge, kernels: dict[str, str], candidate: dict[str, Any]) -> None:
    verdict = verdict_on(judge, kernels, candidate, ["float32", "int64"])
    assert not verdict.passed
    expected = SAID_AS.get(candidate["as"], candidate["as"])
    assert expected == verdict.catch or f"{expected}:" in verdict.reason, verdict.reason


@pytest.mark.parametrize("candidate", BY_LINT, ids=lambda c: c["file"])
def test_with_lint_off_the_sandbox_still_holds(
    judge: Judge, kernels: dict[str, str], candidate: dict[str, Any]
) -> None:
    # Lint alone rejects these. Run all the same, they may compute right or wrong values, but they end, and the judge
    # goes on to give an honest kernel its due.
    text = (CORPUS / candidate["file"]).read_text()
    assert not lint_source(text).ok
    verdict = verdict_on(judge, kernels, candidate, ["float32"])
    assert verdict.status in ("ok", "timeout", "memory", "crashed", "raised", "protocol")
    assert judge.judge("neg", ["float32"], kernels).passed


def test_no_honest_kernel_is_rejected_by_lint() -> None:
    rejected = {
        f"{key} {source.variant}": [f"{f.line} {f.rule}" for f in report.errors]
        for key, found in library().items()
        for source in found
        if not (report := lint_source(source.text, targets=("interpret", "cuda:90", "hip:gfx942"))).ok
    }
    assert rejected == {}
