"""Variants that passed are proposed first, for the operator and for others with the same failing kernels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.budget import Budget
from agents.loop import LoopResult, run_loop
from agents.protocols import Evaluation, Problem, Proposal
from agents.run_dir import RunDir
from agents.stop import any_of, budget_spent, goal_met
from kernelgen.learned import HABITS, KernelRules
from kernelgen.proposer import CatalogAnalyzer, SynthesisProposer
from kernelgen.synthesis.entry import KernelSource
from knowledge.rules_book import RuleBook


def kernels(overload: str, variants: Sequence[str], version: str = "") -> tuple[KernelSource, ...]:
    return tuple(KernelSource(overload, name, "toy", f"{overload} {name} {version}") for name in variants)


class Judge:
    """An operator passes once ``mm.default`` is served by the variant ``good``."""

    def __init__(self, good: str | None) -> None:
        self.good = good
        self.tried: list[dict[str, str]] = []

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        variants = dict(proposal.payload["variants"])
        self.tried.append(variants)
        if variants.get("mm.default") == self.good:
            return Evaluation("passed")
        return Evaluation("failed", metrics={"culprits": ["mm.default"]}, feedback="wrong value")


@pytest.fixture(autouse=True)
def _no_rules_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSMITH_RULES_DIR", str(tmp_path / "user"))


def work(
    state: Path, operator: str, version: str = "", good: str | None = "split-k"
) -> tuple[LoopResult, list[dict[str, str]]]:
    library: dict[str, Any] = {"mm.default": kernels("mm.default", ["plain", "tiled", "split-k"], version)}
    synthesis, judge = SynthesisProposer(library), Judge(good)
    with RunDir.create(state, "kernelgen", {}) as run:
        rules = KernelRules(state, run, synthesis.library_hash, CatalogAnalyzer())
        result = run_loop(
            Problem(operator, {"family": "linalg", "entries": 1, "dtypes": ["float32"]}),
            rules.analyzer,
            rules.proposers(synthesis),
            judge,
            log=run.log,
            budget=Budget(),
            stop=any_of(goal_met(), budget_spent()),
            reflect=rules.reflect,
        )
        return result, judge.tried


def test_the_variant_that_passed_is_first_on_the_same_operator_also_with_changed_kernels(tmp_path: Path) -> None:
    assert len(work(tmp_path, "mm")[1]) == 3
    assert work(tmp_path, "mm")[1] == [{"mm.default": "split-k"}]
    result, tried = work(tmp_path, "mm", version="tomorrow")
    assert tried == [{"mm.default": "split-k"}]
    assert result.trials[0].proposal.source == "knowledge"


def test_another_operator_gets_it_once_the_same_kernels_failed(tmp_path: Path) -> None:
    work(tmp_path, "mm")
    assert work(tmp_path, "addmm")[1] == [{}, {"mm.default": "split-k"}]
    assert {rule.confirmed for rule in RuleBook(tmp_path).rules("kernelgen")} >= {1}


def test_a_rule_that_is_wrong_by_now_costs_one_trial_and_no_operator(tmp_path: Path) -> None:
    work(tmp_path, "mm")
    result, tried = work(tmp_path, "mm", version="mended", good=None)
    assert tried == [{"mm.default": "split-k"}, {}]
    assert result.best is not None
    result, tried = work(tmp_path, "mm", version="mended again", good="tiled")
    assert {"mm.default": "tiled"} in tried
    assert result.best is not None


def test_lessons_become_sentences_for_a_prompt(tmp_path: Path) -> None:
    work(tmp_path, "mm")
    with RunDir.create(tmp_path, "kernelgen", {}) as run:
        rules = KernelRules(tmp_path, run, "hash", CatalogAnalyzer())
        (sentence,) = rules.advice(Problem("mm", {"family": "linalg"}))
        assert '"split-k"' in sentence
        assert rules.advice(Problem("add", {"family": "pointwise"})) == []


def test_a_models_kernel_is_no_lesson_here() -> None:
    assert HABITS.lesson({"library": "x", "variants": {}, "kernels": {"mm.default": "source"}}) == {}
