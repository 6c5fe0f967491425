"""Which parts of the payloads went with success and which with failure, by Fisher's exact test; it makes no rules.

The trials of a search are no random sample (a local search tries what did well again), so an association found here is
a hint. Rules made of it must prove themselves on the next problem.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.protocols import Trial, canonical_json

LEAST_TRIALS = 8
MOST_VALUES = 8  # a part with more distinct values is a continuous one, and single values of it say nothing
MOST_TEXT = 80  # longer texts are kernels, not choices
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Effect:
    """A part of the payload, and how it went with (``hits`` of ``tried``) and without it (``other_hits`` of
    ``others``). ``p`` is the one-sided probability of that by chance, times the number of parts tested (Bonferroni)."""

    path: tuple[str, ...]
    value: Any
    hits: int
    tried: int
    other_hits: int
    others: int
    p: float

    def part(self) -> dict[str, Any]:
        """The payload that says only this."""
        part: Any = self.value
        for key in reversed(self.path):
            part = {key: part}
        return dict(part)


def fisher_p(hits: int, tried: int, other_hits: int, others: int) -> float:
    """One-sided Fisher's exact test: the chance of at least ``hits`` among ``tried``, were all hits spread at random.

    Hypergeometric tail (R. A. Fisher, The Design of Experiments, 1935, chapter II).
    """
    total, marked = tried + others, hits + other_hits
    ways = math.comb(total, tried)
    most = min(tried, marked)
    tail = sum(math.comb(marked, k) * math.comb(total - marked, tried - k) for k in range(hits, most + 1))
    return tail / ways


def effects(trials: Sequence[Trial], hit: Sequence[bool], ignore: Sequence[str] = ()) -> list[Effect]:
    """The parts that go with ``hit`` (one flag a trial) more than by chance, the surest first; [] for few trials."""
    if len(trials) < LEAST_TRIALS:
        return []
    leaves = [dict(_leaves(_kept(trial.proposal.payload, ignore))) for trial in trials]
    found: dict[tuple[tuple[str, ...], str], Effect] = {}
    for path in sorted({path for leaf in leaves for path in leaf}):
        values = {leaf[path] for leaf in leaves if path in leaf}
        if not 1 < len(values) <= MOST_VALUES:
            continue
        for value in sorted(values):
            has = [leaf.get(path) == value for leaf in leaves]
            tried, hits = sum(has), sum(h for h, mark in zip(hit, has, strict=True) if mark)
            others, other_hits = len(trials) - tried, sum(hit) - hits
            p = fisher_p(hits, tried, other_hits, others)
            found[path, value] = Effect(path, json.loads(value), hits, tried, other_hits, others, p)
    tests = max(1, len(found))
    sure = [e for e in found.values() if e.p * tests < SIGNIFICANT]
    scaled = [Effect(**{**vars(e), "p": min(1.0, e.p * tests)}) for e in sure]
    return sorted(scaled, key=lambda e: (e.p, e.path, canonical_json(e.value)))


def _kept(payload: Mapping[str, Any], ignore: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key not in ignore}


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each scalar and list of a payload with its path, as canonical JSON."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif len(text := canonical_json(value)) <= MOST_TEXT:
        yield path, text
