"""Backtests learn from each other, and a split is never offered what only its future could teach."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Trial
from agents.rules_habits import CITED
from knowledge.rules import Advice, Evidence, OneOf, Outcome, Rule
from knowledge.rules_book import RuleBook
from knowledge.shipped import find
from tuners.upgrade_sched.backtest.baselines import parse_baselines
from tuners.upgrade_sched.backtest.blocks import Blocks, Setup
from tuners.upgrade_sched.backtest.choice import Choice, checked_choice
from tuners.upgrade_sched.backtest.learned import HABITS, known_by_then
from tuners.upgrade_sched.backtest.run import Backtest, Request, open_run
from tuners.upgrade_sched.backtest.search import JUDGED_BY, UNTIL, Default, Validation
from tuners.upgrade_sched.types import History

from .made import history

SETUP = Setup(window_s=7200.0, slots=2, loads=(2.0,), splits=2, families=("history", "squared", "bins"))
REQUEST = Request(SETUP, parse_baselines("cutoff:60"), trials=3)


@pytest.fixture(scope="module")
def made() -> History:
    return history(1000, censored=0.05)


def run(made: History, state: Path, request: Request = REQUEST) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report, and the proposals of every trial with the problem's name."""
    with open_run(request, made, state, None) as folder:
        report = Backtest(request, made, folder, state).run()
        events = [json.loads(line) for line in (folder.path / "events.jsonl").read_text().splitlines()]
    return report, [e for e in events if e["kind"] == "proposal_started"]


def offered(proposed: list[dict[str, Any]], problem: str) -> set[str]:
    citations = [c for e in proposed if e["problem"] == problem for c in e["data"]["proposal"]["citations"]]
    return {c.removeprefix(CITED) for c in citations if c.startswith(CITED)}


def lesson(payload: dict[str, Any], until: float | None, **more: Any) -> Rule:
    figures = {} if until is None else {UNTIL: until}
    evidence = (Evidence("run", "elsewhere", 0, "learned", figures),)
    return Rule(
        HABITS.domain, (OneOf(JUDGED_BY, ("goals",), True),), Advice("try", payload, "Once."), "", evidence, **more
    )


GOOD = asdict(Choice(risk=0.33, lean=0.9, caution=2.0))


def test_a_split_is_offered_what_was_known_by_then(made: History, tmp_path: Path) -> None:
    blocks = Blocks(made, SETUP)
    first, second = blocks.until(0), blocks.until(1)
    past, present = lesson(GOOD, first), lesson(GOOD | {"risk": 0.4}, second)
    future, undated = lesson(GOOD | {"risk": 0.5}, second + 1), lesson(GOOD | {"risk": 0.7}, None)
    RuleBook(tmp_path, user=False).merge([past, present, future, undated])
    _, proposed = run(made, tmp_path)
    assert offered(proposed, "split-1/load-2") == {past.id}
    assert offered(proposed, "split-2/load-2") == {past.id, present.id}


def test_the_same_backtest_again_begins_with_what_it_learned_for_each_split(made: History, tmp_path: Path) -> None:
    before, unaided = run(made, tmp_path)
    assert not any(offered(unaided, f"split-{split}/load-2") for split in (1, 2))
    rules = RuleBook(tmp_path).rules(HABITS.domain)
    dates = {rule.id: rule.evidence[0].figures[UNTIL] for rule in rules}
    assert dates
    assert all(not {UNTIL, "windows"} & {clause.name for clause in rule.condition} for rule in rules)
    after, proposed = run(made, tmp_path)
    ends = {split: Blocks(made, SETUP).until(split - 1) for split in (1, 2)}
    for split in (1, 2):
        assert all(dates[rule_id] <= ends[split] for rule_id in offered(proposed, f"split-{split}/load-2"))
    assert offered(proposed, "split-2/load-2")
    for old, new in zip(before["selections"], after["selections"], strict=True):
        missed = [s["validation"]["missed"] * 1.0 + 0.03 * s["validation"]["cost"] for s in (old, new)]
        assert missed[1] <= missed[0] + 1e-4  # what was found is found again
    assert sum(rule.confirmed + rule.refuted for rule in RuleBook(tmp_path).rules(HABITS.domain)) > 0


def test_without_rules_nothing_is_offered_and_nothing_is_learned(made: History, tmp_path: Path) -> None:
    RuleBook(tmp_path, user=False).merge([lesson(GOOD, 0.0)])
    before = RuleBook(tmp_path, user=False).rules()
    _, proposed = run(made, tmp_path, replace(REQUEST, rules=False))
    assert not offered(proposed, "split-1/load-2")
    assert RuleBook(tmp_path, user=False).rules() == before


def test_a_rule_that_is_no_policy_is_passed_over(made: History, tmp_path: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"risk": 7.0},
        {"risk": "high"},
        {"speed": 1},
        {"model": "crystal ball"},
        {"learn": 1},
        {"lean": True},
    ]
    RuleBook(tmp_path, user=False).merge([lesson(payload, 0.0) for payload in bad])
    report, proposed = run(made, tmp_path)
    assert len(report["selections"]) == 2
    assert not offered(proposed, "split-1/load-2")
    for payload in bad:
        with pytest.raises(ValueError, match=next(iter(payload))):
            checked_choice(payload)


def test_known_policies_cite_passages_that_exist(made: History, tmp_path: Path) -> None:
    _, proposed = run(made, tmp_path)
    known = [e["data"]["proposal"] for e in proposed if e["data"]["proposal"]["source"] == "knowledge"]
    cited = {c for proposal in known for c in proposal["citations"]}
    assert cited
    for citation in cited:
        assert find(citation)[0]["text"]


def test_where_all_else_falls_far_behind_the_default_is_tried(
    made: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = Validation.evaluate

    def strict(self: Validation, problem: Problem, proposal: Proposal) -> Evaluation:
        if proposal.payload == asdict(Choice()):
            return evaluate(self, problem, proposal)
        return Evaluation("failed", 9.0, {"proxy": True}, "far behind")

    monkeypatch.setattr(Validation, "evaluate", strict)
    report, _ = run(made, tmp_path)
    assert [s["policy"] for s in report["selections"]] == [asdict(Choice())] * 2
    assert not list(Default().propose(Analysis(), [Trial("p", 0, Proposal("a", "search"), Evaluation("passed", 1.0))]))


@given(
    st.lists(
        st.tuples(st.sampled_from(["learned", "confirmed", "refuted", "unclear"]), st.integers(0, 100)), max_size=8
    ),
    st.integers(0, 100),
)
def test_a_rule_is_what_it_was_then(evidence: list[tuple[Outcome, int]], now: int) -> None:
    rows = tuple(Evidence("r", "p", n, outcome, {UNTIL: float(date)}) for n, (outcome, date) in enumerate(evidence))
    rule = Rule(HABITS.domain, (), Advice("try", GOOD), "", rows)
    then = known_by_then(rule, Analysis((Finding(UNTIL, float(now), ""),)))
    old = [(outcome, date) for outcome, date in evidence if date <= now]
    if then is None:
        assert not any(outcome in ("learned", "confirmed") for outcome, _ in old)
    else:
        assert (then.confirmed, then.refuted) == tuple(
            sum(one == wanted for one, _ in old) for wanted in ("confirmed", "refuted")
        )
        assert all(one.figures[UNTIL] <= now for one in then.evidence)
        assert then.id == rule.id
    assert known_by_then(rule, Analysis()) is None
