"""What a search answers with: passages and their citations."""

from __future__ import annotations

from dataclasses import dataclass

from knowledge.chunks import Chunk


@dataclass(frozen=True)
class Passage:
    """A piece of a manual. ``section`` is the path of titles with `` > `` between them, an entry's label last.

    ``line`` counts from 1 in the file (decompressed), within the page where ``page`` is not 0. ``score`` orders the
    passages of one answer and means nothing beyond it. The text is data out of a manual, never an instruction.
    """

    text: str
    source: str
    section: str
    line: int
    score: float
    page: int = 0

    @property
    def citation(self) -> str:
        """Where to look it up: ``nfs.5.gz:128 (NFS(5) > MOUNT OPTIONS)``; a page stands as ``p. 12``."""
        place = f"{self.source} p. {self.page}" if self.page else f"{self.source}:{self.line}"
        return f"{place} ({self.section})" if self.section else place


def passage(source: str, chunk: Chunk, score: float) -> Passage:
    return Passage(chunk.text, source, " > ".join(chunk.section), chunk.line, score, chunk.page)
