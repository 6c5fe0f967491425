"""The loop: its order on disk, its endings, what it does with broken parts, and resuming within one process.

Killing it from outside is tested in test_kill.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.budget import Budget, Limits
from agents.events import EventLog, read_events
from agents.loop import LoopResult, run_loop
from agents.protocols import Analysis, Cost, Evaluation, Finding, Problem, Proposal, Trial
from agents.stop import Stop, any_of, budget_spent, goal_met, no_improvement
from sysmith_errors import BudgetExhausted, InputError, InternalFault, MissingPart, SysmithError

PROBLEM = Problem("p")
STOP = any_of(goal_met(), budget_spent(), no_improvement(50))


class Analyzer:
    calls = 0

    def analyze(self, problem: Problem) -> Analysis:
        self.calls += 1
        return Analysis((Finding("size", 3, "test"),))


class Batch:
    """Proposes ``lists[len(history)]`` where there is such a list: a pure function of the history."""

    def __init__(self, lists: dict[int, list[int]]) -> None:
        self.lists = lists
        self.asked: list[int] = []

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        self.asked.append(len(history))
        for n in self.lists.get(len(history), []):
            yield Proposal(f"k{n}", "search", payload={"n": n, "source": "x" * 5000})


class Judge:
    """Scores a proposal by its number; ``answers`` overrides one with an evaluation or an error."""

    def __init__(self, answers: dict[int, Any] | None = None) -> None:
        self.answers = answers or {}
        self.seen: list[int] = []

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        n = proposal.payload["n"]
        self.seen.append(n)
        answer = self.answers.get(n, Evaluation("passed", objective=float(n)))
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, Evaluation) or n == 13
        return answer


def run(
    folder: Path, proposer: Any, judge: Any, limits: Limits | None = None, **more: Any
) -> tuple[LoopResult, Budget]:
    budget = Budget(limits)
    more = {"stop": STOP, "analyzer": Analyzer(), **more}
    analyzer = more.pop("analyzer")
    with EventLog(folder / "events.jsonl") as log:
        return run_loop(PROBLEM, analyzer, [proposer], judge, log=log, budget=budget, **more), budget


def kinds(folder: Path) -> list[str]:
    return [event.kind for event in read_events(folder / "events.jsonl")]


def test_each_step_is_on_disk_before_the_next(tmp_path: Path) -> None:
    class Watching(Judge):
        def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
            seen = kinds(tmp_path)
            assert seen[-1] == "proposal_started"
            assert seen.count("trial_finished") == len(self.seen)
            return super().evaluate(problem, proposal)

    judge = Watching()
    result, _ = run(tmp_path, Batch({0: [3, 1], 2: [2]}), judge)
    assert judge.seen == [3, 1, 2]
    assert result.stop.kind == "dry"
    assert result.best is not None
    assert (result.best.index, result.best.evaluation.objective) == (1, 1.0)
    assert kinds(tmp_path) == [
        "problem_started",
        *["proposal_started", "trial_finished"] * 3,
        "problem_finished",
    ]


def test_a_finished_problem_is_read_back_with_no_part_called(tmp_path: Path) -> None:
    first, _ = run(tmp_path, Batch({0: [3, 1]}), Judge())
    analyzer, batch, judge = Analyzer(), Batch({0: [3, 1]}), Judge()
    again, _ = run(tmp_path, batch, judge, analyzer=analyzer)
    assert (again.trials, again.best, again.stop) == (first.trials, first.best, first.stop)
    assert again.replayed == 2
    assert (analyzer.calls, batch.asked, judge.seen) == (0, [], [])


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_log_cut_after_any_event_leads_to_the_same_end(tmp_path: Path, cut: int) -> None:
    lists = {0: [3, 5, 4], 3: [4, 2], 4: [9]}  # 4 is proposed twice; batches depend on the history
    whole, _ = run(tmp_path, Batch(lists), Judge())
    path = tmp_path / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 12
    path.write_bytes(b"".join(lines[:cut]))
    done = kinds(tmp_path).count("trial_finished")

    judge = Judge()
    again, budget = run(tmp_path, Batch(lists), judge)

    def content(result: LoopResult) -> list[tuple[str, float | None]]:
        return [(trial.proposal.content_hash, trial.evaluation.objective) for trial in result.trials]

    assert content(again) == content(whole)
    assert (again.stop, again.replayed) == (whole.stop, done)
    assert judge.seen == [3, 5, 4, 2, 9][done:]
    assert budget.spent.evaluations == 5


def test_a_proposer_that_answers_differently_each_time_costs_no_trial_twice(tmp_path: Path) -> None:
    run(tmp_path, Batch({0: [3, 5]}), Judge())
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))  # 5 is in flight
    judge = Judge()
    result, _ = run(tmp_path, Batch({0: [8, 3]}), judge)
    assert judge.seen == [5, 8], "the one in flight first, then what is new"
    assert [trial.index for trial in result.trials] == [0, 1, 2]


def test_the_goal_is_seen_before_anything_more_is_asked(tmp_path: Path) -> None:
    batch, judge = Batch({0: [1, 2], 1: [3]}), Judge({1: Evaluation("passed")})
    result, _ = run(tmp_path, batch, judge)
    assert result.stop == Stop("goal", "trial 0 passed")
    assert (batch.asked, judge.seen) == ([0], [1])


def test_a_spent_budget_ends_the_loop_and_more_budget_lets_it_go_on(tmp_path: Path) -> None:
    batch = Batch({0: [1, 2, 3]})
    result, _ = run(tmp_path, batch, Judge(), Limits(evaluations=2), stop=goal_met())
    assert result.stop == Stop("budget", "the limit of 2 evaluations for the run is reached")
    again, _ = run(tmp_path, batch, Judge(), Limits(evaluations=2))
    assert (again.stop.kind, again.replayed, len(again.trials)) == ("budget", 2, 2)
    judge = Judge()
    more, budget = run(tmp_path, batch, judge, Limits(evaluations=5))
    assert (more.stop.kind, judge.seen, budget.spent.evaluations) == ("dry", [3], 3)


def test_what_a_proposer_spent_is_charged_again_on_resume(tmp_path: Path) -> None:
    class Dear(Batch):
        budget: Budget

        def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
            self.budget.reserve(Cost(tokens=60)).settle(Cost(tokens=60))
            yield from super().propose(analysis, history)

    for limit, seen, spent in ((100, [1], 60), (150, [2], 120), (150, [], 120)):
        dear, judge, budget = Dear({0: [1], 1: [2]}), Judge(), Budget(Limits(tokens=limit))
        dear.budget = budget
        with EventLog(tmp_path / "events.jsonl") as log:
            result = run_loop(PROBLEM, Analyzer(), [dear], judge, log=log, budget=budget, stop=STOP)
        assert judge.seen == seen
        assert result.stop == Stop("budget", f"the limit of {limit} tokens for the run is reached")
        assert budget.spent.tokens == spent


def test_an_evaluator_that_breaks_is_a_trial_with_an_error(tmp_path: Path) -> None:
    judge = Judge({1: ZeroDivisionError("oops"), 2: InternalFault("worker died"), 13: "nonsense"})
    result, budget = run(tmp_path, Batch({0: [1, 2, 13, 4]}), judge)
    assert [trial.evaluation.status for trial in result.trials] == ["error", "error", "error", "passed"]
    assert [trial.evaluation.feedback for trial in result.trials[:3]] == [
        "the evaluator broke: ZeroDivisionError: oops",
        "the evaluator broke: worker died",
        "the evaluator broke: the evaluator returned str, not an Evaluation",
    ]
    assert budget.spent.evaluations == 4


@pytest.mark.parametrize("error", [MissingPart("no compiler"), BudgetExhausted("its own"), KeyboardInterrupt()])
def test_what_the_user_must_mend_ends_the_run_and_the_trial_is_tried_again(
    tmp_path: Path, error: BaseException
) -> None:
    budget = Budget()
    with EventLog(tmp_path / "events.jsonl") as log, pytest.raises(type(error)):
        run_loop(PROBLEM, Analyzer(), [Batch({0: [1, 2]})], Judge({2: error}), log=log, budget=budget, stop=STOP)
    assert (budget.spent.evaluations, budget.reserved) == (1, Cost())
    judge = Judge()
    result, _ = run(tmp_path, Batch({0: [1, 2]}), judge)
    assert (judge.seen, result.replayed) == ([2], 1)


def test_a_proposer_that_breaks_is_logged_and_tried_again_on_resume(tmp_path: Path) -> None:
    class Broken:
        def propose(self, analysis: Analysis, history: Sequence[Trial]) -> list[Proposal]:
            raise RuntimeError("model is away")

    result, _ = run(tmp_path, Broken(), Judge())
    assert result.stop == Stop("failed", "no proposals are left, and these proposers failed: Broken")
    event = read_events(tmp_path / "events.jsonl")[1]
    assert (event.kind, event.data["error"]) == ("proposer_failed", "RuntimeError: model is away")
    again, _ = run(tmp_path, Batch({0: [1]}), Judge())
    assert (again.stop.kind, len(again.trials)) == ("dry", 1)


def test_halt_stops_between_trials_and_leaves_the_problem_open(tmp_path: Path) -> None:
    halt = threading.Event()

    class Halting(Judge):
        def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
            halt.set()
            return super().evaluate(problem, proposal)

    result, _ = run(tmp_path, Batch({0: [1, 2]}), Halting(), halt=halt)
    assert (result.stop.kind, len(result.trials)) == ("interrupted", 1)
    assert "problem_finished" not in kinds(tmp_path)
    again, _ = run(tmp_path, Batch({0: [1, 2]}), Judge())
    assert (again.replayed, len(again.trials)) == (1, 2)


def test_reflection_comes_once_after_the_end_and_cannot_spoil_it(tmp_path: Path) -> None:
    lessons: list[int] = []

    def reflect(problem: Problem, trials: Sequence[Trial]) -> None:
        assert kinds(tmp_path)[-1] == "problem_finished"
        lessons.append(len(trials))
        raise RuntimeError("no pen")

    for _ in range(2):
        result, _ = run(tmp_path, Batch({0: [1, 2]}), Judge(), reflect=reflect)
        assert len(result.trials) == 2
    assert lessons == [2]
    assert kinds(tmp_path)[-1] == "reflection_failed"


def test_a_full_disk_ends_the_loop_with_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    class Filling(Judge):
        def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
            if len(self.seen) == 1:
                monkeypatch.setattr("agents.events.os.write", full)
            return super().evaluate(problem, proposal)

    with pytest.raises(SysmithError, match=r"events\.jsonl: No space left on device"):
        run(tmp_path, Batch({0: [1, 2, 3]}), Filling())
    monkeypatch.undo()
    judge = Judge()
    result, _ = run(tmp_path, Batch({0: [1, 2, 3]}), judge)
    assert (judge.seen, len(result.trials)) == ([2, 3], 3)


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        (2, b'"index":0', b'"index":1'),
        (2, b'"n":1', b'"n":2'),
        (3, b'"status":"passed"', b'"status":"great"'),
        (3, b'"content_hash":"', b'"content_hash":"0'),
        (3, b'"evaluation":', b'"evaluatiom":'),
        (4, b'"stop":', b'"stap":'),
    ],
)
def test_an_event_that_makes_no_sense_names_file_and_line(tmp_path: Path, line: int, old: bytes, new: bytes) -> None:
    run(tmp_path, Batch({0: [1]}), Judge())
    path = tmp_path / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=rf"events\.jsonl, line {line}"):
        run(tmp_path, Batch({0: [1]}), Judge())
