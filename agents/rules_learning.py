"""Lessons of a run that already ended, learned from its log; what ``sysmith rules learn`` does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agents.protocols import Analysis, Finding
from agents.reflection import reflect
from agents.rules_habits import NAME, Habits, all_facts
from agents.rules_session import RULES_OFFERED, Phrase, analysis_of, keep
from agents.run_reading import RunView, find_run, read_run
from knowledge.rules import Rule
from knowledge.rules_book import RuleBook
from knowledge.rules_check import rule_from_json
from knowledge.rules_match import matching
from sysmith_errors import InputError


def learn_from_run(
    state: Path, wanted: str, book: RuleBook, phrase: Phrase | None = None, *, habits: Iterable[Habits] = ()
) -> dict[str, Any]:
    """Reflect on every finished problem of a run; returns the run's id and what changed, ids of rules by kind.

    ``habits`` are those of optimizers whose run may have had no rules; the run's own stand above them.
    A run that was reflected on when it ended changes nothing. Raises InputError for an unknown or damaged run.
    """
    info = find_run(state, wanted)
    if info.fault is not None:
        raise InputError(f"run {info.id} cannot be read: {info.fault}", mend="Choose another with sysmith runs list.")
    run = read_run(info)
    own, rules = _offered(run, habits)
    total: dict[str, list[str]] = {}
    for problem in run.problems.values():
        if problem.end is None:
            continue
        analysis = analysis_of(problem.events)
        if own.by_name and analysis.get(NAME) is None:
            analysis = Analysis((*analysis.findings, Finding(NAME, problem.name, "the problem itself")))
        trials = run.trials(problem.name)
        offered = [m.rule for m in matching(rules, all_facts(analysis, trials, own), domain=own.domain)]
        moment = problem.events[-1].time
        lessons = reflect(own, info.id, problem.name, analysis, trials, offered=offered, moment=moment)
        for kind, ids in keep(book, lessons, phrase).items():
            total.setdefault(kind, []).extend(i for i in ids if i not in total.get(kind, ()))
    return {"run": info.id, "problems": len(run.problems)} | total


def _offered(run: RunView, known: Iterable[Habits]) -> tuple[Habits, list[Rule]]:
    """The habits and rules that the run began with; for a run without rules, the habits of its command."""
    for event in run.events:
        if event.kind == RULES_OFFERED:
            data = run.unpack(dict(event.data))
            where = f"{run.info.path}, event {event.seq}"
            try:
                return Habits.from_json(data["habits"]), [rule_from_json(rule, where) for rule in data["rules"]]
            except (KeyError, TypeError) as error:
                raise InputError(f"{where} is damaged ({error})", mend="Restore the run from a copy.") from error
    return next((habits for habits in known if habits.domain == run.info.command), Habits(run.info.command)), []
