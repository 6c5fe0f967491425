"""From blocks to chunks, the units of retrieval: one for each entry, and sections cut at paragraphs; no search here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from knowledge.blocks import Block, flat

# Characters: long enough for a thought, short enough to quote in a prompt (about 250 words).
TARGET = 1_200
LONGEST = 2_000
# Raised when chunks come out differently, so that kept ones are made anew.
VERSION = 1


@dataclass(frozen=True)
class Chunk:
    """A citable piece of one manual: ``section`` is the path of titles, outermost first, an entry's label last."""

    text: str
    section: tuple[str, ...]
    line: int
    page: int = 0
    entry: bool = False


def chunk(blocks: Iterable[Block], *, rows: bool = False) -> Iterator[Chunk]:
    """Cut a manual into chunks. No chunk crosses a heading; an entry never shares a chunk with another one.

    ``rows`` says that each line of a text is one of the file, so that a later piece of it has a line of its own.
    """
    path: list[tuple[int, str]] = []
    pending: list[Block] = []
    for block in blocks:
        if block.kind == "text":
            if pending and sum(len(held.text) for held in pending) + len(block.text) > TARGET:
                yield from _cut(pending, _titles(path), rows)
                pending = []
            pending.append(block)
            continue
        yield from _cut(pending, _titles(path), rows)
        pending = []
        if block.kind == "heading":
            while path and path[-1][0] >= block.level:
                path.pop()
            path.append((block.level, flat(block.text)))
        elif block.text.strip() or block.label:
            label = flat(block.label)
            words = block.text.strip()
            words = words if words.startswith(label) else f"{label}\n{words}"
            body = Block("text", words, block.line, page=block.page)
            yield from _cut([body], (*_titles(path), label), False, entry=True)
    yield from _cut(pending, _titles(path), rows)


def _titles(path: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(title for _, title in path if title)


def _cut(blocks: list[Block], section: tuple[str, ...], rows: bool, *, entry: bool = False) -> Iterator[Chunk]:
    text = "\n\n".join(block.text.strip("\n") for block in blocks if block.text.strip())
    if not text:
        return
    line, page = blocks[0].line, blocks[0].page
    for piece, skipped in _pieces(text):
        yield Chunk(piece, section, line + (skipped if rows and len(blocks) == 1 else 0), page, entry)


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """``text`` in pieces of at most ``LONGEST`` characters, each with the number of lines before it."""
    start = 0
    while len(text) - start > LONGEST:
        end = start + TARGET
        for mark in ("\n\n", "\n", ". ", " "):
            found = text.rfind(mark, start + TARGET // 2, end)
            if found > start:
                end = found + len(mark)
                break
        yield text[start:end].strip("\n"), text.count("\n", 0, start)
        start = end
    if text[start:].strip():
        yield text[start:].strip("\n"), text.count("\n", 0, start)
