"""Trials and small optimizers for the tests of rules and of reading runs back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.budget import Budget, Limits
from agents.events import EventLog
from agents.loop import LoopResult, run_loop
from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Trial
from agents.rules_habits import CITED, Habits
from agents.rules_proposer import Admit
from agents.rules_session import RuleSession
from agents.run_dir import RunDir
from agents.stop import any_of, budget_spent, goal_met
from knowledge.rules_book import RuleBook

HABITS = Habits("toy")
ANALYSIS = Analysis((Finding("nodes", 32, "test"), Finding("fs", "lustre", "test")))


def trial(
    index: int,
    payload: Mapping[str, Any],
    objective: float | None = None,
    *,
    status: str | None = None,
    rules: Iterable[str] = (),
    feedback: str = "",
    **metrics: Any,
) -> Trial:
    """A trial; it passed unless ``status`` says otherwise, and cites the rules given."""
    proposal = Proposal(
        f"t{index}",
        "knowledge" if rules else "search",
        citations=tuple(CITED + rule for rule in rules),
        payload=payload,
    )
    evaluation = Evaluation(status or "passed", objective, metrics, feedback)  # type: ignore[arg-type]  # a status
    return Trial("p", index, proposal, evaluation)


class Toy:
    """Analyzer, proposer and evaluator: ``values`` are tried in order, each scores by ``score`` (None: it fails)."""

    name = "toy"

    def __init__(
        self, scores: Mapping[str, float | None], findings: Mapping[str, Any] | None = None, texts: Sequence[str] = ()
    ) -> None:
        self.scores, self.findings, self.texts = scores, findings or {"nodes": 32}, texts
        self.seen: list[str] = []

    def analyze(self, problem: Problem) -> Analysis:
        return Analysis(tuple(Finding(name, value, "the toy") for name, value in self.findings.items()))

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        for n, choice in enumerate(self.scores):
            extra = {"source": self.texts[n]} if n < len(self.texts) else {}
            yield Proposal(choice, "search", f"try {choice}", payload={"choice": choice} | extra)

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        choice = str(proposal.payload["choice"])
        self.seen.append(choice)
        score = self.scores.get(choice)
        if score is None:
            return Evaluation("failed", feedback=f"{choice} does not work", metrics={"reason": "it failed"})
        return Evaluation("passed", score, metrics={"scores": {"all": {"total": 1, "passed": 1}}})


def run_toy(
    state: Path,
    toy: Toy,
    *,
    book: RuleBook | None = None,
    problem: str = "p",
    goal: float | None = None,
    options: Mapping[str, Any] | None = None,
    limit: int = 100,
    run: RunDir | None = None,
    habits: Habits = HABITS,
    admit: Admit | None = None,
) -> tuple[LoopResult, str]:
    """One run of a toy, with rules where a book is given; returns the result and the id of the run."""
    with run or RunDir.create(state, "toy", options or {"n": 1}, versions={"python": "3"}) as folder:
        log: EventLog = folder.log
        session = RuleSession(book, habits, log, folder.info.id, admit=admit) if book else None
        result = run_loop(
            Problem(problem),
            toy,
            [session.proposer(), session.cautious(toy)] if session else [toy],
            toy,
            log=log,
            budget=Budget(Limits(evaluations=limit)),
            stop=any_of(goal_met(goal), budget_spent()),
            reflect=session.reflect if session else None,
        )
        return result, folder.info.id
