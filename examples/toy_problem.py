"""A whole optimizer in forty lines: find the lowest point of a wavy curve with the loop every optimizer uses.

Run it with ``python examples/toy_problem.py [FOLDER]``; run it again with the same folder and it only reads its log.
"""

import math
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from agents.budget import Budget, Limits
from agents.events import EventLog
from agents.loop import run_loop
from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Proposer, Trial, best_of
from agents.stop import any_of, budget_spent, goal_met, no_improvement


class Curve:
    """Analyzer and evaluator: x^2 + 10 sin(3x) on [-5, 5], whose lowest point is at x = -0.512, y = -9.732."""

    def analyze(self, problem: Problem) -> Analysis:
        return Analysis((Finding("radius", problem.payload["radius"], "the problem itself"),))

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        x = float(proposal.payload["x"])
        return Evaluation("passed", objective=x * x + 10 * math.sin(3 * x))


class RandomSearch:
    """Twenty points anywhere, seeded so that a resumed run draws the same."""

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        radius = float(analysis.findings[0].value or 0)
        for n in range(0 if history else 20):
            x = random.Random(n).uniform(-radius, radius)
            yield Proposal(f"random-{n}", "search", "look everywhere first", payload={"x": x})


class LocalSearch:
    """Small steps around the best point so far, smaller the longer the history."""

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        best, rng = best_of(history), random.Random(len(history))
        if best is not None:
            x = float(best.proposal.payload["x"]) + rng.gauss(0, 8 / len(history))
            yield Proposal(f"near-{best.index}", "search", f"trial {best.index} is the best", payload={"x": x})


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    stop = any_of(goal_met(-9.72), budget_spent(), no_improvement(100))
    with EventLog(folder / "events.jsonl") as log:
        problem = Problem("curve", {"radius": 5.0})
        proposers: list[Proposer] = [RandomSearch(), LocalSearch()]
        budget = Budget(Limits(evaluations=200))
        result = run_loop(problem, Curve(), proposers, Curve(), log=log, budget=budget, stop=stop)
    assert result.best is not None
    x, y = result.best.proposal.payload["x"], result.best.evaluation.objective
    print(
        f"x = {x:.4f}, y = {y:.4f} after {len(result.trials)} trials ({result.replayed} replayed): {result.stop.text}"
    )
