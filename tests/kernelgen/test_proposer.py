"""Variants: feedback on what ran in a failing sample picks among them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from agents.budget import Budget
from agents.events import EventLog
from agents.loop import run_loop
from agents.protocols import Evaluation, Problem, Proposal
from agents.stop import any_of, budget_spent, goal_met
from kernelgen.proposer import CatalogAnalyzer, SynthesisProposer, choose
from kernelgen.synthesis.entry import KernelSource


def variants(overload: str, *names: str) -> tuple[KernelSource, ...]:
    return tuple(KernelSource(overload, name, "pointwise", f"# {overload} {name}") for name in names)


LIBRARY = {
    "add.Tensor": variants("add.Tensor", "plain", "rounded"),
    "mm.default": variants("mm.default", "dot", "sum", "slow"),
}


class PassesWith:
    """Passes only when the named variants are chosen; blames all overloads otherwise."""

    def __init__(self, **wanted: str) -> None:
        self.wanted = {key.replace("__", "."): value for key, value in wanted.items()}
        self.seen: list[Mapping[str, str]] = []

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        chosen = proposal.payload["variants"]
        self.seen.append(chosen)
        first = {key: found[0].variant for key, found in LIBRARY.items()}
        good = all((first | chosen)[key] == name for key, name in self.wanted.items())
        return Evaluation("passed" if good else "failed", metrics={"culprits": list(LIBRARY)})


def run(path: Path, evaluator: PassesWith) -> str:
    problem = Problem("matmul", {"family": "matmul", "entries": 1, "dtypes": ["float32"]})
    with contextlib.closing(EventLog(path / "events.jsonl")) as log:
        result = run_loop(
            problem,
            CatalogAnalyzer(),
            [SynthesisProposer(LIBRARY)],
            evaluator,
            log=log,
            budget=Budget(),
            stop=any_of(goal_met(), budget_spent()),
        )
    return result.stop.kind


def test_the_first_variants_are_tried_first_and_suffice(tmp_path: Path) -> None:
    evaluator = PassesWith(add__Tensor="plain")
    assert run(tmp_path, evaluator) == "goal"
    assert evaluator.seen == [{}]


def test_a_failure_leads_to_the_variant_that_passes(tmp_path: Path) -> None:
    evaluator = PassesWith(mm__default="slow")
    assert run(tmp_path, evaluator) == "goal"
    assert evaluator.seen[-1]["mm.default"] == "slow"


def test_when_no_variant_passes_the_search_ends_without_trying_one_twice(tmp_path: Path) -> None:
    evaluator = PassesWith(add__Tensor="no such variant")
    assert run(tmp_path, evaluator) == "dry"
    tried = [tuple(sorted(chosen.items())) for chosen in evaluator.seen]
    assert len(tried) == len(set(tried)) <= 6


def test_choose_takes_the_named_variant_and_the_first_elsewhere() -> None:
    assert choose(LIBRARY, {"mm.default": "sum"}) == {
        "add.Tensor": "# add.Tensor plain",
        "mm.default": "# mm.default sum",
    }
