"""Rules for one run: what is offered is fixed in its event log, and what is learned goes to the rule book.

    session = RuleSession(RuleBook(state), Habits("iotune"), log, run_id)
    run_loop(problem, analyzer, [session.proposer(), session.cautious(search)], evaluator, reflect=session.reflect, ...)

A resumed run offers the rules that it started with, whatever other runs have learned meanwhile, so it goes on exactly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from agents.events import Event, EventLog
from agents.llm.secrets import Redactor
from agents.protocols import Analysis, Finding, Problem, Proposer, Trial
from agents.reflection import Lessons, Verdict, reflect
from agents.replay import PROBLEM_STARTED
from agents.rules_habits import Habits, all_facts
from agents.rules_proposer import MOST_OFFERED, Admit, Cautious, Complete, RulesProposer, admitted
from knowledge.rules import Rule, rule_to_json, weighed
from knowledge.rules_book import RuleBook
from knowledge.rules_check import rule_from_json
from knowledge.rules_match import ENOUGH, fit_of, matching, narrowed, widened
from sysmith_errors import InputError

RULES_OFFERED = "rules_offered"  # habits, rules: for the run as a whole, before its first problem
REFLECTED = "reflected"  # learned, confirmed, refuted, unclear, retired: ids of rules, after a problem

# Puts the words of new rules better, and changes nothing else of them (see agents.rules_words).
Phrase = Callable[[Sequence[Rule]], Sequence[Rule]]


class RuleSession:
    """Thread-safe: several problems of a run may propose and reflect at once.

    With ``offer`` False nothing is offered or avoided, and lessons are still kept; with ``learn`` False nothing is
    written. ``complete`` and ``admit`` are as for ``RulesProposer``. Raises InputError for a damaged rule store or log.
    """

    def __init__(
        self,
        book: RuleBook,
        habits: Habits,
        log: EventLog,
        run_id: str,
        *,
        complete: Complete | None = None,
        admit: Admit | None = None,
        phrase: Phrase | None = None,
        offer: bool = True,
        learn: bool = True,
        most: int = MOST_OFFERED,
    ) -> None:
        self.habits = habits
        self._book, self._log, self._run_id = book, log, run_id
        self._complete, self._admit, self._phrase = complete, admit, phrase
        self._learn, self._most = learn, most
        self._lock = threading.Lock()
        self.rules = _fixed(log, habits, book if offer else None)

    def proposer(self) -> Proposer:
        """The proposer to put first."""
        return RulesProposer(self.rules, self.habits, complete=self._complete, admit=self._admit, most=self._most)

    def cautious(self, proposer: Proposer) -> Proposer:
        """``proposer`` with what the rules say to avoid put off."""
        return Cautious(proposer, self.rules, self.habits, admit=self._admit)

    def reflect(self, problem: Problem, trials: Sequence[Trial]) -> None:
        """The loop's ``reflect``: learn from a finished problem. Raises SysmithError when it cannot be kept."""
        if not self._learn:
            return
        analysis = analysis_of(self._log.of(problem.name))
        facts = all_facts(analysis, trials, self.habits)
        rules = admitted(self.rules, analysis, self._admit)
        offered = [match.rule for match in matching(rules, facts, domain=self.habits.domain)]
        lessons = reflect(
            self.habits, self._run_id, problem.name, analysis, trials, offered=offered, moment=time.time()
        )
        with self._lock:
            changes = keep(self._book, lessons, self._phrase)
        if any(changes.values()):
            self._log.append(REFLECTED, changes, problem=problem.name)


def keep(book: RuleBook, lessons: Lessons, phrase: Phrase | None = None) -> dict[str, list[str]]:
    """Write lessons to the book; returns the ids of the rules learned, confirmed, refuted, unclear and retired.

    Reflecting on a run twice counts once. Raises as ``RuleBook`` does.
    """
    changes: dict[str, list[str]] = {name: [] for name in ("learned", "confirmed", "refuted", "unclear", "retired")}
    for verdict in lessons.verdicts:
        was: list[Rule] = []
        after = book.amend(verdict.rule_id, partial(_weigh, verdict, was))
        if after is not None and was and after.evidence != was[0].evidence:
            changes[verdict.evidence.outcome].append(after.id)
            if after.retired and not was[0].retired:
                changes["retired"].append(after.id)
    known = {rule.id: rule for rule in book.rules()}
    new = tuple(clean for rule in lessons.rules if rule.id not in known and (clean := _without_secrets(rule)))
    for rule in phrase(new) if phrase and new else new:
        kept = book.learn(rule, _join)
        if kept != known.get(kept.id):
            changes["learned" if kept.id == rule.id else "confirmed"].append(kept.id)
    return changes


