"""Ranking passages: BM25 over exact terms, vectors, and their fusion, in which a thesaurus widens the question, and
other wordings of it where somebody gives them; where passages are kept is elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from knowledge.chunks import Chunk
from knowledge.expansion import Expansion
from knowledge.files import REBUILD
from knowledge.folding import Place, fold
from knowledge.thesaurus import Concept, Thesaurus, shipped
from knowledge.tokens import terms
from sysmith_errors import InternalFault

if TYPE_CHECKING:
    from knowledge.embedding import Embedding, Vectors

Method = Literal["hybrid", "bm25", "vectors"]
METHODS: tuple[str, ...] = get_args(Method)
# BM25's usual constants (Robertson and Zaragoza, 2009, section 3.3); b is low because entries are short by nature.
K1, B = 1.2, 0.5
# How often an entry's label, the innermost title and the titles around it count, beside the text itself.
LABEL_WEIGHT, TITLE_WEIGHT, OUTER_WEIGHT = 4, 2, 1
# Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009): 1 / (RRF_K + rank), summed; BM25 weighs 1 and vectors
# the share of their embedding, but no more than NAMED_SHARE where the question names a parameter: there the exact name
# decides. Chosen on the development half of examples/knowledge/questions.jsonl.
RRF_K = 20
NAMED_SHARE = 0.2
DEPTH = 100
# What another way to say a word of the question counts, beside the word itself. Chosen as above.
CONCEPT_WEIGHT = 1.0
# With other wordings (knowledge.expansion) each counts as much as the question, and the preferred manuals half as much;
# where the question names a parameter, all of it together counts NAMED_SHARE. A lone good guess is at the head of one
# ranking among ten, so that the head must weigh more than with two: hence a smaller k, chosen on twenty questions that
# are in no set here.
WORDING_WEIGHT, PREFERENCE_WEIGHT = 1.0, 0.5
WORDING_K = 3
_NAME = re.compile(r"[a-z0-9*}][._][a-z*{]|(?:^|\s)--?[a-z]|[a-z]-[a-z]+-[a-z]")


# A ranking (row and score, best first) with what it counts in a fusion.
Weighed = tuple[float, Sequence[tuple[int, float]]]


class VectorIndex(Protocol):
    """Finds the nearest rows: pairs of row number and cosine, best first, only of ``sources`` where given."""

    def nearest(self, vector: Vectors, count: int, sources: Collection[str] | None) -> list[tuple[int, float]]: ...


def names_parameter(query: str) -> bool:
    """Whether the question holds a word written as only names are: ``max_jobs``, ``io.depth``, ``--all``, ``a-b-c``."""
    return bool(_NAME.search(query.lower()))


def document_terms(chunk: Chunk) -> list[str]:
    """The terms a chunk is found by: its text, and its titles repeated by weight."""
    *outer, inner = chunk.section or ("",)
    found = terms(chunk.text) + terms(inner) * (LABEL_WEIGHT if chunk.entry else TITLE_WEIGHT)
    for title in outer:
        found += terms(title) * OUTER_WEIGHT
    return found


def embedded_text(chunk: Chunk) -> str:
    """What an embedding reads of a chunk: its titles, then its text."""
    return "\n".join([*chunk.section, chunk.text])


class Bm25:
    """BM25 through bm25s, over the terms of all chunks."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @classmethod
    def build(cls, documents: Sequence[Sequence[str]]) -> Bm25:
        import bm25s

        engine = bm25s.BM25(method="lucene", k1=K1, b=B)
        # bm25s cannot index nothing at all.
        engine.index([list(d) or [""] for d in documents] or [[""]], show_progress=False)
        return cls(engine)

    def save(self, folder: Path) -> None:
        """Write the index; ``load`` reads it back. Raises OSError."""
        self._engine.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> Bm25:
        """Raises InternalFault where the index is damaged."""
        import bm25s

        try:
            return cls(bm25s.BM25.load(str(folder), show_progress=False))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InternalFault(f"the term index {folder} is damaged: {error}", mend=REBUILD) from None

    def best(
        self, query: Sequence[str], count: int, allowed: Callable[[int], bool], concepts: Sequence[Concept] = ()
    ) -> list[tuple[int, float]]:
        """Rows that share a term with ``query``, or say one of its ``concepts`` otherwise, best first, with scores.

        Another way to say a concept scores as its rarest term does, times the root of their number; of several the best
        counts.
        """
        import numpy as np

        known = self._engine.vocab_dict
        wanted = [term for term in query if term in known]
        scores = self._engine.get_scores(wanted) if wanted else np.zeros(self._engine.scores["num_docs"])
        one: dict[str, Any] = {}
        for concept in concepts:
            ways = [way for way in concept.others if all(term in known for term in way)]
            for term in {term for way in ways for term in way} - one.keys():
                one[term] = self._engine.get_scores([term])
            if ways:
                said = [np.min([one[term] for term in way], axis=0) * len(way) ** 0.5 for way in ways]
                scores = scores + CONCEPT_WEIGHT * concept.share * np.max(said, axis=0)
        found: list[tuple[int, float]] = []
        for row in np.argsort(-scores, kind="stable"):
            if scores[row] <= 0 or len(found) == count:
                break
            if allowed(int(row)):
                found.append((int(row), float(scores[row])))
        return found


