"""The proposer that asks a model, alone and in the loop, and the budgets after a resume."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.budget import Budget, Limits
from agents.events import EventLog
from agents.llm import LLMProposer, Message, Refused, Request
from agents.llm.proposer import fruitless
from agents.loop import LoopResult, run_loop
from agents.protocols import Analysis, Cost, Evaluation, Problem, Proposal, Trial
from agents.stop import any_of, budget_spent, goal_met
from sysmith_errors import BudgetExhausted

from .llm_helpers import Point, Scripted, asking, client


def build(analysis: Analysis, history: Sequence[Trial]) -> list[Message] | None:
    return asking(f"Point {len(history)}, please.")


def read(point: Point, history: Sequence[Trial]) -> Iterator[Proposal]:
    yield Proposal("p", "whatever", rationale=point.why, payload={"x": point.x, "n": len(history)})


def proposer(llm: Any, **options: Any) -> LLMProposer[Point]:
    return LLMProposer(
        llm, **({"problem": "p", "budget": None, "build": build, "answer": Point, "read": read} | options)
    )


def trial(index: int, objective: float | None, source: str = "llm:m") -> Trial:
    status = "failed" if objective is None else "passed"
    return Trial("p", index, Proposal(str(index), source, payload={"n": index}), Evaluation(status, objective))


class Square:
    def __init__(self, cost: Cost | None = None) -> None:
        self.cost = cost or Cost()

    def analyze(self, problem: Problem) -> Analysis:
        return Analysis()

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        return Evaluation("passed", objective=float(proposal.payload["x"]) ** 2, cost=self.cost)


def test_proposals_carry_the_model_as_their_source_whatever_the_reader_says() -> None:
    proposals = list(proposer(client(Scripted(['{"x": 1}'], model="cheap"))).propose(Analysis(), ()))
    assert [(one.source, one.payload["x"]) for one in proposals] == [("llm:cheap", 1)]


def test_it_has_nothing_left_after_so_many_proposals_and_where_nothing_is_asked() -> None:
    model = Scripted(['{"x": 1}'])
    history = [trial(0, 1.0), trial(1, 1.0, "search"), trial(2, None)]
    assert list(proposer(client(model), most=2).propose(Analysis(), history)) == []
    assert list(proposer(client(model), build=lambda analysis, history: None).propose(Analysis(), ())) == []
    assert model.requests == []
    many = proposer(client(model), most=3, samples=4, read=lambda point, history: [*read(point, history)] * 2)
    assert len(list(many.propose(Analysis(), history))) == 1


def test_dearer_models_are_asked_when_cheaper_ones_do_not_help() -> None:
    cheap, strong = Scripted(['{"x": 1}'], model="cheap"), Scripted(['{"x": 1}'], model="strong")
    asker = proposer(client(cheap, strong), patience=2)
    histories = [
        [],
        [trial(0, None)],
        [trial(0, None), trial(1, None)],
        [trial(0, None), trial(1, None), trial(2, 5.0)],
    ]
    sources = [next(iter(asker.propose(Analysis(), history))).source for history in histories]
    assert sources == ["llm:cheap", "llm:cheap", "llm:strong", "llm:cheap"]


def test_a_model_that_cannot_answer_hands_over_to_the_next() -> None:
    broken, strong = Scripted([Refused("no key", lasting=True)], model="cheap"), Scripted(['{"x": 1}'], model="strong")
    assert next(iter(proposer(client(broken, strong)).propose(Analysis(), ()))).source == "llm:strong"
    with pytest.raises(Refused):
        list(proposer(client(broken)).propose(Analysis(), ()))


def test_what_does_not_better_the_best_is_fruitless() -> None:
    assert fruitless([]) == 0
    assert fruitless([trial(0, 5.0), trial(1, 6.0), trial(2, None)]) == 2
    assert fruitless([trial(0, 5.0, "search"), trial(1, 6.0), trial(2, 4.0, "search"), trial(3, 3.0)]) == 0


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        proposer(client(Scripted(["{}"])), samples=0)


def run(folder: Path, model: Scripted, run_budget: Budget, own: Budget, cost: Cost | None = None) -> LoopResult:
    with EventLog(folder / "events.jsonl") as log:
        asker = proposer(client(model, log=log, budget=run_budget), budget=own, most=4)
        stop = any_of(goal_met(0.0), budget_spent())
        parts = Square(cost)
        return run_loop(Problem("p"), parts, [asker], parts, log=log, budget=own, stop=stop)


def test_at_the_limit_the_loop_stops_cleanly_and_goes_on_when_it_is_raised(tmp_path: Path) -> None:
    model = Scripted([f'{{"x": {x}}}' for x in (4, 3, 2, 0)])
    first = Budget(Limits(calls=2))
    result = run(tmp_path, model, first, first.child("p"))
    assert result.stop.kind == "budget"
    assert "the limit of 2 model calls for the run is reached" in result.stop.text
    assert len(result.trials) == 2

    second = Budget(Limits(calls=4))
    own = second.child("p")
    result = run(tmp_path, model, second, own)
    assert result.stop.kind == "goal"
    assert len(model.requests) == 4
    for budget in (second, own):
        assert (budget.spent.calls, budget.spent.tokens, budget.spent.evaluations) == (4, 600, 4)

    third = Budget(Limits(calls=4))  # the run is over: its budget still knows what models cost
    run(tmp_path, model, third, third.child("p"))
    assert (third.spent.calls, third.spent.tokens) == (4, 600)


def test_what_an_evaluator_spends_itself_is_kept_apart_and_restored(tmp_path: Path) -> None:
    model = Scripted(['{"x": 4}', '{"x": 3}', '{"x": 2}'])
    cost = Cost(tokens=7, dollars=0.5)
    first = Budget(Limits(calls=2))
    run(tmp_path, model, first, first.child("p"), cost)
    second = Budget(Limits(calls=3))
    own = second.child("p")
    run(tmp_path, model, second, own, cost)
    for budget in (second, own):
        assert budget.spent.tokens == 3 * (150 + 7)
        assert budget.spent.dollars == pytest.approx(3 * (0.0002 + 0.5))
        assert budget.spent.calls == 3


def test_a_call_waits_for_those_in_flight_before_it_gives_up() -> None:
    """Each call reserves more than half of the limit and costs a tenth of it: side by side all of them get through."""

    def slow(request: Request) -> str:
        threading.Event().wait(0.05)
        return '{"x": 1}'

    model = Scripted([slow])
    most = model.most(Request("scripted", tuple(asking()), 1000)).tokens + 2500
    budget = Budget(Limits(tokens=most))
    answers = client(model, budget=budget, halt=threading.Event()).ask_many(
        asking(), Point, samples=5, problem="p", phase="a"
    )
    assert len(answers) == 5
    assert budget.spent.tokens == 5 * 150


def test_a_call_that_can_never_fit_is_refused_at_once_with_its_size() -> None:
    with pytest.raises(BudgetExhausted, match=r"may take up to \d+ tokens and \$0\.00\d+\)"):
        client(Scripted(['{"x": 1}']), limits=Limits(tokens=1000)).ask(asking(), Point, problem="p", phase="a")
