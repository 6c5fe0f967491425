"""Budgets: nothing is over-spent, by threads or by children; stop rules are tested elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.budget import Budget, Limits, Reservation
from agents.protocols import Cost
from sysmith_errors import BudgetExhausted, InternalFault

COSTS = st.builds(
    Cost, tokens=st.integers(0, 30), dollars=st.integers(0, 30).map(lambda n: n / 10), evaluations=st.integers(0, 3)
)
LIMITS = st.builds(
    Limits,
    evaluations=st.none() | st.integers(0, 12),
    tokens=st.none() | st.integers(0, 90),
    dollars=st.none() | st.integers(0, 90).map(lambda n: n / 10),
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def eager_switching() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can, so that a missing lock shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def within(budget: Budget) -> bool:
    total = budget.spent + budget.reserved
    return all(
        limit is None or getattr(total, name) <= limit + 1e-6
        for name, limit in vars(budget.limits).items()
        if name != "wall_s"
    )


@given(LIMITS, LIMITS, st.lists(st.tuples(st.booleans(), COSTS, st.sampled_from(["all", "less", "drop", "keep"]))))
def test_no_order_of_steps_passes_a_limit(outer: Limits, inner: Limits, steps: list[tuple[bool, Cost, str]]) -> None:
    run = Budget(outer)
    problem = run.child("p", inner)
    kept: list[Reservation] = []
    spent = Cost()
    for use_child, cost, end in steps:
        try:
            reservation = (problem if use_child else run).reserve(cost)
        except BudgetExhausted:
            continue
        assert within(run)
        assert within(problem)
        if end == "all":
            reservation.settle(cost)
            spent += cost
        elif end == "less":
            reservation.settle(Cost(tokens=cost.tokens // 2))
            spent += Cost(tokens=cost.tokens // 2)
        elif end == "drop":
            reservation.release()
        else:
            kept.append(reservation)
    for reservation in kept:
        reservation.release()
    assert run.reserved == problem.reserved == Cost()
    assert run.spent.tokens == spent.tokens
    assert run.spent.evaluations == spent.evaluations
    assert run.spent.dollars == pytest.approx(spent.dollars)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 40))
def test_threads_never_over_spend(limit: int, step: int, child_limit: int) -> None:
    run = Budget(Limits(tokens=limit))
    children = [run.child(str(number), Limits(tokens=child_limit)) for number in range(4)]
    granted: list[int] = []
    seen_over: list[Cost] = []

    def work(budget: Budget) -> None:
        for _ in range(12):
            try:
                with budget.reserve(Cost(tokens=step)) as reservation:
                    if not (within(run) and within(budget)):
                        seen_over.append(run.spent + run.reserved)
                    reservation.settle(Cost(tokens=step))
                    granted.append(step)
            except BudgetExhausted:
                pass

    with eager_switching():
        threads = [threading.Thread(target=work, args=(child,)) for child in children]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not seen_over
    assert run.spent.tokens == sum(granted)
    each = min(child_limit // step, 12)
    assert run.spent.tokens == step * min(limit // step, 4 * each), "nor is anything refused that there was room for"


def test_a_child_reserves_in_its_parent_and_a_refusal_leaves_no_trace() -> None:
    run = Budget(Limits(evaluations=2))
    first, second = run.child("a"), run.child("b", Limits(tokens=5))
    held = first.reserve(Cost(evaluations=2))
    with pytest.raises(BudgetExhausted, match="the limit of 2 evaluations for the run is reached"):
        second.reserve(Cost(evaluations=1, tokens=5))
    assert second.reserved == Cost()
    assert second.exhausted() == ("the limit of 2 evaluations for the run is reached",)
    assert second.remaining() == Limits(evaluations=0, tokens=5)
    held.release()
    second.reserve(Cost(evaluations=1, tokens=5)).settle(Cost(evaluations=1, tokens=5))
    assert (run.spent.evaluations, first.spent.evaluations, second.spent.tokens) == (1, 0, 5)
    with pytest.raises(BudgetExhausted, match="5 tokens for b"):
        second.reserve(Cost(tokens=1))


def test_spending_more_than_reserved_is_booked_and_stops_what_follows() -> None:
    budget = Budget(Limits(dollars=1.0))
    budget.reserve(Cost(dollars=0.5)).settle(Cost(dollars=1.5))
    assert budget.spent.dollars == 1.5
    assert budget.remaining().dollars == 0
    with pytest.raises(BudgetExhausted, match="1 dollars"):
        budget.reserve(Cost(dollars=0.01))
    budget.reserve(Cost(evaluations=1)).release()  # what costs no dollars may go on
    assert budget.stops_evaluation() is None
    assert len(budget.exhausted()) == 1


def test_wall_time_is_the_clock_for_children_too() -> None:
    clock = Clock()
    run = Budget(Limits(wall_s=60), clock=clock)
    clock.now += 50
    child = run.child("p")
    child.reserve(Cost(wall_s=10)).settle(Cost(wall_s=500))  # work time is booked, the clock decides
    assert run.remaining().wall_s == pytest.approx(10)
    with pytest.raises(BudgetExhausted, match="60 seconds"):
        child.reserve(Cost(wall_s=11))
    assert child.stops_evaluation() is None
    clock.now += 10
    assert child.stops_evaluation() == "the limit of 60 seconds for the run is reached"
    with pytest.raises(BudgetExhausted):
        child.reserve(Cost(evaluations=1))


def test_cents_add_up_to_the_limit_exactly() -> None:
    budget = Budget(Limits(dollars=1.0))
    for _ in range(10):
        budget.reserve(Cost(dollars=0.1)).settle(Cost(dollars=0.1))
    assert budget.exhausted()
    with pytest.raises(BudgetExhausted):
        budget.reserve(Cost(dollars=0.1))


def test_a_reservation_is_settled_once_and_released_on_an_error() -> None:
    budget = Budget(Limits(evaluations=1))
    with pytest.raises(ZeroDivisionError), budget.reserve(Cost(evaluations=1)):
        raise ZeroDivisionError
    reservation = budget.reserve(Cost(evaluations=1))
    reservation.settle(Cost(evaluations=1))
    reservation.release()
    assert budget.spent.evaluations == 1
    with pytest.raises(InternalFault, match="settled twice"):
        reservation.settle(Cost())
    with pytest.raises(ValueError, match="tokens is -1"):
        Limits(tokens=-1)


def test_model_calls_are_limited_like_the_rest() -> None:
    budget = Budget(Limits(calls=1))
    budget.reserve(Cost(calls=1)).settle(Cost(calls=1))
    with pytest.raises(BudgetExhausted, match="limit of 1 model calls for the run is reached"):
        budget.reserve(Cost(calls=1))
    assert budget.stops_evaluation() is None


def test_a_charge_without_parents_is_booked_here_alone() -> None:
    run = Budget()
    child = run.child("p")
    child.charge(Cost(tokens=5), parents=False)
    assert (child.spent.tokens, run.spent.tokens) == (5, 0)


def test_what_is_in_flight_may_make_room_and_what_is_spent_does_not() -> None:
    budget = Budget(Limits(tokens=10))
    reservation = budget.reserve(Cost(tokens=8))
    assert budget.may_fit_later(Cost(tokens=8))
    reservation.settle(Cost(tokens=3))
    assert not budget.may_fit_later(Cost(tokens=8))
    assert budget.child("p").may_fit_later(Cost(tokens=7))
