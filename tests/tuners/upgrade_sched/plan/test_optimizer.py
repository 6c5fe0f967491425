"""What a plan's loop proposes: each policy once, on the authority of a note that can be read."""

from __future__ import annotations

from agents.protocols import Analysis, Evaluation, Trial
from knowledge.shipped import find
from tuners.upgrade_sched.plan.optimizer import POLICIES, Policies, Polish


def test_each_policy_is_proposed_once_and_cites_a_note_that_exists() -> None:
    proposed = list(Policies().propose(Analysis(), ()))
    assert len(proposed) == len({proposal.content_hash for proposal in proposed}) == len(POLICIES)
    assert [proposal.source for proposal in proposed] == ["knowledge", *["search"] * (len(POLICIES) - 1)]
    for citation in {citation for proposal in proposed for citation in proposal.citations}:
        assert find(citation)[0]["text"].startswith("## ")
    history = [Trial("fleet", 0, proposed[0], Evaluation("passed", 0.1, {"gap": 0.1}))]
    assert list(Policies().propose(Analysis(), history)) == proposed[1:]


def test_the_best_policy_is_polished_unless_it_reached_the_bound() -> None:
    first, second, *_ = Policies().propose(Analysis(), ())
    worse = Trial("fleet", 0, first, Evaluation("passed", 0.2, {"gap": 0.2}))
    better = Trial("fleet", 1, second, Evaluation("passed", 0.1, {"gap": 0.1}))
    (polish,) = Polish(2.0).propose(Analysis(), [worse, better])
    assert dict(polish.payload) == dict(second.payload) | {"polish": 2.0}
    perfect = Trial("fleet", 2, second, Evaluation("passed", 0.0, {"gap": 0.0}))
    assert list(Polish(2.0).propose(Analysis(), [perfect])) == []
    assert list(Polish(2.0).propose(Analysis(), [])) == []
