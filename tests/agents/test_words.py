"""The frozen types, their records, and the stop rules; the loop that uses them is tested elsewhere."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.budget import Budget, Limits
from agents.protocols import Analysis, Cost, Evaluation, Finding, Proposal, Trial, best_of
from agents.records import evaluation_from_json, evaluation_to_json, proposal_from_json, proposal_to_json
from agents.stop import Stop, any_of, budget_spent, goal_met, no_improvement, once_passed

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FREE = Budget()


def trial(index: int, objective: float | None, status: Any = "passed") -> Trial:
    return Trial("p", index, Proposal(f"k{index}", "search", payload={"n": index}), Evaluation(status, objective))


def trials(*objectives: float | None) -> list[Trial]:
    return [trial(index, objective) for index, objective in enumerate(objectives)]


@given(st.text(), st.text(), st.lists(st.text()), st.dictionaries(st.text(), PLAIN, max_size=4))
def test_a_proposal_survives_its_record(key: str, why: str, cited: list[str], payload: dict[str, Any]) -> None:
    proposal = Proposal(key, "llm:x", why, tuple(cited), payload)
    again = proposal_from_json(json.loads(json.dumps(proposal_to_json(proposal))))
    assert again == proposal
    assert again.content_hash == proposal.content_hash


@given(st.floats(allow_nan=False, allow_infinity=False) | st.none(), st.dictionaries(st.text(), PLAIN, max_size=4))
def test_an_evaluation_survives_its_record(objective: float | None, metrics: dict[str, Any]) -> None:
    evaluation = Evaluation("failed", objective, metrics, "why", Cost(1.5, 2, 0.25, 3))
    assert evaluation_from_json(json.loads(json.dumps(evaluation_to_json(evaluation)))) == evaluation


def test_the_hash_is_of_the_payload_alone_and_ignores_key_order() -> None:
    one = Proposal("a", "search", "x", ("c",), {"p": (1, 2), "q": "s"})
    two = Proposal("b", "llm:m", payload={"q": "s", "p": [1, 2]})
    assert one.content_hash == two.content_hash
    assert one.payload == two.payload, "a live payload has the types it will have when read back"
    assert one.content_hash != Proposal("a", "search", payload={"p": [1, 3], "q": "s"}).content_hash


def test_a_record_that_was_tampered_with_is_noticed() -> None:
    record = proposal_to_json(Proposal("a", "search", payload={"x": 1}))
    with pytest.raises(ValueError, match="does not match"):
        proposal_from_json(record | {"payload": {"x": 2}})


def test_wrong_values_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="proposal 'a'"):
        Proposal("a", "search", payload={"x": object()})
    with pytest.raises(ValueError, match="finite"):
        Evaluation("passed", math.nan)
    with pytest.raises(ValueError, match="one of passed"):
        Evaluation("great")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(ValueError, match="metrics"):
        Evaluation("passed", metrics={"x": math.inf})
    with pytest.raises(ValueError, match="dollars is -1"):
        Cost(dollars=-1)


def test_an_analysis_finds_by_name() -> None:
    finding = Finding("size", 3, "a.toml:1")
    assert Analysis((finding,)).get("size") is finding
    assert Analysis((finding,)).get("other") is None


def test_the_best_is_the_first_lowest_that_passed() -> None:
    best = best_of([trial(0, 1.0, "failed"), trial(1, None), trial(2, 3.0), trial(3, 2.0), trial(4, 2.0)])
    assert best is not None
    assert best.index == 3
    assert best_of([trial(0, 1.0, "error")]) is None


def test_goal_met() -> None:
    assert goal_met()(trials(1.0, 2.0), FREE) is None
    assert goal_met()([trial(0, None, "failed"), trial(1, None)], FREE) == Stop("goal", "trial 1 passed")
    assert goal_met(2.0)(trials(3.0, 2.5), FREE) is None
    assert goal_met(2.0)([trial(0, 1.0, "failed")], FREE) is None
    stop = goal_met(2.0)(trials(3.0, 2.0), FREE)
    assert stop is not None
    assert stop.text == "trial 1 reached 2, the target being 2"


@pytest.mark.parametrize(
    ("objectives", "relative", "stops"),
    [
        ((5.0, 4.0, 4.0), 0.0, False),
        ((5.0, 4.0, 4.0, 4.5), 0.0, True),
        ((5.0, 4.0, 4.0, 3.9), 0.0, False),
        ((5.0, 4.0, 3.99, 3.98), 0.1, True),
        ((-1.0, -2.0, -3.0, -4.0), 0.1, False),
        ((None, None), 0.0, False),
        ((None, None, None), 0.0, True),
    ],
)
def test_no_improvement_in_two(objectives: tuple[float | None, ...], relative: float, stops: bool) -> None:
    assert (no_improvement(2, relative=relative)(trials(*objectives), FREE) is not None) is stops


def test_no_improvement_counts_failures_too() -> None:
    failed = [trial(index, None, "failed") for index in range(3)]
    assert no_improvement(3)(failed, FREE) == Stop("stalled", "no improvement in the last 3 trials")
    assert once_passed(no_improvement(3))(failed, FREE) is None
    late = [*failed, *trials(5.0, 6.0, 6.0, 6.0)]
    assert once_passed(no_improvement(3))(late, FREE) == no_improvement(3)(late, FREE) is not None
    assert no_improvement(3)([*failed[:2], trial(2, 1.0)], FREE) is None
    with pytest.raises(ValueError, match="patience"):
        no_improvement(0)


def test_rules_speak_in_order() -> None:
    spent = Budget(Limits(evaluations=0))
    rule = any_of(goal_met(), budget_spent())
    assert rule([], FREE) is None
    assert rule([], spent) == Stop("budget", "the limit of 0 evaluations for the run is reached")
    assert rule(trials(None), spent) == Stop("goal", "trial 0 passed")
