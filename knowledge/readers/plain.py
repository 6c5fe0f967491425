"""Plain text: headings by underline, number or capitals, entries by hanging indent; it also serves pages of a PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator

from knowledge.blocks import Block, clean, looks_like_parameter

_UNDERLINE = re.compile(r"([=\-~^#*])\1{2,}\s*$")
_NUMBERED = re.compile(r"(\d+(?:\.\d+)*)\.?\s+([A-Z][^.!?;]{2,70})$")
_CAPITALS = re.compile(r"[A-Z][A-Z0-9 ,/&()\-]{3,60}$")
_ENTRY = re.compile(r"(\s*)(\S(?:\S| (?! ))*?)(?:\s{2,}|\s+[-\u2013:]\s+|:\s+|:?$)(.*)")


def read(text: str, *, page: int = 0, first_line: int = 1) -> Iterator[Block]:
    """Blocks of a plain text. ``page`` and ``first_line`` place a page within its document."""
    lines = clean(text).replace("\f", "\n").expandtabs(8).split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        if not line.strip():
            number += 1
            continue
        where = first_line + number
        title = _heading(lines, number)
        if title:
            level, words, used = title
            yield Block("heading", words, where, level=level, page=page)
            number += used
            continue
        entry = _entry(lines, number)
        if entry:
            label, body, used = entry
            yield Block("entry", body, where, label=label, page=page)
            number += used
            continue
        end = number
        while end < len(lines) and lines[end].strip() and (end == number or not _entry(lines, end)):
            end += 1
        yield Block("text", "\n".join(lines[number:end]).rstrip(), where, page=page)
        number = end


def _heading(lines: list[str], number: int) -> tuple[int, str, int] | None:
    """Level, title and how many lines it takes, where a heading begins at ``number``."""
    line = lines[number].strip()
    before = not number or not lines[number - 1].strip()
    below = lines[number + 1] if number + 1 < len(lines) else ""
    mark = _UNDERLINE.match(below)
    if mark and not line.startswith(mark[1] * 2) and len(below.strip()) >= min(len(line), 12) and len(line) < 90:
        return (1 if mark[1] in "=#*" else 2), line, 2
    if lines[number][:1].isspace() or not before:
        return None
    numbered = _NUMBERED.match(line)
    if numbered and not below.strip():
        return numbered[1].count(".") + 1, line, 1
    if _CAPITALS.match(line) and len(line.split()) <= 8:
        return 1, line, 1
    return None


def _entry(lines: list[str], number: int) -> tuple[str, str, int] | None:
    """Label, body and number of lines of a parameter with its explanation on the line or indented below it."""
    found = _ENTRY.fullmatch(lines[number].rstrip())
    if not found or not looks_like_parameter(found[2]):
        return None
    indent, body, end = len(found[1]), [found[3]] if found[3] else [], number + 1
    while end < len(lines):
        line = lines[end]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        if not line.strip() and (end + 1 >= len(lines) or len(lines[end + 1]) - len(lines[end + 1].lstrip()) <= indent):
            break
        body.append(line.strip())
        end += 1
    return (found[2].rstrip(":"), "\n".join(body).strip(), end - number) if any(body) else None
