"""Folding: no row is lost or doubled, the order stays, and places are distinct."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knowledge.chunks import Chunk
from knowledge.folding import MOST, NEAR, Place, fold

ROWS = [(f"m{n // 10}", Chunk(f"text {n}", (f"S{n % 10 // 5}",) if n < 20 else (), n + 1)) for n in range(30)]


def test_neighbours_of_one_section_are_one_place() -> None:
    found = fold([(2, 0.9), (1, 0.8), (7, 0.7), (0, 0.6), (12, 0.5)], ROWS, 5)
    assert found == [Place(2, 0.9, (1, 0)), Place(7, 0.7), Place(12, 0.5)]


def test_far_apart_in_a_section_are_two_places() -> None:
    rows = [("m", Chunk(f"t{n}", ("S",), n + 1)) for n in range(9)]
    assert [p.row for p in fold([(0, 3.0), (NEAR + 1, 2.0), (NEAR, 1.0)], rows, 5)] == [0, NEAR + 1]


def test_without_a_section_nothing_is_folded() -> None:
    assert [p.row for p in fold([(21, 2.0), (22, 1.0)], ROWS, 5)] == [21, 22]


@given(st.lists(st.integers(0, 29), unique=True), st.integers(1, 12))
def test_places_are_distinct_and_in_order(order: list[int], count: int) -> None:
    ranked = [(row, float(-at)) for at, row in enumerate(order)]
    found = fold(ranked, ROWS, count)
    assert len(found) <= count
    assert [p.row for p in found] == [row for row in order if row in {p.row for p in found}]
    shown = [row for p in found for row in (p.row, *p.also)]
    assert len(shown) == len(set(shown))
    for place in found:
        assert len(place.also) <= MOST
        assert all(ROWS[row][0] == ROWS[place.row][0] and abs(row - place.row) <= NEAR for row in place.also)
    if order:
        assert found[0].row == order[0]
