"""What models cost, read from the event log: the client's events, their sums, and a table by problem and phase.

It asks no model and renders nothing. Every call is an event before (``llm_requested``) and after: ``llm_completed``,
or ``llm_retried`` and ``llm_failed`` where no completion came. Each closing event carries what is to be booked for it:
what the provider reported, or all that was reserved where the call may have been billed and nobody can tell (a timeout,
a killed program), because a limit in dollars is a promise.

Two budgets are restored from these events on resume, each once: ``LLM.open`` charges the run's budget with the costs of
the whole log, and the loop charges each problem's own budget, without its parents, with the costs of that problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.events import Event
from agents.protocols import Cost

# key, phase, model, booked_to: which budget the cost goes to, "problem" or "run". These four are in every event.
LLM_REQUESTED = "llm_requested"  # attempt, reserved, request
LLM_RETRIED = "llm_retried"  # error, wait_s, cost: another try follows
LLM_FAILED = "llm_failed"  # error, cost
LLM_COMPLETED = "llm_completed"  # completion, cost
LLM_MALFORMED = "llm_malformed"  # error: the completion above did not fit its answer type
KINDS = (LLM_REQUESTED, LLM_RETRIED, LLM_FAILED, LLM_COMPLETED, LLM_MALFORMED)
_CLOSING = (LLM_RETRIED, LLM_FAILED, LLM_COMPLETED)


def cost_to_json(cost: Cost) -> dict[str, Any]:
    """The parts of a cost that a model can cause."""
    return {"tokens": cost.tokens, "dollars": cost.dollars, "calls": cost.calls}


class Ledger:
    """Adds up the events of one problem, or of a whole run, in the order they come.

    ``of_problem`` is what was booked to the problems' own budgets, ``total`` everything; ``open`` maps (problem, key)
    of requests that nothing closed yet to the event. Raises KeyError, TypeError or ValueError for a damaged event.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.total = Cost()
        self.of_problem = Cost()
        self.open: dict[tuple[str | None, str], Event] = {}
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        if event.kind == LLM_REQUESTED:
            self.open[event.problem, event.data["key"]] = event
        elif event.kind in _CLOSING:
            self.open.pop((event.problem, event.data["key"]), None)
            cost = Cost(**event.data["cost"])
            self.total += cost
            if event.data["booked_to"] == "problem":
                self.of_problem += cost


@dataclass
class CostRow:
    """What one model cost in one phase of one problem. ``seconds`` is the sum of the calls' wall time, ``calls`` what
    the budget counts; ``completions``, ``retries``, ``failures`` and ``malformed`` say what became of them."""

    problem: str | None
    phase: str
    model: str
    completions: int = 0
    retries: int = 0
    failures: int = 0
    malformed: int = 0
    in_flight: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0


@dataclass
class CostReport:
    """Rows in the order the (problem, phase, model) first came up; ``total`` has no problem, phase ``total``."""

    rows: list[CostRow] = field(default_factory=list)

    @property
    def total(self) -> CostRow:
        return _sum(self.rows, None, "total", "")

    def by_problem(self) -> list[CostRow]:
        """One row for each problem, over phases and models."""
        names = dict.fromkeys(row.problem for row in self.rows)
        return [_sum([row for row in self.rows if row.problem == name], name, "", "") for name in names]

    def by_phase(self) -> list[CostRow]:
        """One row for each phase, over problems and models."""
        names = dict.fromkeys(row.phase for row in self.rows)
        return [_sum([row for row in self.rows if row.phase == name], None, name, "") for name in names]

    def to_json(self) -> dict[str, Any]:
        """The rows and the total as plain JSON; dollars rounded to a millionth of a cent."""
        return {"rows": [_row(row) for row in self.rows], "total": _row(self.total)}


def cost_report(events: Iterable[Event]) -> CostReport:
    """Read the model calls among ``events`` (``read_events``), packed or not. Raises KeyError, TypeError or ValueError
    for a damaged event."""
    rows: dict[tuple[str | None, str, str], CostRow] = {}
    ledger = Ledger()
    for event in events:
        if event.kind not in KINDS:
            continue
        ledger.take(event)
        data = event.data
        place = (event.problem, str(data["phase"]), str(data["model"]))
        row = rows.setdefault(place, CostRow(*place))
        if event.kind in _CLOSING:
            row.calls += int(data["cost"]["calls"])
            row.tokens += int(data["cost"]["tokens"])
            row.dollars += float(data["cost"]["dollars"])
        if event.kind == LLM_COMPLETED:
            _complete(row, data["completion"])
        row.retries += event.kind == LLM_RETRIED
        row.failures += event.kind == LLM_FAILED
        row.malformed += event.kind == LLM_MALFORMED
    for event in ledger.open.values():
        rows[event.problem, str(event.data["phase"]), str(event.data["model"])].in_flight += 1
    return CostReport(list(rows.values()))


def _complete(row: CostRow, completion: Mapping[str, Any]) -> None:
    row.completions += 1
    row.prompt_tokens += int(completion["prompt_tokens"])
    row.completion_tokens += int(completion["completion_tokens"])
    row.seconds += float(completion["seconds"])


def _sum(rows: Iterable[CostRow], problem: str | None, phase: str, model: str) -> CostRow:
    total = CostRow(problem, phase, model)
    for row in rows:
        for name, value in vars(row).items():
            if not isinstance(value, str) and value is not None:
                setattr(total, name, getattr(total, name) + value)
    return total


def _row(row: CostRow) -> dict[str, Any]:
    return asdict(row) | {"dollars": round(row.dollars, 8), "seconds": round(row.seconds, 3)}