def analysis_of(events: Sequence[Event]) -> Analysis:
    """The analysis that the log has of a problem, from that problem's events; an empty one where there is none."""
    for event in events:
        if event.kind == PROBLEM_STARTED:
            found = event.data.get("analysis", ())
            return Analysis(tuple(Finding(f["name"], _inline(f["value"]), str(f["where"])) for f in found))
    return Analysis()


def rule_counts(events: Iterable[Event]) -> dict[str, int]:
    """How many rules a run was offered, learned, confirmed, refuted and retired, from its events."""
    counts = dict.fromkeys(("offered", "learned", "confirmed", "refuted", "unclear", "retired"), 0)
    for event in events:
        if event.kind == RULES_OFFERED:
            counts["offered"] = len(event.data.get("rules", ()))
        elif event.kind == REFLECTED:
            for name in counts:
                counts[name] += len(event.data.get(name, ()))
    return counts


def _without_secrets(rule: Rule) -> Rule | None:
    """The rule with no secret in its words; None where the candidate itself holds one, as rules are passed on."""
    redactor = Redactor.of_environment()
    kept = rule_to_json(replace(rule, advice=replace(rule.advice, words="")))
    if redactor.value(kept) != kept:
        return None
    return replace(rule, advice=replace(rule.advice, words=redactor.text(rule.advice.words)))


def _inline(value: Any) -> Any:
    """A finding's value; one so long that the log moved it to a file is no use to a rule."""
    return None if isinstance(value, dict) else value


def _weigh(verdict: Verdict, was: list[Rule], rule: Rule) -> Rule:
    """The rule with the verdict counted, and its condition moved towards what the verdict taught."""
    was[:] = [rule]
    counted = weighed(rule, verdict.evidence)
    if counted is rule:
        return rule
    move = {"confirmed": widened, "refuted": narrowed}.get(verdict.evidence.outcome)
    # Advice to avoid something was confirmed, too, where the condition held.
    return counted if move is None else replace(counted, condition=move(rule.condition, verdict.facts))


def _join(known: Rule, new: Rule) -> Rule | None:
    """``known`` with a rule taken in that gives the same advice where it already holds: found again, so confirmed.

    A retired rule takes nothing in, and nothing revives it: it is left as it is, and the new lesson dropped.
    """
    facts = {clause.name: _centre(clause) for clause in new.condition}
    if fit_of(known.condition, facts) < ENOUGH:
        return None
    if known.retired:
        return known
    joined = known
    for evidence in new.evidence:
        joined = weighed(joined, replace(evidence, outcome="confirmed"))
    return known if joined is known else replace(joined, condition=widened(known.condition, facts))


def _centre(clause: Any) -> tuple[Any, ...]:
    """The values that a clause was made from."""
    return clause.values if hasattr(clause, "values") else (clause.seen_low,)


def _fixed(log: EventLog, habits: Habits, book: RuleBook | None) -> tuple[Rule, ...]:
    """The rules of the run: from its log where they are there, else from the book, and then they are."""
    for event in log.of(None):
        if event.kind == RULES_OFFERED:
            rules = log.unpack(event).get("rules")
            if not isinstance(rules, list):
                raise InputError(f"{log.path}, line {event.seq}: rules is not a list", mend="Start a new run.")
            return tuple(rule_from_json(rule, f"{log.path}, line {event.seq}") for rule in rules)
    rules = [] if book is None else [rule for rule in book.rules(habits.domain) if not rule.retired]
    log.append(RULES_OFFERED, {"habits": habits.to_json(), "rules": [rule_to_json(rule) for rule in rules]})
    return tuple(rules)
