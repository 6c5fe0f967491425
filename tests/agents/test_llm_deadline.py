"""The hard limit on one call."""

from __future__ import annotations

import time

import pytest

from agents.llm import deadline
from agents.llm.deadline import TimeLimit, within


def test_what_is_in_time_comes_back_or_raises() -> None:
    assert within(5, lambda: 7) == 7
    assert within(None, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_what_takes_too_long_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "GRACE_S", 0.0)
    began = time.monotonic()
    with pytest.raises(TimeLimit):
        within(0.05, lambda: time.sleep(2))
    assert time.monotonic() - began < 1.5
