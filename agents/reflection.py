"""What a finished problem teaches: verdicts on the rules it was offered, and new rules; deterministic, stores nothing.

A candidate is measured against the unguided ones, those that did not come from a rule. With ``median`` the median of
their objectives (a failed one counts as infinite) and ``best`` the lowest of all, its regret is

    (objective - best) / (median - best)

0 for the best there was, 1 for one that is no better than picking an unguided candidate blindly. An advice is confirmed
at a regret of at most 1/4, refuted at 1 or more or when the candidate failed, and unclear between, or where the
candidate could not be judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.protocols import Analysis, Trial, best_of, canonical_json
from agents.reflection_contrast import LEAST_TRIALS, Effect, effects
from agents.rules_habits import NAME, SYMPTOM, Habits, all_facts, cited, contains, facts_of, plain_line, symptoms_of
from knowledge.rules import MOST_WORDS, Advice, Evidence, Facts, Outcome, Rule, clause_for
from knowledge.rules_check import MOST_PAYLOAD

CONFIRMED_REGRET = 0.25
JUDGED = ("passed", "failed", "timeout")


@dataclass(frozen=True)
class Verdict:
    """What one trial says about one rule, and the facts of the problem it was tried on."""

    rule_id: str
    evidence: Evidence
    facts: Facts


@dataclass(frozen=True)
class Lessons:
    """All that a problem teaches."""

    verdicts: tuple[Verdict, ...] = ()
    rules: tuple[Rule, ...] = ()


def reflect(
    habits: Habits,
    run: str,
    problem: str,
    analysis: Analysis,
    trials: Sequence[Trial],
    *,
    offered: Iterable[Rule] = (),
    moment: float = 0.0,
) -> Lessons:
    """Draw the lessons of one problem.

    ``offered`` are the rules that were matched against it (those to avoid are judged by what was tried all the same);
    ``moment`` (Unix seconds) dates the evidence.
    """
    judged = [trial for trial in trials if trial.evaluation.status in JUDGED]
    verdicts = [*_on_guided(habits, run, analysis, trials, moment)]
    verdicts += _on_avoided(habits, run, analysis, judged, offered, moment)
    draft = _Draft(habits, run, problem, analysis, judged, moment)
    return Lessons(tuple(verdicts), (*draft.tried(), *draft.preferred(), *draft.avoided()))


def regret(trial: Trial, trials: Sequence[Trial]) -> float | None:
    """The regret of a passed trial (see the module), None where nothing else was judged or all did equally well."""
    objective = trial.evaluation.objective
    others = sorted(_score(t) for t in trials if t.evaluation.status in JUDGED and not cited(t))
    if not others or objective is None:
        return None
    middle = len(others) // 2
    median = others[middle] if len(others) % 2 else (others[middle - 1] + others[middle]) / 2
    best = min(_score(t) for t in trials if t.evaluation.status in JUDGED)
    if math.isinf(median):
        return 0.0 if objective <= best else None
    return (objective - best) / (median - best) if median > best else None


def outcome_of(trial: Trial, trials: Sequence[Trial]) -> Outcome:
    """What ``trial`` says about the advice it came from, within all ``trials`` of its problem."""
    if trial.evaluation.status not in JUDGED:
        return "unclear"
    if not trial.passed:
        return "refuted"
    if trial.evaluation.objective is None or all(cited(t) for t in trials if t.evaluation.status in JUDGED):
        best = best_of(trials)
        # With rules alone to compare, the best of them is right and the others are not known to be wrong.
        return "confirmed" if best is None or trial.evaluation.objective is None or best is trial else "unclear"
    loss = regret(trial, trials)
    if loss is None:
        return "unclear"
    return "confirmed" if loss <= CONFIRMED_REGRET else "refuted" if loss >= 1 else "unclear"


def _score(trial: Trial) -> float:
    objective = trial.evaluation.objective
    if not trial.passed:
        return math.inf
    return 0.0 if objective is None else objective


def _on_guided(
    habits: Habits, run: str, analysis: Analysis, trials: Sequence[Trial], moment: float
) -> Iterable[Verdict]:
    for trial in trials:
        for rule_id in cited(trial):
            figures = _figures(trial, trials) | _noted(habits, analysis)
            evidence = Evidence(run, trial.problem, trial.index, outcome_of(trial, trials), figures, moment)
            yield Verdict(rule_id, evidence, all_facts(analysis, trials[: trial.index], habits))


def _on_avoided(
    habits: Habits,
    run: str,
    analysis: Analysis,
    judged: Sequence[Trial],
    offered: Iterable[Rule],
    moment: float,
) -> Iterable[Verdict]:
    facts = facts_of(analysis)
    for rule in offered:
        tried = [t for t in judged if contains(t.proposal.payload, rule.advice.payload)]
        if rule.advice.kind != "avoid" or rule.domain != habits.domain or not tried:
            continue
        # One that passed is enough to show that it can be done.
        trial = next((t for t in tried if t.passed), tried[0])
        outcome: Outcome = "refuted" if trial.passed else "confirmed"
        figures = {"status": trial.evaluation.status, "tried": len(tried)} | _noted(habits, analysis)
        yield Verdict(rule.id, Evidence(run, trial.problem, trial.index, outcome, figures, moment), facts)


def _figures(trial: Trial, trials: Sequence[Trial]) -> dict[str, Any]:
    figures: dict[str, Any] = {"status": trial.evaluation.status, "trials": len(trials)}
    best = best_of(trials)
    for name, value in (
        ("objective", trial.evaluation.objective),
        ("best", best.evaluation.objective if best else None),
        ("regret", regret(trial, trials) if trial.passed else None),
    ):
        if value is not None:
            figures[name] = value
    return figures


def _noted(habits: Habits, analysis: Analysis) -> dict[str, Any]:
    found = {name: analysis.get(name) for name in habits.noted}
    return {name: finding.value for name, finding in found.items() if finding is not None}


@dataclass(frozen=True)
class _Draft:
    """The new rules of one problem."""

    habits: Habits
    run: str
    problem: str
    analysis: Analysis
    judged: Sequence[Trial]
    moment: float

    def tried(self) -> Iterable[Rule]:
        """The best candidate, unless it was the first unguided one or came from a rule: then it is nothing new."""
        best = best_of(self.judged)
        if best is None or cited(best):
            return
        first = next(trial for trial in self.judged if not cited(trial))
        if best is first or _score(best) >= _score(first):
            return
        payload = self.habits.lesson(best.proposal.payload)
        if not payload or len(canonical_json(payload)) > MOST_PAYLOAD:
            return
        failed = sum(not t.passed for t in self.judged)
        words = f"On {plain_line(self.problem, 80)} {_brief(payload)} was the best of {len(self.judged)} trials"
        if best.evaluation.objective is not None and first.evaluation.objective is not None:
            words += f": {best.evaluation.objective:.6g}, where the first had {first.evaluation.objective:.6g}"
        words += f"; {failed} failed." if failed else "."
        for condition in self._conditions(best):
            after = ", ".join(f"{c.name.removeprefix(SYMPTOM)} {_brief(c.values)}" for c in condition if _is_symptom(c))
            said = f"After a failure with {after}: {words}" if after else words
            yield self._rule(condition, Advice("try", payload, said[:MOST_WORDS]), best)

    def preferred(self) -> Iterable[Rule]:
        """The parts that went with the best quarter of what passed."""
        passed = sorted((t for t in self.judged if t.passed and t.evaluation.objective is not None), key=_score)
        if len(passed) < LEAST_TRIALS:
            return
        limit = _score(passed[len(passed) // 4])
        if limit >= _score(passed[-1]):
            return  # no quarter stands out
        found = effects(passed, [_score(t) <= limit for t in passed], self.habits.ignore)
        best: dict[tuple[str, ...], Effect] = {}
        for effect in found:  # one value of a part, the surest
            if effect.hits * effect.others > effect.other_hits * effect.tried:
                best.setdefault(effect.path, effect)
        for effect in best.values():
            counts = _counts(effect, "was in the best quarter")
            words = f"On {plain_line(self.problem, 80)} {_brief(effect.part())} {counts}."
            yield self._rule(self._base(), Advice("prefer", effect.part(), words[:MOST_WORDS]), passed[0])

    def avoided(self) -> Iterable[Rule]:
        """The parts that failed whenever they were tried, and why."""
        failed = [not t.passed for t in self.judged]
        for effect in effects(self.judged, failed, self.habits.ignore):
            if effect.hits < effect.tried:
                continue
            example = next(t for t in self.judged if not t.passed and contains(t.proposal.payload, effect.part()))
            said = plain_line(example.evaluation.feedback, 160)
            words = f"On {plain_line(self.problem, 80)} {_brief(effect.part())} {_counts(effect, 'failed')}"
            words += f', as "{said}".' if said else "."
            yield self._rule(self._base(), Advice("avoid", effect.part(), words[:MOST_WORDS]), example)

    def _conditions(self, best: Trial) -> Iterable[tuple[Any, ...]]:
        """What must hold for the candidate to be tried again: the findings, and, apart, the symptoms before it."""
        yield self._base()
        symptoms = symptoms_of([t for t in self.judged if t.index < best.index], self.habits.symptoms)
        if symptoms:
            yield tuple(clause_for(name, values, required=True) for name, values in sorted(symptoms.items()))

    def _base(self) -> tuple[Any, ...]:
        facts = facts_of(self.analysis)
        required = {*self.habits.required, *((NAME,) if self.habits.by_name else ())}
        return tuple(
            clause_for(name, values, required=name in required)
            for name, values in sorted(facts.items())
            if not name.startswith(SYMPTOM) and name not in self.habits.noted and (name != NAME or self.habits.by_name)
        )

    def _rule(self, condition: tuple[Any, ...], advice: Advice, trial: Trial) -> Rule:
        figures = _figures(trial, self.judged) | _noted(self.habits, self.analysis)
        evidence = Evidence(self.run, self.problem, trial.index, "learned", figures, self.moment)
        return Rule(self.habits.domain, condition, advice, evidence=(evidence,))


def _counts(effect: Effect, what: str) -> str:
    return (
        f"{what} in {effect.hits} of {effect.tried} trials, "
        f"others in {effect.other_hits} of {effect.others} (p = {effect.p:.2g})"
    )


def _brief(payload: Mapping[str, Any] | Sequence[Any]) -> str:
    return plain_line(canonical_json(payload), 240)


def _is_symptom(clause: Any) -> bool:
    return str(clause.name).startswith(SYMPTOM) and hasattr(clause, "values")
