"""From the everyday words of a question to the terms that manuals use; it scores nothing.

The words are data: ``thesaurus.txt`` holds one group of near-equivalent words and short phrases a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from knowledge.tokens import terms, words

Phrase = tuple[str, ...]
_FILE = Path(__file__).parent / "thesaurus.txt"


@dataclass(frozen=True)
class Concept:
    """One group that a question touches: the other ways to say it, and how much it counts. A word that stands in
    several groups has several senses, which share its weight."""

    others: tuple[Phrase, ...]
    share: float


class Thesaurus:
    """Groups of phrases. A phrase is found by all its words, so that ``turn off`` is not ``turn``, and searched for by
    its search terms."""

    def __init__(self, lines: Sequence[str]) -> None:
        """``lines``: groups with `` | `` between their phrases; empty lines and those that begin with # say nothing."""
        self._groups: list[tuple[str, ...]] = []
        self._of: dict[Phrase, list[int]] = {}
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            group = tuple(part.strip() for part in line.split("|"))
            for phrase in dict.fromkeys(tuple(words(part)) for part in group):
                self._of.setdefault(phrase, []).append(len(self._groups))
            self._groups.append(group)
        self._longest = max(map(len, self._of), default=0)

    def __len__(self) -> int:
        """The number of groups."""
        return len(self._groups)

    def concepts(self, question: str) -> list[Concept]:
        """The groups that words of ``question`` belong to, without what it says already."""
        query, said = words(question), set(terms(question))
        found = []
        for start in range(len(query)):
            for stop in range(start + 1, min(start + self._longest, len(query)) + 1):
                groups = self._of.get(tuple(query[start:stop]), ())
                for group in groups:
                    others = tuple(way for way in self._ways(group) if not said >= set(way))
                    if others:
                        found.append(Concept(others, 1 / len(groups)))
        return found

    def _ways(self, group: int) -> list[Phrase]:
        ways = (tuple(terms(part)) for part in self._groups[group])
        return list(dict.fromkeys(way for way in ways if way))


@cache
def shipped() -> Thesaurus:
    """The thesaurus that Sysmith brings along."""
    return Thesaurus(_FILE.read_text(encoding="utf-8").splitlines())
