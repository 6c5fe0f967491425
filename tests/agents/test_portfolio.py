"""The portfolio's order, its memory and its patience with broken proposers; no loop runs here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest

from agents.portfolio import MOST_REPEATS, Portfolio
from agents.protocols import Analysis, Evaluation, Proposal, Trial
from sysmith_errors import BudgetExhausted, Interrupted


def proposal(n: int) -> Proposal:
    return Proposal(f"k{n}", "search", payload={"n": n})


def tried(*numbers: int) -> list[Trial]:
    return [Trial("p", index, proposal(n), Evaluation("failed")) for index, n in enumerate(numbers)]


class Fixed:
    """Proposes the same numbers each time, then raises ``error`` where it has one."""

    def __init__(self, *numbers: int, error: Exception | None = None) -> None:
        self.numbers = numbers
        self.error = error
        self.asked = 0

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        self.asked += 1
        yield from map(proposal, self.numbers)
        if self.error:
            raise self.error


class Eager(Fixed):
    """Raises before it returns an iterable at all."""

    name = "eager one"

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        raise ValueError("no")


def ask(portfolio: Portfolio, *history: int) -> list[int]:
    return [p.payload["n"] for p in portfolio.propose(Analysis(), tried(*history))]


def test_the_dearer_is_asked_only_when_the_cheaper_has_nothing_new() -> None:
    cheap, dear = Fixed(1, 2), Fixed(2, 3)
    portfolio = Portfolio([cheap, dear])
    assert ask(portfolio) == [1, 2]
    assert ask(portfolio, 1) == [2]
    assert dear.asked == 0
    assert ask(portfolio, 1, 2) == [3]
    assert ask(portfolio, 1, 2, 3) == []


def test_repeats_are_dropped_within_a_round_by_content() -> None:
    assert ask(Portfolio([Fixed(1, 1, 2, 1)])) == [1, 2]


def test_a_lazy_proposer_is_read_no_further_than_needed() -> None:
    drawn = []

    class Lazy:
        def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
            for n in range(10):
                drawn.append(n)
                yield proposal(n)

    next(Portfolio([Lazy()]).propose(Analysis(), []))
    assert drawn == [0]


def test_one_that_repeats_itself_for_ever_has_nothing_left() -> None:
    class Endless:
        drawn = 0

        def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
            while True:
                self.drawn += 1
                yield proposal(1)

    endless = Endless()
    assert ask(Portfolio([endless, Fixed(7)]), 1) == [7]
    assert endless.drawn == MOST_REPEATS


def test_a_proposer_that_raises_is_recorded_and_the_next_is_asked() -> None:
    class Wrong:
        def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterable[Proposal]:
            return ["not a proposal"]  # type: ignore[list-item]  # the point of the test

    faults: list[tuple[str, str]] = []
    portfolio = Portfolio(
        [Eager(), Wrong(), Fixed(1, error=RuntimeError("boom")), Fixed(2)],
        on_fault=lambda name, error: faults.append((name, type(error).__name__)),
    )
    assert ask(portfolio) == [1]
    assert ask(portfolio, 1) == [2]
    assert faults == [("eager one", "ValueError"), ("Wrong", "AttributeError"), ("Fixed", "RuntimeError")] * 2
    assert portfolio.faults == ("eager one", "Wrong", "Fixed")


def test_an_empty_budget_is_not_a_fault_and_an_interrupt_goes_through() -> None:
    portfolio = Portfolio([Fixed(error=BudgetExhausted("the limit of 5 tokens is reached", mend="Raise it."))])
    assert ask(portfolio) == []
    assert portfolio.out_of_budget == "the limit of 5 tokens is reached"
    assert portfolio.faults == ()
    with pytest.raises(Interrupted):
        ask(Portfolio([Fixed(error=Interrupted("stopped"))]))
