"""Folding an answer: passages that stand together in one section count as one place; how they rank is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowledge.chunks import Chunk

# Passages: a section's neighbours within about two printed pages are one place, what is further away is another one.
NEAR = 3
# How many folded passages an answer names.
MOST = 3


@dataclass(frozen=True)
class Place:
    """A row of the index, its score, and the rows near it that were found too, best first."""

    row: int
    score: float
    also: tuple[int, ...] = ()


def fold(ranked: Sequence[tuple[int, float]], rows: Sequence[tuple[str, Chunk]], count: int) -> list[Place]:
    """The best ``count`` places of ``ranked`` (row and score, best first); ``rows`` are in the order of the manuals.

    A place is the best passage among those of one source and section at most ``NEAR`` rows from it. A passage without
    a section stands for itself: it shares no title with its neighbours.
    """
    places: list[tuple[int, float, list[int]]] = []
    by_section: dict[tuple[str, tuple[str, ...]], list[tuple[int, list[int]]]] = {}
    for row, score in ranked:
        source, chunk = rows[row]
        known = by_section.setdefault((source, chunk.section), []) if chunk.section else []
        home = next((also for best, also in known if abs(best - row) <= NEAR), None)
        if home is not None:
            home.append(row)
            continue
        also: list[int] = []
        known.append((row, also))
        places.append((row, score, also))
    return [Place(row, score, tuple(also[:MOST])) for row, score, also in places[:count]]
