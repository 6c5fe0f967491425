"""PDF: the text of each page, with sections from the bookmarks; a scan without text is refused, no recognition."""

from __future__ import annotations

import io
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from knowledge.blocks import Block, clean
from knowledge.readers import plain


def read(content: bytes) -> Iterator[Block]:
    """Blocks of a PDF file; ``line`` counts within the page. Raises ValueError for one that is damaged, encrypted or
    has no text."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    # What pypdf mends by itself it also logs, for each object: noise to a user.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError("it is encrypted; save it without a password")
        pages = [clean(page.extract_text() or "") for page in reader.pages]
        marks = _bookmarks(reader)
    except PyPdfError as error:
        raise ValueError(f"it cannot be read as PDF: {error}") from None
    except (
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        IndexError,
        AssertionError,
        NotImplementedError,
    ) as error:
        # A damaged file fails in pypdf wherever the damage is met.
        raise ValueError(f"it is damaged ({type(error).__name__} while its pages were read)") from None
    if not any(page.strip() for page in pages):
        raise ValueError("it holds no text (a scan?); run text recognition on it first")
    for number, page in enumerate(pages, 1):
        yield from _page(page, number, marks.get(number, []))


def _bookmarks(reader: Any) -> dict[int, list[tuple[int, str]]]:
    """Level and title of the bookmarks of each page (from 1), in order."""
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)

    def walk(items: Any, level: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
                continue
            number = reader.get_destination_page_number(item)
            if number is not None and number >= 0 and str(item.title).strip():
                found[number + 1].append((level, str(item.title).strip()))

    walk(reader.outline, 1)
    return found


def _page(text: str, number: int, marks: list[tuple[int, str]]) -> Iterator[Block]:
    """One page: cut where the title of a bookmark stands, else the bookmark counts from the top of the page."""
    lines = text.split("\n")
    at = 0
    for level, title in marks:
        wanted = _key(title)
        place = next((i for i in range(at, len(lines)) if wanted and _key(lines[i]).endswith(wanted)), None)
        if place is not None:
            yield from _text(lines[at:place], number, at)
            at = place + 1
        yield Block("heading", title, (place or 0) + 1, level=level, page=number)
    yield from _text(lines[at:], number, at)


def _text(lines: list[str], page: int, before: int) -> Iterator[Block]:
    for block in plain.read("\n".join(lines), page=page, first_line=before + 1):
        # Bookmarks are the better headings; what merely looks like one is kept as text.
        yield Block("text", block.text, block.line, page=page) if block.kind == "heading" else block


def _key(title: str) -> str:
    return re.sub(r"\W+", "", title).lower()
