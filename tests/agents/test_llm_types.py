"""Requests, keys, prices and settings: values only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.budget import Limits
from agents.llm import Completion, Message, Request, settings_from_options
from agents.llm.pricing import Price, estimate_tokens
from agents.protocols import Cost
from sysmith_errors import InputError

BASE = {"model": "m", "messages": (Message("user", "hi"),), "max_tokens": 10}


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"messages": (Message("user", "ho"),)},
        {"messages": (Message("system", "hi"),)},
        {"max_tokens": 11},
        {"temperature": 0.0},
        {"schema": {"type": "object"}},
        {"seed": 0},
    ],
)
def test_every_field_is_part_of_the_key(change: dict[str, Any]) -> None:
    assert Request(**BASE).key == Request(**BASE).key
    assert Request(**(BASE | change)).key != Request(**BASE).key


def test_the_key_is_the_same_everywhere() -> None:
    # Computed once with sha256sum from the canonical JSON, all six fields: recordings live by it.
    assert Request(**BASE).key == "ab6789f3ca4f5addd7d790e7c947293d37eb400d5206d367b3970e2d85f5ec5f"


@given(st.text())
def test_any_text_has_a_key(text: str) -> None:
    assert len(Request("m", (Message("user", text),), 10).key) == 64


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="role"):
        Message("tool", "x")  # type: ignore[arg-type]  # that is the point


@given(st.text(max_size=200), st.integers(1, 1000))
def test_a_reservation_covers_a_token_for_each_byte(text: str, most: int) -> None:
    price = Price.per_million(1.0, 3.0)
    cost = price.most(Request("m", (Message("user", text),), most))
    size = len(text.encode("utf-8", "surrogatepass"))
    assert cost.tokens >= size + most
    assert cost.dollars >= price.of(size, most)
    assert estimate_tokens(text) <= size


def test_an_unknown_price_says_so() -> None:
    assert not Price.per_million(None, None).known
    assert Price.per_million(0, 0).known


def test_the_cost_of_a_completion_is_one_call() -> None:
    assert Completion("x", "m", 3, 4, 0.5).cost == Cost(tokens=7, dollars=0.5, calls=1)


def test_settings_from_the_command_line() -> None:
    settings = settings_from_options(" cheap , strong,", max_dollars=2.5, max_calls=0, max_tokens_each=100)
    assert settings.models == ("cheap", "strong")
    assert settings.limits == Limits(dollars=2.5)
    assert settings.limits_each == Limits(tokens=100)
    assert settings_from_options().models == ()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"price_in": 1.0}, "--price-in is given without --price-out"),
        ({"price_out": 1.0}, "--price-out is given without --price-in"),
        ({"price_in": -1.0, "price_out": 1.0}, "--price-in is -1.0"),
        ({"price_in": float("nan"), "price_out": 1.0}, "--price-in is nan"),
        ({"timeout_s": 0.0}, "--llm-timeout is 0"),
        ({"max_dollars": float("inf")}, "--max-dollars is inf"),
        ({"max_calls": -1}, "--max-calls is -1"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        settings_from_options("m", **options)
