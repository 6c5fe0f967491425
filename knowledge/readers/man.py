"""Manual pages in the man(7) macros, and a look at which macros a page uses; pages in mdoc(7) are read by mdoc.py.

Macros as in groff_man(7): TH, SH, SS, TP, TQ, IP, PP, RS and the font macros. Requests that only lay out are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from knowledge.blocks import Block, clean, flat, looks_like_parameter
from knowledge.readers.roff import arguments, unescape

_REQUEST = re.compile(r"[.'][ \t]*([A-Za-z]\w*|\\\"|\.)?(.*)")
_FONTS = {"B", "I", "R", "SM", "SB"}
_MIXED = {"BI", "BR", "IB", "IR", "RB", "RI"}
_BREAKS = {"PP", "P", "LP", "HP", "sp", "Sp", "br", "RE"}
_BULLETS = {"", "\u2022", "-", "*", "o", "\u00b7", "\u2013"}


def read(text: str) -> Iterator[Block]:
    """Blocks of a manual page: sections, an entry for each tagged paragraph, and paragraphs."""
    from knowledge.readers import mdoc

    text = clean(text)
    if re.search(r"^\.[ \t]*Dd\b", text, re.MULTILINE):
        yield from mdoc.read(text)
        return
    yield from _Page(text).blocks()


def redirect(text: str) -> str:
    """The page that a file holding only ``.so PAGE`` points to, else an empty text."""
    found = re.search(r"^\.so[ \t]+(\S+)", text, re.MULTILINE)
    if not found:
        return ""
    others = [line for line in text.splitlines() if line.strip() and not re.match(r"[.'](?:\\\"|so\b|[ \t]*$)", line)]
    return "" if others else found[1]


class _Page:
    """The state of reading one page: what is being gathered, and where it began."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.number = 0
        self.words: list[str] = []
        self.start = 1
        self.label = ""
        self.literal = False
        self.depth = 0
        self.entry_depth = 0
        self.indented = False  # whether the open entry is an indented block, which .RE ends
        self.recent: list[tuple[int, str]] = []  # number and source of the text lines since the last break

    def blocks(self) -> Iterator[Block]:
        while self.number < len(self.lines):
            raw = self.lines[self.number]
            self.number += 1
            request = _REQUEST.fullmatch(raw) if raw[:1] in (".", "'") else None
            if request is None:
                self._text(raw)
            elif request[1]:
                yield from self._request(request[1], request[2])
        yield from self._flush()

    def _text(self, raw: str) -> None:
        if not self.label and not "".join(self.words).strip():
            self.start = self.number
        self.recent.append((self.number, raw))
        joined = unescape(raw)
        self.words.append(joined if self.literal else joined.strip())
        if not raw.strip():
            self.words.append("\n")

    def _request(self, name: str, rest: str) -> Iterator[Block]:
        words = [unescape(word) for word in arguments(rest)]
        if name in ("SH", "SS"):
            yield from self._flush()
            self.depth = self.entry_depth = 0
            title = flat(" ".join(words)) or flat(self._next_words())
            if title:
                yield Block("heading", title, self.number, level=2 if name == "SH" else 3)
        elif name == "TH":
            title = f"{words[0]}({words[1]})" if len(words) > 1 else "".join(words)
            yield Block("heading", title, self.number, level=1)
        elif name in ("TP", "TQ", "IP"):
            yield from self._tag(name, words)
        elif name in _FONTS or name in _MIXED:
            joined = ("" if name in _MIXED else " ").join(words) if words else ""
            self._text(joined.replace("\\", "\\\\") if joined else self._next_words().replace("\\", "\\\\"))
        elif name in ("nf", "EX", "fi", "EE"):
            self.literal = name in ("nf", "EX")
            self.words.append("\n")
        elif name == "RS":
            yield from self._indent()
        elif name in _BREAKS:
            self.depth -= name == "RE" and self.depth > 0
            self.recent = []
            if name == "RE" and self.indented and self.depth <= self.entry_depth:
                yield from self._flush()
            # An indented block belongs to the entry above it; a paragraph at the margin ends the entry.
            if name in ("PP", "P", "LP", "HP") and self.depth <= self.entry_depth:
                yield from self._flush()
            else:
                self.words.append("\n")
        elif name in ("UR", "MT"):
            self.words.extend(words[:1])
        elif name in ("de", "de1", "am", "ig"):
            end = words[1] if len(words) > 1 else "."
            while self.number < len(self.lines) and self.lines[self.number].rstrip() != f".{end}":
                self.number += 1
            self.number += 1
        elif name == "TS":
            self._tbl()
        elif name == "OP":
            self._text(f"[{' '.join(words)}]".replace("\\", "\\\\"))
        elif name in ("if", "ie", "el"):
            self._skip_condition(rest)

    def _indent(self) -> Iterator[Block]:
        """.RS opens an indented block; below a lone line in bold (asciidoctor, docbook-xsl) it explains a term."""
        tag = self.recent[0][1].strip() if len(self.recent) == 1 else ""
        plain = flat(unescape(tag))
        if (
            not self.label
            and 0 < len(plain) < 100
            and (tag.startswith(("\\fB", "\\fI")) or looks_like_parameter(plain))
        ):
            where = self.recent[0][0]
            self.words.pop()
            yield from self._flush()
            self.label, self.start = plain, where
            self.entry_depth, self.indented = self.depth, True
        self.depth += 1
        self.recent = []
        self.words.append("\n")

    def _tag(self, name: str, words: list[str]) -> Iterator[Block]:
        where = self.number
        tag = flat(words[0]) if name == "IP" and words else "" if name == "IP" else flat(self._next_words())
        numbered = bool(re.fullmatch(r"[\[(]?\w{1,2}[.)\]]", tag))
        if name == "IP" and (tag in _BULLETS or numbered):
            # A bullet, a number or a continued paragraph: part of what is open.
            self.words.extend(["\n", f"{tag} " if tag else ""])
            return
        if self.label and self.depth > self.entry_depth:
            self.words.extend(["\n", f"{tag}:"])  # explained inside the entry that is open
            return
        if name == "TQ" and self.label and not "".join(self.words).strip():
            self.label += f", {tag}"
            return
        if name == "TP" and self.label and not "".join(self.words).strip():
            self.label += f", {tag}"  # two tags over one explanation
            return
        yield from self._flush()
        self.label, self.start, self.entry_depth = tag, where, self.depth

    def _next_words(self) -> str:
        """What the next line prints: the tag of .TP, the words of a font macro without arguments."""
        while self.number < len(self.lines):
            raw = self.lines[self.number]
            self.number += 1
            request = _REQUEST.fullmatch(raw) if raw[:1] in (".", "'") else None
            if request is None:
                return unescape(raw)
            words = [unescape(word) for word in arguments(request[2])]
            if request[1] in _FONTS | _MIXED | {"OP", "SY"} and words:
                return ("" if request[1] in _MIXED else " ").join(words)
            if request[1] in ("SH", "SS", "TP", "IP", "PP"):
                self.number -= 1
                return ""
        return ""

    def _tbl(self) -> None:
        """A tbl(1) table as lines of cells; the formats above it end with a dot."""
        inside = False
        while self.number < len(self.lines) and not self.lines[self.number].startswith(".TE"):
            raw = self.lines[self.number]
            self.number += 1
            if inside and raw[:1] not in (".", "'") and raw.strip("_= \t"):
                cells = [flat(unescape(cell)) for cell in raw.replace("T{", "").replace("T}", "").split("\t")]
                self.words.extend(["\n", " | ".join(cell for cell in cells if cell)])
            inside = inside or raw.rstrip().endswith(".")
        self.number += 1

    def _skip_condition(self, rest: str) -> None:
        """Conditional requests choose between devices: their branches are layout, and are left out."""
        depth = rest.count("\\{") - rest.count("\\}")
        while depth > 0 and self.number < len(self.lines):
            depth += self.lines[self.number].count("\\{") - self.lines[self.number].count("\\}")
            self.number += 1

    def _flush(self) -> Iterator[Block]:
        text = _joined(self.words)
        if self.label:
            yield Block("entry", text, self.start, label=self.label)
        elif text:
            yield Block("text", text, self.start)
        self.words, self.label, self.indented, self.recent = [], "", False, []


def _joined(words: list[str]) -> str:
    paragraphs = "".join(word if word == "\n" else word + " " for word in words).split("\n")
    return "\n".join(flat(paragraph) for paragraph in paragraphs if paragraph.strip())
