"""Evaluations that two runs needed to get equally far."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.run_effort import effort
from agents.run_reading import RunView, find_run, read_run

from .trials import Toy, run_toy


def view(state: Path, scores: dict[str, float | None], problem: str = "p") -> RunView:
    return read_run(find_run(state, run_toy(state, Toy(scores), problem=problem)[1]))


def test_both_are_asked_for_what_both_reached(tmp_path: Path) -> None:
    slow = view(tmp_path, {"a": 9.0, "b": None, "c": 4.0, "d": 2.0})
    quick = view(tmp_path, {"c": 3.0, "a": 9.0})
    found = effort(slow, quick)
    assert found["pairs"] == {"p": [4, 1]}  # 3 is what both reached; 2 came with the fourth
    assert (found["saved"], found["fewer"], found["more"], found["saved_95"]) == (3.0, 1, 0, None)
    assert effort(quick, slow)["saved"] == -3.0


def test_what_cannot_be_compared_is_counted(tmp_path: Path) -> None:
    failed, fine = view(tmp_path, {"a": None}), view(tmp_path, {"a": 1.0})
    other = view(tmp_path, {"a": 1.0}, problem="q")
    assert (effort(failed, fine)["problems"], effort(failed, fine)["left_out"]) == (0, 1)
    assert effort(fine, other) | {"pairs": 0} == effort(failed, fine) | {"left_out": 0, "pairs": 0}


scores = st.lists(st.none() | st.integers(1, 6).map(float), min_size=1, max_size=6)


@given(scores, scores)
def test_a_run_never_needs_more_than_it_had(
    tmp_path_factory: pytest.TempPathFactory, first: list[float | None], second: list[float | None]
) -> None:
    state = tmp_path_factory.mktemp("runs")
    named = [{f"{n}": score for n, score in enumerate(run)} for run in (first, second)]
    before, after = (view(state, run) for run in named)
    found, mirrored = effort(before, after), effort(after, before)
    assert mirrored["pairs"] == {name: pair[::-1] for name, pair in found["pairs"].items()}
    for a, b in found["pairs"].values():
        assert 1 <= a <= len(first)
        assert 1 <= b <= len(second)
    same = effort(before, before)
    assert same["saved"] in (0.0, None)
