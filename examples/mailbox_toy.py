"""The toy problem with a language model as its only proposer; by default a person is the model.

Run ``python examples/mailbox_toy.py FOLDER`` and answer, from a second shell, the requests in FOLDER/mailbox. Stop it
at any time; run it again with the same folder and it carries on. ``--models openai/gpt-4o-mini`` asks a real model.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from toy_problem import Curve

from agents.budget import Budget, Limits
from agents.costs import cost_report
from agents.events import EventLog
from agents.llm import LLM, Evidence, LLMProposer, LLMSettings, Message, compose, settings_from_options
from agents.loop import run_loop
from agents.protocols import Analysis, Problem, Proposal, Trial
from agents.stop import any_of, budget_spent, goal_met
from sysmith_errors import SysmithError

EXITS = {"goal": 0, "budget": 3, "interrupted": 130}


class Point(BaseModel):
    """The answer's type: nothing else in an answer is ever used."""

    model_config = ConfigDict(extra="forbid")

    x: float = Field(ge=-5, le=5, allow_inf_nan=False, description="where to look next")
    reason: str = Field(default="", max_length=500, description="why there, in one sentence")


def build(analysis: Analysis, history: Sequence[Trial]) -> list[Message]:
    """The prompt: it must read well to somebody who sees nothing but it."""
    radius = analysis.findings[0].value
    rows = [
        f"x = {trial.proposal.payload['x']:.6g}: f(x) = {trial.evaluation.objective:.6g} ({trial.proposal.rationale})"
        for trial in history
    ]
    tried = Evidence("points tried so far, oldest first, with the reason given for each", "\n".join(rows) or "none yet")
    return compose(
        role="You help a program find the lowest point of a curve that it can evaluate but not see.",
        wanted=f"f is a smooth, wavy curve on [-{radius}, {radius}]. Name the x at which f should be evaluated next, "
        "so that its lowest point is found in few evaluations. The goal is f(x) <= -9.72.",
        rules=["One x for each answer.", "Do not repeat an x that was tried.", "The smallest f(x) so far counts."],
        evidence=[tried],
    )


def read(point: Point, history: Sequence[Trial]) -> Iterator[Proposal]:
    yield Proposal(f"point-{len(history)}", "llm", rationale=point.reason, payload={"x": point.x})


def options() -> tuple[Path, LLMSettings, float | None]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the event log, and for the mailbox")
    parser.add_argument("--models", help="cheapest first, commas between (default: mailbox:FOLDER/mailbox)")
    parser.add_argument("--record", type=Path, help="keep the completions here, for --models replay:DIR")
    parser.add_argument("--price-in", type=float, help="dollars per million prompt tokens")
    parser.add_argument("--price-out", type=float, help="dollars per million answer tokens")
    parser.add_argument("--max-dollars", type=float)
    parser.add_argument("--max-calls", type=int)
    parser.add_argument("--max-seconds", type=float)
    given = parser.parse_args()
    settings = settings_from_options(
        given.models or f"mailbox:{given.folder / 'mailbox'}",
        record=given.record,
        price_in=given.price_in,
        price_out=given.price_out,
        max_dollars=given.max_dollars,
        max_calls=given.max_calls,
        max_tokens=1000,
    )
    return given.folder, settings, given.max_seconds


def main() -> int:
    folder, settings, seconds = options()
    folder.mkdir(parents=True, exist_ok=True)
    halt = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: halt.set())
    limits = Limits(evaluations=20, wall_s=seconds, dollars=settings.limits.dollars, calls=settings.limits.calls)
    with EventLog(folder / "events.jsonl") as log:
        run = Budget(limits)
        llm = LLM.open(settings.models, settings=settings, budget=run, log=log, halt=halt)
        own = run.child("curve")
        asker = LLMProposer(llm, problem="curve", budget=own, build=build, answer=Point, read=read, most=20)
        stop = any_of(goal_met(-9.72), budget_spent())
        problem = Problem("curve", {"radius": 5.0})
        result = run_loop(problem, Curve(), [asker], Curve(), log=log, budget=own, stop=stop, halt=halt)
        cost = cost_report(log.all()).total
    best = result.best
    found = f"x = {best.proposal.payload['x']:.4f}, y = {best.evaluation.objective:.4f}" if best else "nothing"
    print(f"{found} after {len(result.trials)} trials: {result.stop.text}")
    print(f"{cost.calls} model calls, {cost.tokens} tokens, ${cost.dollars:.6f}")
    return EXITS.get(result.stop.kind, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SysmithError as error:
        print(f"mailbox_toy: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
