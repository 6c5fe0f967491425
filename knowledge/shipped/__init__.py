"""Knowledge that comes with Sysmith, by topic (``kernelgen``): searchable without an add, and held in memory."""

from __future__ import annotations

import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge import chunks, reading
from knowledge.embedding import Lsa
from knowledge.passages import Passage, passage
from knowledge.ranking import Bm25, Method, Retriever, document_terms, embedded_text
from sysmith_errors import InputError

if TYPE_CHECKING:
    from knowledge.chunks import Chunk
    from knowledge.embedding import Vectors

FOLDER = Path(__file__).parent
PREFIX = "sysmith:"  # of the names of its texts, as citations have them


def topics() -> list[str]:
    """The topics there are, by name."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and any(path.glob("*.md")))


def texts() -> list[dict[str, str]]:
    """Name and title of every text there is."""
    return [
        {
            "name": f"{PREFIX}{path.parent.name}/{path.name}",
            "title": path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# "),
        }
        for path in sorted(FOLDER.glob("*/*.md"))
    ]


def find(citation: str) -> list[dict[str, str]]:
    """The texts that a name or a citation means, in Markdown: all of a topic, one text, or one section of it.

    ``sysmith:`` may be left out; a section stands after `` > ``. Raises InputError for what there is not.
    """
    name, _, section = (part.strip() for part in citation.partition(" > "))
    wanted = name.removeprefix(PREFIX)
    rows, titles = [], []
    for row in texts():
        path = row["name"].removeprefix(PREFIX)
        if wanted not in (path, path.partition("/")[0]):
            continue
        whole = (FOLDER / path).read_text(encoding="utf-8").rstrip()
        parts = {
            part.partition("\n")[0][3:].strip(): part.rstrip() for part in re.split(r"^(?=## )", whole, flags=re.M)
        }
        titles += list(parts)[1:]
        if not section or section in parts:
            rows.append(row | {"text": parts[section] if section else whole})
    if not titles:
        raise InputError(f"no note is called {citation!r}", mend="See sysmith knowledge notes.")
    if not rows:
        raise InputError(f"{name} has no section {section!r}", mend=f"There are: {', '.join(titles)}.")
    return rows


@cache
def shipped(topic: str) -> Shipped:
    """The texts of one topic. Raises InputError for an unknown one."""
    if topic not in topics():
        raise InputError(f"there is no shipped knowledge on {topic!r}", mend=f"There is: {', '.join(topics())}.")
    return Shipped(topic, FOLDER / topic)


class Shipped:
    """The Markdown texts of one folder, searched like a store; sources are called ``sysmith:<topic>/<file>``."""

    def __init__(self, topic: str, folder: Path) -> None:
        self._rows: list[tuple[str, Chunk]] = []
        for path in sorted(folder.glob("*.md")):
            name = f"{PREFIX}{topic}/{path.name}"
            blocks = reading.read(name, reading.load(path), "markdown")
            self._rows += [(name, chunk) for chunk in chunks.chunk(blocks, rows=True)]
        bm25 = Bm25.build([document_terms(chunk) for _, chunk in self._rows])
        self._retriever = Retriever(self._rows, bm25, lambda: self._model, lambda: self._vectors)

    @property
    def names(self) -> list[str]:
        """The sources, by name."""
        return sorted({name for name, _ in self._rows})

    def search(self, query: str, top: int = 5, source: str | None = None, method: Method = "hybrid") -> list[Passage]:
        """As ``KnowledgeStore.search``; ``source`` is a pattern such as ``*/amd.md`` or a file name."""
        within = None
        if source is not None:
            within = {n for n in self.names if fnmatchcase(n, source) or n.endswith(f"/{source}")}
            if not within:
                raise InputError(f"no shipped text is called {source!r}", mend=f"There are: {', '.join(self.names)}.")
        found = self._retriever.places(query, method, top, within)
        return [passage(*self._rows[p.row], p.score, (self._rows[row][1] for row in p.also)) for p in found]

    @property
    def _model(self) -> Lsa:
        model = Lsa()
        model.fit([embedded_text(chunk) for _, chunk in self._rows])
        return model

    @property
    def _vectors(self) -> _Memory:
        model = self._retriever.model
        return _Memory([name for name, _ in self._rows], model.embed([embedded_text(chunk) for _, chunk in self._rows]))


class _Memory:
    """Nearest rows by brute force: enough for a few hundred passages."""

    def __init__(self, sources: list[str], vectors: Vectors) -> None:
        self._sources, self._vectors = sources, vectors

    def nearest(self, vector: Vectors, count: int, sources: Collection[str] | None) -> list[tuple[int, float]]:
        cosines = self._vectors @ vector
        pairs = [(row, float(cosine)) for row, cosine in enumerate(cosines) if cosine > 1e-6]
        pairs = [pair for pair in pairs if sources is None or self._sources[pair[0]] in sources]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:count]
