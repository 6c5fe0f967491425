"""One built index on disk: chunks, BM25, vectors in an embedded chromadb, and the model; written once, then only read.

meta.json   what it was built from     chunks.jsonl   the chunks, a line each, in row order
bm25/       the term index             model/         what the embedding learned        chroma/  the vectors
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge import embedding as embeddings
from knowledge.chunks import Chunk
from knowledge.files import REBUILD
from knowledge.ranking import DEPTH, Bm25, Retriever, document_terms, embedded_text
from sysmith_errors import InternalFault
from sysmith_files import fsync_dir, write_atomic

if TYPE_CHECKING:
    from knowledge.embedding import Vectors

Row = tuple[str, Chunk]
VERSION = 2  # of what is built: an index of another one is built anew
_COLLECTION = "passages"


def build(
    folder: Path,
    rows: Sequence[Row],
    embedding: str,
    meta: dict[str, Any],
    say: Callable[[str], None],
    previous: Index | None = None,
) -> None:
    """Write the index of ``rows`` (source, chunk) into the empty ``folder``; ``meta.json`` comes last, and durable.

    A pretrained embedding takes the vectors of texts that ``previous`` holds from there. Raises OSError, and
    MissingPart where the embedding is not installed.
    """
    model = embeddings.make(embedding)
    lines = "".join(json.dumps({"source": s, **asdict(c)}, ensure_ascii=False) + "\n" for s, c in rows)
    (folder / "chunks.jsonl").write_text(lines, encoding="utf-8")
    Bm25.build([document_terms(chunk) for _, chunk in rows]).save(folder / "bm25")
    texts = [embedded_text(chunk) for _, chunk in rows]
    say(f"embedding {len(rows)} passages ({embedding})")
    model.fit(texts)
    (folder / "model").mkdir()
    model.save(folder / "model")
    if rows:
        known = previous.vectors() if previous and model.pretrained and previous.meta["embedding"] == embedding else {}
        _fill(folder / "chroma", [source for source, _ in rows], model, texts, known, say)
    write_atomic(folder / "meta.json", json.dumps(meta | {"embedding": embedding, "rows": len(rows)}).encode())
    fsync_dir(folder.parent)


def _fill(
    folder: Path,
    sources: list[str],
    model: embeddings.Embedding,
    texts: list[str],
    known: dict[str, Any],
    say: Callable[[str], None],
) -> None:
    client = _client(folder)
    # With fewer candidates than vectors the search is approximate, and not the same each time that chromadb builds its
    # graph: equal questions got other passages.
    hnsw = {"space": "cosine", "ef_search": max(len(texts), DEPTH)}
    collection = client.create_collection(_COLLECTION, embedding_function=None, configuration={"hnsw": hnsw})
    step = min(512, client.get_max_batch_size())
    for start in range(0, len(texts), step):
        end = min(start + step, len(texts))
        new = [text for text in dict.fromkeys(texts[start:end]) if text not in known]
        made = dict(zip(new, model.embed(new), strict=True)) if new else {}
        collection.add(
            ids=[str(row) for row in range(start, end)],
            embeddings=[made[text] if text in made else known[text] for text in texts[start:end]],
            metadatas=[{"source": source} for source in sources[start:end]],
        )
        say(f"embedded {end} of {len(texts)}")
    client.close()


def _client(folder: Path) -> Any:
    """An embedded chromadb in ``folder``: no server, and no telemetry."""
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))


class Index:
    """A built index, opened for reading; each part is loaded when it is first needed."""

    def __init__(self, folder: Path) -> None:
        """Raises InternalFault where the index is not whole."""
        self.folder = folder
        try:
            self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_bytes())
        except (OSError, ValueError) as error:
            raise InternalFault(f"the index {folder} is damaged: {error}", mend=REBUILD) from None

    @cached_property
    def rows(self) -> list[Row]:
        try:
            read = [json.loads(line) for line in self._lines() if line]
            return [
                (d["source"], Chunk(d["text"], tuple(d["section"]), d["line"], d["page"], d["entry"])) for d in read
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InternalFault(f"the index {self.folder} is damaged: {error}", mend=REBUILD) from None

    def _lines(self) -> list[str]:
        # Not splitlines: it would cut at Unicode's own line ends inside a text.
        return (self.folder / "chunks.jsonl").read_text(encoding="utf-8").split("\n")

    @cached_property
    def retriever(self) -> Retriever:
        return Retriever(self.rows, Bm25.load(self.folder / "bm25"), lambda: self._model, lambda: _Chroma(self.folder))

    def vectors(self) -> dict[str, Any]:
        """The vector of each embedded text; empty where they cannot be read."""
        try:
            kept = _client(self.folder / "chroma").get_collection(_COLLECTION, embedding_function=None)
            found = kept.get(include=["embeddings"])
            texts = [embedded_text(chunk) for _, chunk in self.rows]
            return {texts[int(row)]: vector for row, vector in zip(found["ids"], found["embeddings"], strict=True)}
        except Exception:  # whatever is wrong with it, they can be made again
            return {}

    @cached_property
    def _model(self) -> embeddings.Embedding:
        model = embeddings.make(self.meta["embedding"])
        model.load(self.folder / "model")
        return model


class _Chroma:
    """Nearest rows out of chromadb."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._collection: Any = None

    def nearest(self, vector: Vectors, count: int, sources: Collection[str] | None) -> list[tuple[int, float]]:
        try:
            found = self._ask(vector, count, sources)
        except Exception as error:  # chromadb's own errors share no base class with those of its Rust core
            raise InternalFault(f"the vectors in {self._folder} are damaged: {error}", mend=REBUILD) from None
        # chromadb's cosine distance is 1 - cosine. A vector of zeros is near to nothing.
        pairs = [(int(row), 1 - float(distance)) for row, distance in found]
        return sorted(((row, cosine) for row, cosine in pairs if cosine > 1e-6), key=lambda pair: (-pair[1], pair[0]))

    def _ask(self, vector: Vectors, count: int, sources: Collection[str] | None) -> list[tuple[str, float]]:
        if self._collection is None:
            self._collection = _client(self._folder / "chroma").get_collection(_COLLECTION, embedding_function=None)
        where = None if sources is None else {"source": {"$in": sorted(sources)}}
        size = min(count, self._collection.count())
        if not size:
            return []
        found = self._collection.query(query_embeddings=[vector], n_results=size, where=where, include=["distances"])
        return list(zip(found["ids"][0], found["distances"][0], strict=True))
