"""Rules as values: matching, widening and narrowing, counting, merging; no files."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.rules import Advice, Evidence, Has, OneOf, Rule, Span, clause_for, merged, rule_to_json, weighed
from knowledge.rules_check import rule_from_json
from knowledge.rules_match import clause_fit, fit_of, matching, narrowed, nearness, widened
from sysmith_errors import InputError

numbers = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9)
scalars = st.one_of(st.booleans(), st.text(max_size=8), numbers, st.integers(-(10**9), 10**9))
facts = st.dictionaries(st.sampled_from("abcd"), st.lists(scalars, min_size=1, max_size=3).map(tuple), max_size=4)


def rule(condition: tuple = (), **more: object) -> Rule:  # type: ignore[type-arg]  # any clauses
    fields = {"domain": "toy", "condition": condition, "advice": Advice("try", {"x": 1}, "words")}
    return Rule(**(fields | more))  # type: ignore[arg-type]  # tests name the fields they mean


def trial(n: int, outcome: str) -> Evidence:
    return Evidence("run", "p", n, outcome)  # type: ignore[arg-type]  # one of OUTCOMES


def test_a_number_holds_from_half_to_twice_its_value_and_fades_out_beyond() -> None:
    clause = clause_for("nodes", (32,))
    fits = {n: clause_fit(clause, (n,)) for n in (4, 8, 11, 16, 32, 64, 90, 128, 1000)}
    assert fits[16] == fits[32] == fits[64] == 1
    assert fits[8] == fits[4] == fits[128] == fits[1000] == 0
    assert fits[90] == pytest.approx(1 - math.log2(90 / 64))
    assert 0 < fits[11] < 1


@pytest.mark.parametrize(
    ("clause", "values", "fit"),
    [
        (clause_for("a", ("nfs",)), ("nfs",), 1),
        (clause_for("a", ("nfs",)), ("lustre",), 0),
        (clause_for("a", (True,)), (1,), 0),
        (clause_for("a", (True,)), (True,), 1),
        (clause_for("a", (1,)), (True,), 0),
        (clause_for("a", (-4,)), (-2,), 1),
        (clause_for("a", (-4,)), (4,), 0),
        (clause_for("a", (0,)), (0,), 1),
        (clause_for("a", (0,)), (0.1,), 0),
        (clause_for("a", ("x", "y")), ("y", "z"), 0.5),
        (clause_for("a", ("x", "y")), ("x", "y", "z"), 1),
        (clause_for("a", (5,)), (), 0),
    ],
)
def test_clauses_fit(clause: object, values: tuple, fit: float) -> None:  # type: ignore[type-arg]  # any scalars
    assert clause_fit(clause, values) == fit  # type: ignore[arg-type]  # a clause


def test_a_required_clause_decides_alone() -> None:
    condition = (OneOf("op", ("add",), required=True), OneOf("a", (1,)), OneOf("b", (2,)))
    assert fit_of(condition, {"op": ("add",)}) == pytest.approx(1 / 3)
    assert fit_of(condition, {"op": ("mul",), "a": (1,), "b": (2,)}) == 0


def test_matching_is_by_domain_in_force_and_worth() -> None:
    here = (OneOf("a", (1,)),)
    weak = rule(here, advice=Advice("try", {"x": 2}), refuted=1)
    strong = rule(here, advice=Advice("try", {"x": 3}), confirmed=3)
    retired = rule(here, advice=Advice("try", {"x": 4}), retired="by hand")
    other = rule(here, domain="else")
    found = matching([weak, strong, retired, other], {"a": (1,)}, domain="toy")
    assert [match.rule for match in found] == [strong, weak]
    assert matching([weak], {"a": (2,)}, domain="toy") == []


def test_of_equal_worth_the_nearest_comes_first() -> None:
    rules = [Rule("toy", (clause_for("n", (n,)), OneOf("fs", ("x",))), Advice("try", {"n": n})) for n in (10, 14, 17)]
    for wanted, order in ((13, [14, 10, 17]), (17, [17, 14, 10]), (11, [10, 14, 17])):
        found = matching(rules, {"n": (wanted,), "fs": ("x",)}, domain="toy")
        assert [match.rule.advice.payload["n"] for match in found] == order
        assert len({match.worth for match in found}) == 1
    assert nearness(rules[0].condition, {"n": (10,), "fs": ("x",)}) == 1
    assert nearness(rules[0].condition, {"n": (20,), "fs": ("x",)}) == pytest.approx(0.5)
    assert nearness((), {}) == 1


@given(facts, facts)
def test_what_was_learned_from_always_fits_and_widening_makes_the_new_fit(
    old: dict[str, tuple[object, ...]], new: dict[str, tuple[object, ...]]
) -> None:
    condition = tuple(clause_for(name, values) for name, values in old.items())  # type: ignore[arg-type]  # scalars
    assert fit_of(condition, old) == 1  # type: ignore[arg-type]  # facts
    wide = widened(condition, new)  # type: ignore[arg-type]  # facts
    for clause in wide:
        if isinstance(clause, OneOf) and clause.name in new:
            assert clause_fit(clause, new[clause.name]) == 1  # type: ignore[arg-type]  # scalars
        if isinstance(clause, Span):
            assert clause.low <= clause.seen_low <= clause.seen_high <= clause.high


@given(numbers, numbers)
def test_narrowing_never_cuts_off_what_was_seen(seen: float, failed: float) -> None:
    condition = (clause_for("n", (seen,)),)
    (after,) = narrowed(condition, {"n": (failed,)})
    assert isinstance(after, Span)
    assert after.low <= after.seen_low <= after.seen_high <= after.high
    before = condition[0]
    assert isinstance(before, Span)
    assert before.low <= after.low
    assert after.high <= before.high
    assert fit_of((after,), {"n": (seen,)}) == 1


def test_what_did_not_hold_at_a_failure_is_required_from_then_on() -> None:
    condition = (clause_for("nodes", (32,)), clause_for("file", (256,)), clause_for("fs", ("lustre",)))
    facts = {"nodes": (20,), "file": (1,), "fs": ("lustre",)}
    assert fit_of(condition, facts) == pytest.approx(2 / 3)
    after = narrowed(condition, facts)
    assert [(clause.name, clause.required) for clause in after] == [("nodes", False), ("file", True), ("fs", False)]
    assert after[0] == condition[0], "what held is not to blame"
    assert fit_of(after, facts) == 0
    assert fit_of(after, {"nodes": (32,), "file": (300,), "fs": ("nfs",)}) == pytest.approx(2 / 3)


def test_narrowing_goes_half_way_to_what_failed() -> None:
    (after,) = narrowed((clause_for("n", (16,)),), {"n": (32,)})
    assert isinstance(after, Span)
    assert after.high == pytest.approx(math.sqrt(16 * 32))
    assert after.low == 8


@pytest.mark.parametrize(
    ("outcomes", "retired"),
    [
        (["refuted"], False),
        (["refuted", "refuted"], True),
        (["confirmed", "refuted", "refuted"], False),
        (["confirmed", "refuted", "refuted", "refuted", "refuted"], True),
        (["unclear"] * 9, False),
    ],
)
def test_a_rule_that_fails_is_retired_with_the_reason(outcomes: list[str], retired: bool) -> None:
    one = rule()
    for n, outcome in enumerate(outcomes):
        one = weighed(one, trial(n, outcome))
    assert bool(one.retired) == retired
    if retired:
        assert f"refuted {outcomes.count('refuted')} times" in one.retired
        assert "run run, p, trial" in one.retired


def test_a_trial_counts_once() -> None:
    once = weighed(rule(), trial(3, "refuted"))
    assert weighed(once, trial(3, "refuted")) is once
    assert once.strength < rule().strength


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["confirmed", "refuted", "unclear"])), max_size=12))
def test_merging_is_idempotent_and_counts_each_trial_once(events: list[tuple[int, str]]) -> None:
    base = weighed(rule(), trial(99, "learned"))
    theirs = base
    for n, outcome in events:
        theirs = weighed(theirs, trial(n, outcome))
    both = merged(base, theirs)
    assert merged(both, theirs) == both
    assert (both.confirmed, both.refuted) == (theirs.confirmed, theirs.refuted)


def test_the_origin_is_never_forgotten() -> None:
    one = weighed(rule(), trial(0, "learned"))
    for n in range(1, 300):
        one = weighed(one, trial(n, "confirmed"))
    assert one.evidence[0].outcome == "learned"
    assert len(one.evidence) == 100
    assert one.confirmed == 299


@given(facts, st.dictionaries(st.text(max_size=5), scalars, max_size=4))
def test_a_rule_survives_json(found: dict[str, tuple[object, ...]], payload: dict[str, object]) -> None:
    condition = tuple(clause_for(name, values) for name, values in found.items())  # type: ignore[arg-type]  # scalars
    one = rule(condition, advice=Advice("prefer", payload, "words"), evidence=(trial(1, "learned"),))
    assert rule_from_json(rule_to_json(one), "here") == one


def test_an_id_depends_on_domain_advice_and_condition_but_not_on_words() -> None:
    one = rule((OneOf("a", (1,)),))
    assert one.id == rule((OneOf("a", (1,)),), advice=Advice("try", {"x": 1}, "other words")).id
    assert len({one.id, rule().id, rule((OneOf("a", (1,)),), domain="else").id}) == 3
    assert replace(one, confirmed=4).id == one.id


BROKEN = [
    ({"id": ""}, "id"),
    ({"domain": 4}, "domain"),
    ({"confirmed": -1}, "confirmed"),
    ({"confirmed": True}, "confirmed"),
    ({"refuted": 1.5}, "refuted"),
    ({"retired": None}, "retired"),
    ({"advice": []}, "advice"),
    ({"advice": {"kind": "obey", "payload": {}, "words": ""}}, "kind"),
    ({"advice": {"kind": "try", "payload": [], "words": ""}}, "payload"),
    ({"advice": {"kind": "try", "payload": {"x": float("nan")}, "words": ""}}, "not finite"),
    ({"advice": {"kind": "try", "payload": {"x": "y" * 300_000}, "words": ""}}, "longer"),
    ({"advice": {"kind": "try", "payload": {}, "words": "w" * 3000}}, "words"),
    ({"advice": {"kind": "try", "payload": {}}}, "words is missing"),
    ({"condition": {}}, "condition"),
    ({"condition": [{"kind": "near"}]}, "kind"),
    ({"condition": [{"kind": "one_of", "name": "a", "values": [[]], "required": False}]}, "values"),
    ({"condition": [{"kind": "has", "name": "", "values": [], "required": False}]}, "name"),
    ({"condition": [{"kind": "one_of", "name": "a", "values": [], "required": 1}]}, "required"),
    (
        {
            "condition": [
                {"kind": "range", "name": "a", "low": 2, "high": 1, "seen_low": 1, "seen_high": 1, "required": False}
            ]
        },
        "low <= seen_low",
    ),
    ({"evidence": [{"run": "r"}]}, "figures is missing"),
    (
        {"evidence": [{"run": "r", "problem": "p", "trial": 0, "outcome": "won", "figures": {}, "time": 0}]},
        "outcome",
    ),
    (
        {"evidence": [{"run": "r", "problem": "p", "trial": 0, "outcome": "refuted", "figures": {}, "time": 0}]},
        "less than the 1",
    ),
    ({"surprise": 1}, "surprise is not a field"),
]


@pytest.mark.parametrize(("change", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_a_broken_rule_is_refused_by_field(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as refused:
        rule_from_json(rule_to_json(rule()) | change, "file.json: rules[3]")
    assert "file.json: rules[3]" in str(refused.value)
    assert words in str(refused.value)


@given(
    st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=6), inner), max_leaves=12)
)
def test_any_json_is_a_rule_or_refused(data: object) -> None:
    with pytest.raises(InputError):
        rule_from_json(data, "x")


def test_has_keeps_what_is_common() -> None:
    (after,) = widened((Has("dtype", ("f16", "f32")),), {"dtype": ("f32", "f64")})
    assert after == Has("dtype", ("f32",))