class Retriever:
    """Ranks the rows of one index. Model and vectors are asked for only when a method needs them."""

    def __init__(
        self,
        rows: Sequence[tuple[str, Chunk]],
        bm25: Bm25,
        model: Callable[[], Embedding],
        vectors: Callable[[], VectorIndex],
    ) -> None:
        self._rows = rows
        self._bm25 = bm25
        self._make_model, self._make_vectors = model, vectors

    def rank(
        self,
        query: str,
        method: Method = "hybrid",
        count: int = 5,
        sources: Collection[str] | None = None,
        expansion: Expansion | None = None,
    ) -> list[tuple[int, float]]:
        """The best ``count`` rows and their scores, only of ``sources`` where given. A score compares within one
        answer alone: BM25's sum, a cosine, or the fused reciprocal rank, which it is with an ``expansion`` too."""
        if expansion:
            return self._widened(query, method, count, sources, expansion)
        if method == "bm25":
            return self._exact(query, count, sources)
        if method == "vectors":
            return self._near(query, count, sources)
        return fuse(self._both(query, max(DEPTH, count), sources))[:count]

    def _both(self, query: str, depth: int, sources: Collection[str] | None) -> list[Weighed]:
        if names_parameter(query):  # the name decides: other words for it would only add noise
            exact, share = self._exact(query, depth, sources), min(self.model.share, NAMED_SHARE)
        else:
            exact, share = self._exact(query, depth, sources, shipped()), self.model.share
        return [(1.0, exact), (share, self._near(query, depth, sources))]

    def _widened(
        self, query: str, method: Method, count: int, sources: Collection[str] | None, expansion: Expansion
    ) -> list[tuple[int, float]]:
        """The rankings of the question and of each other wording, fused."""
        depth, texts = max(DEPTH, count), expansion.texts
        named = NAMED_SHARE / (len(texts) + 1) if names_parameter(query) else 1.0
        if method == "hybrid":
            lists, share = self._both(query, depth, sources), self.model.share
        else:
            lists, share = [(1.0, self.rank(query, method, depth, sources))], 1.0
        for text in texts:
            if method != "vectors":
                lists.append((named * WORDING_WEIGHT, self._exact(text, depth, sources)))
            if method != "bm25":
                lists.append((named * WORDING_WEIGHT * share, self._near(text, depth, sources)))
        fused = fuse(lists, WORDING_K)
        preferred = [(row, score) for row, score in fused if expansion.prefers(self._rows[row][0])]
        return fuse([*lists, (named * PREFERENCE_WEIGHT, preferred)], WORDING_K)[:count]

    def places(
        self,
        query: str,
        method: Method = "hybrid",
        count: int = 5,
        sources: Collection[str] | None = None,
        expansion: Expansion | None = None,
    ) -> list[Place]:
        """As ``rank``, with what stands together in one section folded into its best passage: ``count`` places."""
        return fold(self.rank(query, method, max(DEPTH, 2 * count), sources, expansion), self._rows, count)

    def _exact(
        self, query: str, count: int, sources: Collection[str] | None, thesaurus: Thesaurus | None = None
    ) -> list[tuple[int, float]]:
        asked = terms(query)
        concepts = thesaurus.concepts(query) if thesaurus else []
        return self._bm25.best(asked, count, lambda row: sources is None or self._rows[row][0] in sources, concepts)

    def _near(self, query: str, count: int, sources: Collection[str] | None) -> list[tuple[int, float]]:
        vector = self.model.embed([query])[0]
        return self._vectors.nearest(vector, count, sources) if vector.any() and self._rows else []

    @cached_property
    def model(self) -> Embedding:
        return self._make_model()

    @cached_property
    def _vectors(self) -> VectorIndex:
        return self._make_vectors()


def fuse(lists: Sequence[Weighed], k: int = RRF_K) -> list[tuple[int, float]]:
    """Reciprocal rank fusion of rankings, each with its weight: rows and fused scores, best first, ties by row."""
    scores: dict[int, float] = {}
    for weight, ranking in lists:
        for rank, (row, _) in enumerate(ranking, 1):
            scores[row] = scores.get(row, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
