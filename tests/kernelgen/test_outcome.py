"""Scores, sources and regressions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kernelgen.evaluate.verdict import DtypeScore, Verdict
from kernelgen.outcome import OperatorOutcome, compile_counts, full_score, outcome_of, reference_score, regressions


def outcome(name: str, **scores: tuple[int, int]) -> OperatorOutcome:
    passed = all(total == done for total, done in scores.values())
    return OperatorOutcome(name, "pointwise", passed, scores)


def test_an_operator_can_pass_the_reference_dtypes_and_fail_the_full_set() -> None:
    found = [
        outcome("add", float32=(5, 5), complex64=(5, 0)),
        outcome("mul", float32=(4, 4)),
        outcome("fft", float32=(2, 1)),
    ]
    reference = reference_score(found, ["add", "mul", "sub"])
    full = full_score(found, 636)
    assert (reference.set_names, reference.names_total, reference.names_passed) == (3, 2, 2)
    assert (reference.tests_total, reference.tests_passed) == (9, 9)
    assert (full.set_names, full.names_total, full.names_passed, full.tests_total, full.tests_passed) == (
        636,
        3,
        1,
        16,
        10,
    )


def test_no_sample_is_no_pass() -> None:
    assert not outcome("add", complex64=(3, 3)).passes(["float32"])
    assert not Verdict("x", {}).passed


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6))
def test_passed_never_exceeds_total(pairs: list[tuple[int, int]]) -> None:
    scores = {f"float{i}": (max(p), min(p)) for i, p in enumerate(pairs)}
    score = full_score([OperatorOutcome("x", "f", False, scores)], 1)
    assert score.tests_passed <= score.tests_total
    assert score.names_passed <= score.names_total <= score.set_names


def test_source_tells_own_kernels_from_compositions() -> None:
    def source(**stats: Any) -> str:
        verdict = Verdict("x", {"float32": DtypeScore(1, 1)}, stats=stats)
        metrics = verdict.to_json() | {"passed": True, "metadata_only": verdict.metadata_only}
        return outcome_of("x", "f", metrics, 1).source

    assert source(kernel={"add.Tensor": 1}) == "synthesis"
    assert source(kernel={"add.Tensor": 1}, decomposed={"addr.default": 1}) == "composition"
    assert source(free={"view.default": 1}) == "pytorch"
    assert source(missing={"mm.default": 1}) == "none"


def test_a_caught_cheat_never_passes() -> None:
    scores = {"float32": DtypeScore(3, 3)}
    assert Verdict("x", scores).passed
    assert not Verdict("x", scores, catch="stale_output").passed
    assert not Verdict("x", scores, replays=(0, 1)).passed
    assert not Verdict("x", scores, status="timeout").passed


def test_verdict_survives_json() -> None:
    verdict = Verdict(
        "x", {"int8": DtypeScore(2, 1)}, "why", used=("a.b",), replays=(1, 2), stats={"kernel": {"a.b": 1}}
    )
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_regressions_look_at_dtypes_both_runs_judged() -> None:
    before = {"operators": [{"name": n, "dtypes": {"float32": [5, 5], "int8": [5, 5]}} for n in ("a", "b", "c")]}
    now = [outcome("a", float32=(5, 5)), outcome("b", float32=(5, 4)), outcome("new", float32=(5, 0))]
    assert regressions(now, before) == ["b"]


def test_compile_counts_by_target() -> None:
    one = OperatorOutcome("a", "f", True, {}, compiled={"cuda:80": True, "cuda:90": False})
    assert compile_counts([one, one]) == {
        "cuda:80": {"compiled": 2, "failed": 0},
        "cuda:90": {"compiled": 0, "failed": 2},
    }
