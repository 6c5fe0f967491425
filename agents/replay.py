"""What the event log already knows about one problem, in the form the loop carries on from; it evaluates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agents.costs import Ledger
from agents.events import Event, EventLog
from agents.protocols import Cost, Proposal, Trial
from agents.records import evaluation_from_json, proposal_from_json
from agents.stop import Stop
from sysmith_errors import InputError

# The kinds of event that the loop writes for each problem, in the order they come.
PROBLEM_STARTED = "problem_started"  # analysis
PROPOSAL_STARTED = "proposal_started"  # index, asked_at, proposal, spent
TRIAL_FINISHED = "trial_finished"  # index, content_hash, evaluation, spent
PROPOSER_FAILED = "proposer_failed"  # proposer, error
PROBLEM_FINISHED = "problem_finished"  # stop, complete, asked_at, trials, best, spent
REFLECTION_FAILED = "reflection_failed"  # error


@dataclass
class Memory:
    """``pending`` was started and never finished; ``asked_at`` is the length of the history the proposers last saw;
    ``stop`` is set where the problem was finished and nothing would come of trying again. ``spent`` leaves out what
    models cost, which is in ``models`` to the last call (see ``agents.costs``)."""

    trials: list[Trial] = field(default_factory=list)
    pending: Proposal | None = None
    asked_at: int = 0
    spent: Cost = field(default_factory=Cost)
    models: Ledger = field(default_factory=Ledger)
    stop: Stop | None = None
    started: bool = False


def recall(log: EventLog, problem: str) -> Memory:
    """Read the events of ``problem``. Raises InputError naming file and line for an event that makes no sense."""
    memory = Memory()
    for event in log.of(problem):
        try:
            _take(memory, problem, event, log.unpack(event))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{log.path}, line {event.seq}: the {event.kind} event is damaged ({type(error).__name__}: {error})",
                mend="Restore the file from a copy, or start a new run.",
            ) from error
    return memory


def _take(memory: Memory, problem: str, event: Event, data: Mapping[str, Any]) -> None:
    memory.models.take(event)
    if event.kind == PROBLEM_STARTED:
        memory.started = True
    elif event.kind == PROPOSAL_STARTED:
        # It may follow another that never finished: a resumed loop starts the same proposal again.
        _expect_index(memory, data)
        memory.pending = proposal_from_json(data["proposal"])
        memory.asked_at = int(data["asked_at"])
        memory.spent = _without(Cost(**data["spent"]), memory.models.of_problem)
        memory.stop = None
    elif event.kind == TRIAL_FINISHED:
        _expect_index(memory, data)
        if memory.pending is None or memory.pending.content_hash != data["content_hash"]:
            raise ValueError("it finishes a proposal that was not started")
        evaluation = evaluation_from_json(data["evaluation"])
        memory.trials.append(Trial(problem, len(memory.trials), memory.pending, evaluation))
        memory.pending = None
        memory.spent = _without(Cost(**data["spent"]), memory.models.of_problem)
    elif event.kind == PROBLEM_FINISHED:
        memory.asked_at = int(data["asked_at"])  # later than the last proposal's where that round was used up
        memory.spent = _without(Cost(**data["spent"]), memory.models.of_problem)
        memory.stop = Stop(data["stop"]["kind"], data["stop"]["text"]) if data["complete"] else None


def _without(spent: Cost, models: Cost) -> Cost:
    """``spent`` less what models cost until then; it may hold more of the same kind, from an evaluator's own calls."""
    return replace(
        spent,
        tokens=max(0, spent.tokens - models.tokens),
        dollars=max(0.0, spent.dollars - models.dollars),
        calls=max(0, spent.calls - models.calls),
    )


def _expect_index(memory: Memory, data: Mapping[str, Any]) -> None:
    if data["index"] != len(memory.trials):
        raise ValueError(f"trial {data['index']!r} where {len(memory.trials)} was due")
