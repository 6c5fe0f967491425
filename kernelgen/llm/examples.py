"""Finds our own kernels that are nearest to what is asked for, by schema, documentation and family; runs none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kernelgen.llm.assemble import outline
from kernelgen.llm.docs import overload_doc, overload_named
from kernelgen.synthesis.entry import KernelSource

COUNT = 3
# What each likeness weighs; they add up to 1. Name and schema tell kinds of operators apart best, the family least.
_WEIGHTS = {"name": 0.3, "schema": 0.3, "doc": 0.25, "family": 0.15}
_DOC_WORDS = 120
_ALIKE = 0.9


@dataclass(frozen=True)
class Example:
    """A kernel of the library: ``body`` is its own part, ``helpers`` the library functions it uses (name -> text).

    ``likeness`` is in 0..1.
    """

    overload: str
    archetype: str
    body: str
    helpers: Mapping[str, str]
    likeness: float


def nearest(
    asked: Sequence[str],
    family: str,
    library: Mapping[str, Sequence[KernelSource]],
    leave_out: Collection[str] = (),
    count: int = COUNT,
) -> list[Example]:
    """The ``count`` kernels of ``library`` most like the overloads ``asked``, nearest first, without near copies of one
    another.

    Likeness is a weighted sum of cosine similarities of TF-IDF vectors (Manning, Raghavan and Schütze, Introduction to
    Information Retrieval, 6.3): words of the name, of the schema, of the documentation and of the family. What is in
    ``asked`` or ``leave_out`` (kernels that failed) is never shown.
    """
    pool = tuple(sorted(key for key in library if key not in {*asked, *leave_out} and overload_named(key) is not None))
    if not pool or not asked:
        return []
    scores = [0.0] * len(pool)
    for what, weight in _WEIGHTS.items():
        vectorizer, matrix = _index(what, tuple((key, library[key][0].archetype) for key in pool))
        query = vectorizer.transform([" ".join(_words(what, key, family) for key in asked)])
        for place, value in enumerate((matrix @ query.T).toarray()[:, 0]):
            scores[place] += weight * float(value)
    ranked = sorted(range(len(pool)), key=lambda place: (-round(scores[place], 9), pool[place]))
    chosen: list[Example] = []
    for place in ranked:
        source = library[pool[place]][0]
        helpers, body = outline(source.text)
        example = Example(source.overload, source.archetype, body, helpers, round(scores[place], 3))
        if not any(_alike(example, other) for other in chosen):
            chosen.append(example)
        if len(chosen) == count:
            break
    return chosen


def _alike(one: Example, other: Example) -> bool:
    """Whether two kernels differ in little more than their names: the second says nothing new."""
    if set(one.helpers) != set(other.helpers):
        return False
    mine, yours = (each.body.replace(each.overload.replace(".", "__"), "") for each in (one, other))
    return difflib.SequenceMatcher(None, mine.splitlines(), yours.splitlines(), autojunk=False).ratio() > _ALIKE


@lru_cache(maxsize=8)
def _index(what: str, pool: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\S+", lowercase=False, sublinear_tf=True)
    return vectorizer, vectorizer.fit_transform([_words(what, key, archetype) or "none" for key, archetype in pool])


def _words(what: str, key: str, family: str) -> str:
    """The words that an overload is known by, one kind of them, with spaces between."""
    if what == "family":
        return " ".join(re.findall(r"[a-z0-9]+", family.lower()))
    if what == "name":
        return " ".join(re.findall(r"[a-z]+|\d+d?", key.lower()))
    if what == "schema":
        schema = overload_named(key)._schema  # type: ignore[union-attr]  # the callers have looked
        arguments = [f"{a.type}:{a.name} {a.type}" for a in schema.arguments]
        return " ".join([*arguments, *(f"->{r.type}" for r in schema.returns), f"n={len(schema.arguments)}"])
    doc = overload_doc(key)
    return " ".join(re.findall(r"[a-z]{3,}", doc.text.lower())[:_DOC_WORDS]) if doc else ""
