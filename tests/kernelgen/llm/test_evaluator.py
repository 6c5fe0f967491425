"""A candidate's stages: what is judged, cached and measured; the judging itself is stood in for."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.protocols import Evaluation, Problem, Proposal
from harness.cache import Cache
from kernelgen.evaluate.verdict import DtypeScore
from kernelgen.evaluator import EvaluationSettings
from kernelgen.lint import load_packs
from kernelgen.llm.assemble import assemble
from kernelgen.llm.evaluator import CandidateEvaluator

from .answers import RIGHT, WRONG
from .helpers import Compiler, Judges, library
from .test_proposer import RIGHT_ALONE

ANGLE = "angle.default"


@pytest.fixture
def judges() -> Judges:
    return Judges()


def evaluate(
    judges: Judges, source: str, cache: Cache | None = None, limit: int | None = None, shipped: str = ""
) -> Evaluation:
    evaluator = CandidateEvaluator(
        library(shipped), EvaluationSettings(("float32",), limit), judges, Compiler(), load_packs(), cache
    )
    kernels = dict(assemble(source, [ANGLE], {ANGLE}).kernels) if source else {}
    payload = {"variants": {}} | ({"kernels": kernels} if kernels else {})
    return evaluator.evaluate(Problem("angle", {"dtypes": ["float32"]}), Proposal("x", "llm:m", payload=payload))


def test_a_wrong_candidate_costs_the_first_samples_only(judges: Judges) -> None:
    found = evaluate(judges, WRONG)
    assert (found.status, found.metrics["stage"], found.metrics["partial"]) == ("failed", "screen", True)
    assert judges.asked == [2]


def test_a_small_limit_makes_the_screen_superfluous(judges: Judges) -> None:
    assert evaluate(judges, RIGHT, limit=2).status == "passed"
    assert judges.asked == [2]


def test_a_candidates_verdicts_are_cached_apart_from_the_operators(judges: Judges, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert evaluate(judges, "", cache, shipped=RIGHT_ALONE).status == "passed"
    assert evaluate(judges, RIGHT, cache, shipped=RIGHT_ALONE).status == "passed"
    assert evaluate(judges, WRONG, cache, shipped=RIGHT_ALONE).status == "failed"
    asked = list(judges.asked)
    for source in ("", RIGHT, WRONG):
        assert evaluate(judges, source, cache, shipped=RIGHT_ALONE).metrics["cached"]
    assert judges.asked == asked


def test_lint_reports_everything_with_its_mend(judges: Judges) -> None:
    bad = RIGHT.replace("    return out\n\n", "    return out\n").replace("numel = out.numel()", "numel = out.sum()")
    found = evaluate(judges, bad.replace("import math", ""))
    assert found.metrics["stage"] == "lint"
    assert not judges.asked
    assert all(finding["why"] and finding["mend"] for finding in found.metrics["findings"])


def test_a_candidate_that_is_never_called_does_not_pass(judges: Judges, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Judges.judge

    def unused(self, *arguments):  # type: ignore[no-untyped-def]  # as its original
        found = plain(self, *arguments)
        return type(found)(**{**vars(found), "used": ("other.default",)})

    monkeypatch.setattr(Judges, "judge", unused)
    found = evaluate(judges, RIGHT)
    assert found.status == "failed"
    assert found.feedback == "the operator never called angle.default"


def test_what_is_right_for_some_dtypes_is_judged_whole(judges: Judges, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Judges.judge

    def half(self, name, dtypes, sources, limit):  # type: ignore[no-untyped-def]  # as its original
        found = plain(self, name, dtypes, sources, limit)
        scores = {**found.scores, "int64": DtypeScore(limit or 10, 0)}
        return type(found)(**{**vars(found), "scores": scores, "reason": "sample int64/0: wrong_value"})

    monkeypatch.setattr(Judges, "judge", half)
    found = evaluate(judges, RIGHT)
    assert (found.status, found.metrics["stage"]) == ("failed", "tests")
    assert found.metrics["scores"]["float32"] == {"total": 10, "passed": 10}
    assert "partial" not in found.metrics
