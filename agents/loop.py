"""The one loop behind every optimizer: analyze, propose, evaluate, until a stop rule speaks; it knows no domain.

The event log is the only state. Each step is on disk before the next begins, so killing the process at any moment costs
at most the trial in flight: calling ``run_loop`` again with the same log carries on where it ended. It then starts
with the proposal in flight, and asks the proposers with the history they last saw, so that those that depend on their
arguments alone go on exactly as they would have.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from agents.budget import Budget
from agents.events import EventLog
from agents.portfolio import Portfolio
from agents.protocols import (
    Analysis,
    Analyzer,
    Cost,
    Evaluation,
    Evaluator,
    Problem,
    Proposal,
    Proposer,
    Trial,
    best_of,
)
from agents.records import analysis_to_json, evaluation_to_json, proposal_to_json
from agents.replay import (
    PROBLEM_FINISHED,
    PROBLEM_STARTED,
    PROPOSAL_STARTED,
    PROPOSER_FAILED,
    REFLECTION_FAILED,
    TRIAL_FINISHED,
    Memory,
    recall,
)
from agents.side_by_side import run_many
from agents.stop import Stop, StopRule
from sysmith_errors import BudgetExhausted, InternalFault, SysmithError

__all__ = ["LoopResult", "Reflect", "run_loop", "run_many"]

Reflect = Callable[[Problem, Sequence[Trial]], None]


@dataclass(frozen=True)
class LoopResult:
    """How one problem ended. ``replayed`` trials came from the log; the rest were evaluated in this call."""

    problem: str
    best: Trial | None
    trials: tuple[Trial, ...]
    stop: Stop
    replayed: int = 0


def run_loop(
    problem: Problem,
    analyzer: Analyzer,
    proposers: Sequence[Proposer],
    evaluator: Evaluator,
    *,
    log: EventLog,
    budget: Budget,
    stop: StopRule,
    reflect: Reflect | None = None,
    halt: threading.Event | None = None,
) -> LoopResult:
    """Work on ``problem`` until ``stop`` speaks, the proposers are dry, the budget is gone or ``halt`` is set.

    ``proposers`` come cheapest first. ``budget`` is the problem's own (a child of the run's); what the log says
    was spent is charged to it first. ``reflect`` is called once, after the problem is finished, with all trials. A
    problem that the log shows as finished is returned as it ended, with no part called.

    Raises InputError for a damaged log, SysmithError when the log cannot be written, and what the evaluator or
    the analyzer raise for the user to mend.
    """
    memory = recall(log, problem.name)
    trials = memory.trials
    replayed = len(trials)
    if memory.stop is not None:
        return LoopResult(problem.name, best_of(trials), tuple(trials), memory.stop, replayed)
    budget.charge(memory.spent)
    budget.charge(memory.models.of_problem, parents=False)  # the run's budget has it from LLM.open

    def on_fault(proposer: str, error: Exception) -> None:
        log.append(PROPOSER_FAILED, {"proposer": proposer, "error": _say(error)}, problem=problem.name)

    analysis = analyzer.analyze(problem)
    if not memory.started:
        log.append(PROBLEM_STARTED, {"analysis": analysis_to_json(analysis)}, problem=problem.name)
    portfolio = Portfolio(proposers, on_fault=on_fault)
    candidates = _candidates(memory, portfolio, analysis)
    while True:
        if halt is not None and halt.is_set():
            return LoopResult(problem.name, best_of(trials), tuple(trials), Stop("interrupted", "stopped"), replayed)
        verdict = stop(trials, budget)
        if verdict is not None:
            break
        candidate = next(candidates, None)
        if candidate is None:
            verdict = _dry(portfolio)
            break
        try:
            trials.append(_try(problem, evaluator, *candidate, len(trials), log, budget))
        except _NothingLeft as error:
            verdict = Stop("budget", str(error))
            break

    best = best_of(trials)
    end = {
        "stop": asdict(verdict),
        # More time, money or luck could change the other endings, so a resumed run tries those again.
        "complete": verdict.kind in ("goal", "stalled", "dry"),
        "asked_at": memory.asked_at,
        "trials": len(trials),
        "best": None if best is None else best.index,
        "spent": asdict(budget.spent),
    }
    log.append(PROBLEM_FINISHED, end, problem=problem.name)
    if reflect is not None:
        try:
            reflect(problem, trials)
        except Exception as error:  # a lesson that cannot be kept must not cost the result it was drawn from
            log.append(REFLECTION_FAILED, {"error": _say(error)}, problem=problem.name)
    return LoopResult(problem.name, best, tuple(trials), verdict, replayed)


def _candidates(memory: Memory, portfolio: Portfolio, analysis: Analysis) -> Iterator[tuple[int, Proposal]]:
    """Each proposal to try next, with the length of the history its proposer saw; ends when all proposers are dry."""
    trials = memory.trials
    if memory.pending is not None:
        yield memory.asked_at, memory.pending
    while True:
        anything, asked_at = False, memory.asked_at
        for proposal in portfolio.propose(analysis, tuple(trials[:asked_at])):
            anything = True
            # After a resume the first round is asked again as it was, and some of it is already done.
            if all(trial.proposal.content_hash != proposal.content_hash for trial in trials[asked_at:]):
                yield asked_at, proposal
        if not anything and asked_at == len(trials):
            return
        memory.asked_at = len(trials)


class _NothingLeft(Exception):
    """The problem's budget has no evaluation left; a BudgetExhausted of the evaluator's own must not look like it."""


def _try(
    problem: Problem, evaluator: Evaluator, asked_at: int, proposal: Proposal, index: int, log: EventLog, budget: Budget
) -> Trial:
    """Evaluate one proposal, with an event before and after."""
    try:
        reservation = budget.reserve(Cost(evaluations=1))
    except BudgetExhausted as error:
        raise _NothingLeft(error.message) from error
    with reservation:
        start = {"index": index, "asked_at": asked_at, "proposal": proposal_to_json(proposal)}
        log.append(PROPOSAL_STARTED, start | {"spent": asdict(budget.spent)}, problem=problem.name)
        evaluation = _evaluate(problem, evaluator, proposal)
        reservation.settle(evaluation.cost)
        end = {"index": index, "content_hash": proposal.content_hash, "evaluation": evaluation_to_json(evaluation)}
        log.append(TRIAL_FINISHED, end | {"spent": asdict(budget.spent)}, problem=problem.name)
    return Trial(problem.name, index, proposal, evaluation)


def _evaluate(problem: Problem, evaluator: Evaluator, proposal: Proposal) -> Evaluation:
    begun = time.monotonic()
    try:
        evaluation = evaluator.evaluate(problem, proposal)
        if not isinstance(evaluation, Evaluation):
            raise InternalFault(f"the evaluator returned {type(evaluation).__name__}, not an Evaluation")
    except Exception as error:  # one broken evaluation must not end a run of hundreds; it is kept as a trial
        if isinstance(error, SysmithError) and not isinstance(error, InternalFault):
            raise  # the user must mend this, or asked to stop
        evaluation = Evaluation("error", feedback=f"the evaluator broke: {_say(error)}")
    cost = evaluation.cost
    # An evaluator that does not count is counted for, else a limit on evaluations would never bite.
    counted = replace(cost, evaluations=cost.evaluations or 1, wall_s=cost.wall_s or time.monotonic() - begun)
    return replace(evaluation, cost=counted)


def _dry(portfolio: Portfolio) -> Stop:
    if portfolio.faults:
        return Stop("failed", f"no proposals are left, and these proposers failed: {', '.join(portfolio.faults)}")
    if portfolio.out_of_budget:
        return Stop("budget", portfolio.out_of_budget)
    return Stop("dry", "the proposers have nothing left")


def _say(error: Exception) -> str:
    return str(error) if isinstance(error, SysmithError) else f"{type(error).__name__}: {error}"
