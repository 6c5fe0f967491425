"""What reflection makes of trials: new rules with their evidence, and verdicts on old ones; nothing is stored."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocols import Analysis, Finding, Trial
from agents.reflection import Lessons, outcome_of, reflect, regret
from agents.reflection_contrast import effects, fisher_p
from agents.rules_habits import NAME, Habits, contains, facts_of, overlaid, plain_line, symptoms_of
from knowledge.rules import Advice, OneOf, Rule, rule_to_json
from knowledge.rules_check import rule_from_json
from knowledge.rules_match import fit_of

from .trials import ANALYSIS, HABITS, trial


def lessons(trials: list[Trial], habits: Habits = HABITS, offered: list[Rule] | None = None) -> Lessons:
    return reflect(habits, "run", "p", ANALYSIS, trials, offered=offered or [], moment=7.0)


def tried(trials: list[Trial], habits: Habits = HABITS) -> list[Rule]:
    return [rule for rule in lessons(trials, habits).rules if rule.advice.kind == "try"]


def test_the_best_candidate_becomes_a_rule_with_its_evidence() -> None:
    found = lessons([trial(0, {"x": 1}, 9.0), trial(1, {"x": 2}, 4.0), trial(2, {"x": 3}, status="failed")])
    (rule,) = found.rules
    assert rule.advice.kind == "try"
    assert rule.advice.payload == {"x": 2}
    assert "was the best of 3 trials: 4, where the first had 9; 1 failed." in rule.advice.words
    (evidence,) = rule.evidence
    assert (evidence.run, evidence.problem, evidence.trial, evidence.outcome, evidence.time) == (
        *("run", "p", 1),
        *("learned", 7.0),
    )
    assert evidence.figures["objective"] == 4.0
    assert {clause.name for clause in rule.condition} == {"nodes", "fs"}
    assert found.verdicts == ()


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial(0, {"x": 1}, status="failed")],
        [trial(0, {"x": 1}, 4.0)],
        [trial(0, {"x": 1}, 4.0), trial(1, {"x": 2}, 4.0)],
        [trial(0, {"x": 1}), trial(1, {"x": 2})],
        [trial(0, {"x": 1}, status="error"), trial(1, {"x": 2}, 5.0)],
        [trial(0, {"x": 1}, 4.0), trial(1, {"x": 2}, 1.0, rules=["abc"])],
    ],
    ids=["nothing", "all failed", "only one", "no better", "first passed", "not judged", "from a rule"],
)
def test_where_nothing_was_found_nothing_is_learned(trials: list[Trial]) -> None:
    assert tried(trials) == []


def test_passing_alone_is_a_lesson_where_others_failed() -> None:
    (rule,) = tried([trial(0, {"v": "a"}, status="failed"), trial(1, {"v": "b"})])
    assert rule.advice.payload == {"v": "b"}


def test_habits_decide_what_is_kept_and_where_it_holds() -> None:
    habits = Habits("toy", ignore=("hash",), symptoms=("culprits",), by_name=True, required=("fs",))
    analysis = Analysis((*ANALYSIS.findings, Finding(NAME, "p", "test")))
    trials = [
        trial(0, {"hash": "old", "v": "a"}, status="failed", culprits=["add.Tensor"]),
        trial(1, {"hash": "old", "v": "b"}),
    ]
    rules = reflect(habits, "run", "p", analysis, trials).rules
    assert [rule.advice.payload for rule in rules] == [{"v": "b"}, {"v": "b"}]
    by_name, by_symptom = rules
    assert {c.name: c.required for c in by_name.condition} == {"nodes": False, "fs": True, NAME: True}
    assert [(c.name, c.required) for c in by_symptom.condition] == [("symptom:culprits", True)]
    assert by_symptom.advice.words.startswith('After a failure with culprits ["add.Tensor"]: On p')


@pytest.mark.parametrize(
    ("own", "others", "outcome"),
    [
        (1.0, [5.0, 6.0, 7.0], "confirmed"),
        (2.0, [1.0, 6.0, 7.0], "confirmed"),
        (4.0, [1.0, 6.0, 7.0], "unclear"),
        (6.0, [1.0, 6.0, 7.0], "refuted"),
        (9.0, [1.0, 6.0, 7.0], "refuted"),
        (9.0, [], "confirmed"),
        (5.0, [None, None, 7.0], "confirmed"),
        (5.0, [None, None, 4.0], "unclear"),
        (5.0, [5.0, 5.0], "unclear"),
        (None, [5.0], "refuted"),
    ],
)
def test_a_rule_is_judged_against_the_unguided(own: float | None, others: list[float | None], outcome: str) -> None:
    def made(n: int, objective: float | None, rules: list[str]) -> Trial:
        return trial(n, {"n": n}, objective, status=None if objective is not None else "failed", rules=rules)

    trials = [made(0, own, ["abc"]), *(made(n, value, []) for n, value in enumerate(others, start=1))]
    assert outcome_of(trials[0], trials) == outcome
    (verdict,) = lessons(trials).verdicts
    assert (verdict.rule_id, verdict.evidence.outcome) == ("abc", outcome)


def test_what_could_not_be_judged_says_nothing() -> None:
    trials = [trial(0, {"x": 1}, status="error", rules=["abc"]), trial(1, {"x": 2}, 3.0)]
    assert outcome_of(trials[0], trials) == "unclear"


def test_passing_is_enough_where_passing_is_the_goal() -> None:
    trials = [trial(0, {"x": 1}, rules=["abc"])]
    assert outcome_of(trials[0], trials) == "confirmed"


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9), st.floats(0.1, 100), st.floats(-1e3, 1e3))
def test_regret_does_not_depend_on_scale_or_zero(objectives: list[float], scale: float, shift: float) -> None:
    objectives = [round(value, 3) for value in objectives]

    def made(values: list[float]) -> list[Trial]:
        return [trial(n, {"n": n}, value, rules=["r"] if n == 0 else []) for n, value in enumerate(values)]

    one, other = made(objectives), made([scale * value + shift for value in objectives])
    before, after = regret(one[0], one), regret(other[0], other)
    if before is not None and after is not None:
        assert after == pytest.approx(before, rel=1e-3, abs=1e-3)
        assert before >= 0


def test_fisher_agrees_with_the_tea_tasting() -> None:
    # Fisher 1935: 4 of 4 cups right among 8 has a chance of 1 in 70, 3 of 4 of 17 in 70.
    assert fisher_p(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher_p(3, 4, 1, 4) == pytest.approx(17 / 70)


@given(*[st.integers(0, 12)] * 4)
def test_fisher_is_a_probability(hits: int, misses: int, other_hits: int, other_misses: int) -> None:
    p = fisher_p(hits, hits + misses, other_hits, other_hits + other_misses)
    assert 0 < p <= 1 + 1e-12


def test_what_always_fails_is_to_be_avoided_with_the_reason() -> None:
    trials = [
        trial(n, {"mode": mode, "n": n}, None if mode == "odd" else 5.0 + n, status="failed" if mode == "odd" else None,
              feedback="odd \x1b[31mis not supported" if mode == "odd" else "")
        for n, mode in enumerate(["even", "odd"] * 8)
    ]  # fmt: skip
    (rule,) = [rule for rule in lessons(trials).rules if rule.advice.kind == "avoid"]
    assert rule.advice.payload == {"mode": "odd"}
    assert "failed in 8 of 8 trials, others in 0 of 8" in rule.advice.words
    assert "is not supported" in rule.advice.words
    assert "\x1b" not in rule.advice.words


def test_a_part_that_goes_with_the_best_is_preferred() -> None:
    rng = random.Random(4)
    trials = []
    for n, (compress, stripe) in enumerate(itertools.product(["zstd", "none", "lz4", "gzip"], [1, 2, 4, 8, 16])):
        objective = (1.0 if compress == "zstd" else 10.0) + rng.random()
        trials.append(trial(n, {"io": {"compress": compress}, "stripe": stripe}, objective))
    rng.shuffle(trials)
    found = [rule.advice for rule in lessons(trials).rules if rule.advice.kind == "prefer"]
    assert [advice.payload for advice in found] == [{"io": {"compress": "zstd"}}]


@given(st.integers(0, 10_000))
def test_chance_alone_seldom_makes_a_rule(seed: int) -> None:
    rng = random.Random(seed)
    trials = [trial(n, {"a": rng.randrange(3), "b": rng.randrange(3), "n": n}, rng.random()) for n in range(30)]
    best = sorted(t.evaluation.objective or 0 for t in trials)[7]
    # Bonferroni holds the chance of any false effect at 5 %; here only that the machinery holds together.
    for effect in effects(trials, [(t.evaluation.objective or 0) <= best for t in trials]):
        assert effect.p < 0.05
        assert effect.hits <= effect.tried


def test_false_alarms_stay_below_the_level() -> None:
    rng, alarms, runs = random.Random(1), 0, 300
    for _ in range(runs):
        trials = [trial(n, {"a": rng.randrange(3), "b": rng.randrange(4)}, 1.0) for n in range(30)]
        alarms += bool(effects(trials, [rng.random() < 0.25 for _ in trials]))
    assert alarms / runs < 0.05


def avoid(payload: dict[str, object]) -> Rule:
    return Rule("toy", (OneOf("fs", ("lustre",)),), Advice("avoid", payload))


def test_a_rule_to_avoid_is_judged_by_what_was_tried_all_the_same() -> None:
    rule = avoid({"mode": "odd"})
    failed = lessons([trial(0, {"mode": "odd"}, status="failed"), trial(1, {"mode": "even"}, 1.0)], offered=[rule])
    passed = lessons([trial(0, {"mode": "odd"}, 1.0), trial(1, {"mode": "even"}, 1.0)], offered=[rule])
    not_tried = lessons([trial(1, {"mode": "even"}, 1.0)], offered=[rule])
    assert [v.evidence.outcome for found in (failed, passed, not_tried) for v in found.verdicts] == [
        "confirmed",
        "refuted",
    ]


def test_facts_and_symptoms() -> None:
    analysis = Analysis((Finding("d", "a", ""), Finding("d", "b", ""), Finding("none", None, "")))
    assert facts_of(analysis) == {"d": ("a", "b")}
    trials = [trial(0, {}, status="failed", culprits=["x", "y"], empty=[], deep={"no": 1}), trial(1, {"x": 1}, 2.0)]
    assert symptoms_of(trials, ["culprits", "empty", "deep", "absent"]) == {"symptom:culprits": ("x", "y")}
    assert symptoms_of(trials[1:], ["culprits"]) == {}


def test_parts_of_payloads() -> None:
    payload = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert contains(payload, {"a": {"b": 1}})
    assert contains(payload, {})
    assert not contains(payload, {"a": {"b": True}})
    assert not contains(payload, {"a": 1})
    assert overlaid(payload, {"a": {"b": 5}, "e": 6}) == {"a": {"b": 5, "c": 2}, "d": [1, 2], "e": 6}
    assert plain_line("a\x1b[1m\n\n b\u202e", 20) == "a [1m b"


def test_habits_survive_the_log() -> None:
    habits = Habits("kernelgen", ignore=("library",), symptoms=("culprits",), by_name=True)
    assert Habits.from_json(habits.to_json()) == habits


payloads = st.dictionaries(
    st.sampled_from("abc"), st.one_of(st.integers(0, 2), st.booleans(), st.text(max_size=3)), max_size=3
)
outcomes = st.tuples(payloads, st.sampled_from(["passed", "failed", "timeout", "error", "skipped"]), st.floats(-9, 9))


@given(st.lists(outcomes, max_size=14), st.sets(st.integers(0, 13)))
def test_whatever_happened_a_lesson_is_sound(
    rows: list[tuple[dict[str, object], str, float]], guided: set[int]
) -> None:
    trials = [
        trial(n, payload, objective, status=status, rules=["abc"] if n in guided else [])
        for n, (payload, status, objective) in enumerate(rows)
    ]
    found = lessons(trials)
    assert len(found.verdicts) == len([t for t in trials if t.index in guided])
    for rule in found.rules:
        assert rule_from_json(rule_to_json(rule), "x") == rule
        assert fit_of(rule.condition, facts_of(ANALYSIS)) == 1
        assert rule.evidence[0].trial < len(trials)
        assert rule.advice.payload
