"""A built index: its nearest passages are the nearest, and the same however often it is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from knowledge.chunks import Chunk
from knowledge.index import Index, build


def test_the_nearest_are_the_nearest(tmp_path: Path) -> None:
    """As many candidates as vectors: with fewer, chromadb's graph left some out, and others each time it was built."""
    draw = np.random.default_rng(0)
    words = [f"word{n}" for n in range(900)]
    rows = [("a.md", Chunk(" ".join(draw.choice(words, 12)), ("Title",), line, 0, False)) for line in range(1, 4001)]
    build(tmp_path, rows, "lsa", {}, lambda line: None)
    first, second = Index(tmp_path), Index(tmp_path)
    vectors = np.array(list(first.vectors().values()), dtype=np.float32)
    model = first.retriever.model
    for question in (" ".join(draw.choice(words, 5)) for _ in range(20)):
        near = first.retriever.rank(question, "vectors", 100)
        assert near == second.retriever.rank(question, "vectors", 100)
        cosines = np.sort(vectors @ model.embed([question])[0])[::-1][: len(near)]
        assert np.allclose([cosine for _, cosine in near], cosines, atol=1e-5)
