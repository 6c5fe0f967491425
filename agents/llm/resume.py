"""What an event log already knows of model calls: the completions paid for, and the costs; it asks nothing."""

from __future__ import annotations

from agents.costs import LLM_COMPLETED, LLM_FAILED, Ledger, cost_to_json
from agents.events import EventLog
from agents.llm.types import Completion
from agents.protocols import Cost
from sysmith_errors import InputError

_LOST = "the program ended before an answer came; it may have been billed, and is booked as it was reserved"

Known = dict[tuple[str | None, str], Completion]


def restore(log: EventLog) -> tuple[Known, Cost]:
    """The completions by problem and request key, and what the whole run cost.

    A call that a killed program left open may have been billed: it is closed with an event that books all that was
    reserved. Raises InputError for a damaged event.
    """
    events = log.all()
    known: Known = {}
    try:
        ledger = Ledger(events)
        for (problem, key), event in ledger.open.copy().items():
            reserved = Cost(**event.data["reserved"])
            if reserved == Cost():
                continue
            place = {name: event.data[name] for name in ("phase", "model", "booked_to")} | {"key": key}
            end = {"error": _LOST, "cost": cost_to_json(reserved)}
            ledger.take(log.append(LLM_FAILED, place | end, problem=problem))
        for event in events:
            if event.kind == LLM_COMPLETED:
                known[event.problem, event.data["key"]] = Completion(**log.unpack(event)["completion"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{log.path}: an event of a model call is damaged ({type(error).__name__}: {error})",
            mend="Restore the file from a copy, or start a new run.",
        ) from error
    return known, ledger.total
