"""Proposals from the rules that fit a problem, and caution from those that say what failed; it learns nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from agents.protocols import Analysis, Proposal, Proposer, Trial, best_of
from agents.rules_habits import CITED, Habits, all_facts, cited, contains, overlaid
from knowledge.rules import Rule
from knowledge.rules_match import Match, matching
from sysmith_errors import InputError

MOST_OFFERED = 3  # for one problem: a wrong rule costs an evaluation, and three of them are enough
MOST_POSTPONED = 1000

# Makes a whole candidate of what a rule kept, or None where it does not apply to this problem.
Complete = Callable[[Mapping[str, Any], Analysis, Sequence[Trial]], Mapping[str, Any] | None]
# The rule as it may be used on a problem with this analysis, or None where it must not be.
Admit = Callable[[Rule, Analysis], Rule | None]


def admitted(rules: Iterable[Rule], analysis: Analysis, admit: Admit | None) -> list[Rule]:
    """Those of ``rules`` that may be used on a problem with this analysis; all of them where nothing is asked."""
    found = rules if admit is None else (admit(rule, analysis) for rule in rules)
    return [rule for rule in found if rule is not None]


class RulesProposer:
    """Put it first in the portfolio: it offers at most ``most`` candidates, the worthiest first, and is then dry.

    A rule to try is a candidate as it stands; a preferred part is laid over the best candidate so far. ``complete``
    replaces both: it gets what the rule kept, and returns the candidate (a ValueError or InputError of it drops the
    rule, so that what an import brought cannot end a run). ``admit`` may keep a rule from a problem. What is offered
    depends on the rules given, the analysis and the history alone.
    """

    name = "rules"

    def __init__(
        self,
        rules: Iterable[Rule],
        habits: Habits,
        *,
        complete: Complete | None = None,
        admit: Admit | None = None,
        most: int = MOST_OFFERED,
    ) -> None:
        self._rules = tuple(rules)
        self._habits, self._admit = habits, admit
        self._complete = complete or _as_kept
        self._most = most

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        """Raises nothing for rules that cannot be applied: they are passed over."""
        left = self._most - sum(bool(cited(trial)) for trial in history)
        if left <= 0:
            return
        tried = {trial.proposal.content_hash for trial in history}
        offers: dict[str, tuple[list[Match], Mapping[str, Any]]] = {}
        facts = all_facts(analysis, history, self._habits)
        for match in matching(admitted(self._rules, analysis, self._admit), facts, domain=self._habits.domain):
            payload = self._payload(match.rule, analysis, history)
            if payload is not None:
                content = Proposal("", "knowledge", payload=payload).content_hash
                if content not in tried:
                    offers.setdefault(content, ([], payload))[0].append(match)
        for matches, payload in list(offers.values())[:left]:
            yield _proposal(matches, payload)

    def _payload(self, rule: Rule, analysis: Analysis, history: Sequence[Trial]) -> Mapping[str, Any] | None:
        if rule.advice.kind == "avoid" or (rule.advice.kind == "prefer" and best_of(history) is None):
            return None
        kept: Mapping[str, Any] = rule.advice.payload
        if rule.advice.kind == "prefer":
            best = best_of(history)
            kept = overlaid(self._habits.lesson(best.proposal.payload), kept) if best else kept
        try:
            return self._complete(kept, analysis, history)
        except (ValueError, KeyError, TypeError, InputError):
            return None


class Cautious:
    """A proposer that puts off, to the end of each round, what the rules in force say to avoid. Nothing is lost: what
    was put off comes when there is nothing else, and so a wrong rule is found out."""

    def __init__(
        self, proposer: Proposer, rules: Iterable[Rule], habits: Habits, *, admit: Admit | None = None
    ) -> None:
        self._proposer, self._habits, self._admit = proposer, habits, admit
        self._rules = tuple(rule for rule in rules if rule.advice.kind == "avoid")
        self.name = getattr(proposer, "name", type(proposer).__name__)

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        facts = all_facts(analysis, history, self._habits)
        rules = admitted(self._rules, analysis, self._admit)
        bad = [match.rule.advice.payload for match in matching(rules, facts, domain=self._habits.domain)]
        postponed: list[Proposal] = []
        for proposal in self._proposer.propose(analysis, history):
            if len(postponed) < MOST_POSTPONED and any(contains(proposal.payload, part) for part in bad):
                postponed.append(proposal)
            else:
                yield proposal
        yield from postponed


class Unguided:
    """A proposer that does not see the trials that came from rules, for one that goes by the order of its own trials:
    it begins where it always begins, and a rule that is wrong cannot lead it astray."""

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self.name = getattr(proposer, "name", type(proposer).__name__)

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterable[Proposal]:
        return self._proposer.propose(analysis, tuple(trial for trial in history if not cited(trial)))


def _as_kept(payload: Mapping[str, Any], analysis: Analysis, history: Sequence[Trial]) -> Mapping[str, Any]:
    return payload


def _proposal(matches: Sequence[Match], payload: Mapping[str, Any]) -> Proposal:
    """The candidate, citing every rule that says so."""
    first = matches[0].rule
    learned = next((e for e in first.evidence if e.outcome == "learned"), None)
    origin = f" Learned in run {learned.run}, trial {learned.trial} of {learned.problem}." if learned else ""
    tally = f" Confirmed {first.confirmed} times, refuted {first.refuted} times since."
    return Proposal(
        key=f"rule-{first.id}",
        source="knowledge",
        rationale=f"{first.advice.words} The condition fits to {matches[0].fit:.0%}.{origin}{tally}",
        citations=tuple(f"{CITED}{match.rule.id}" for match in matches),
        payload=payload,
    )
