"""What somebody who knows the field may add to a search, as plain data: other words to look for, and an order of what
was found; who that is, and how it is asked, is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Expansion:
    """Other ways to look for what a question asks.

    ``phrases`` are short searches in a manual's own terms, names of parameters among them. ``passage`` is what the
    manual might say, made up: a text like the one sought lies nearer to it than the question does (HyDE; Gao, Ma, Lin
    and Callan, 2022). ``manuals`` are the names (``knowledge.manuals``) of those that probably hold the answer: they
    are preferred, and no other one is left out.
    """

    phrases: tuple[str, ...] = ()
    passage: str = ""
    manuals: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.phrases or self.passage or self.manuals)

    def prefers(self, source: str) -> bool:
        """Whether the file ``source`` is of a preferred manual."""
        return source in self.manuals or f"{source.rpartition('/')[0]}/" in self.manuals

    @property
    def texts(self) -> list[str]:
        """All there is to search for: the phrases, all phrases as one, the passage."""
        together = [" ".join(self.phrases)] if len(self.phrases) > 1 else []
        return [*self.phrases, *together, *([self.passage] if self.passage else [])]


def reordered(items: Sequence[T], best: Iterable[int]) -> list[T]:
    """``items`` with those numbered ``best`` (from 1) first, in that order; the others keep theirs behind.

    It holds what ``items`` holds, each as often: a number out of range, or named before, changes nothing.
    """
    first = [number for number in dict.fromkeys(best) if 1 <= number <= len(items)]
    named = set(first)
    return [items[n - 1] for n in first] + [item for n, item in enumerate(items, 1) if n not in named]
