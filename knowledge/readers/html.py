"""HTML: headings, definition lists, tables, paragraphs and listings; scripts, menus and styles are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from knowledge.blocks import Block, clean, flat, looks_like_parameter

if TYPE_CHECKING:
    from bs4 import Tag

_DROPPED = ("script", "style", "nav", "footer", "template", "noscript", "svg", "head", "iframe", "form", "button")
_HEADING = re.compile(r"h([1-6])")
_LEAVES = {"p", "pre", "li", "blockquote", "figcaption", "address", "caption"}
_WALKED = (*_LEAVES, "dl", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "div", "section", "article", "main")


def read(text: str) -> Iterator[Block]:
    """Blocks of an HTML page, whole or a fragment; broken markup is read as far as a browser would."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(clean(text), "html.parser")
    for tag in soup(_DROPPED):
        tag.decompose()
    yield from _walk(soup.body or soup)


def _walk(parent: Tag) -> Iterator[Block]:
    from bs4 import Tag
    from bs4.element import Comment, NavigableString

    loose: list[str] = []
    line = parent.sourceline or 1
    for node in parent.children:
        if isinstance(node, Tag):
            if node.name in _WALKED or node.find(_WALKED):
                yield from _loose(loose, line)
                loose, line = [], node.sourceline or line
                yield from _block(node)
            else:
                loose.append(node.get_text())
        elif isinstance(node, NavigableString) and not isinstance(node, Comment):
            loose.append(str(node))
    yield from _loose(loose, line)


def _loose(texts: list[str], line: int) -> Iterator[Block]:
    joined = flat("".join(texts))
    if joined:
        yield Block("text", joined, line)


def _block(node: Tag) -> Iterator[Block]:
    from bs4 import Tag

    line = node.sourceline or 1
    heading = _HEADING.fullmatch(node.name)
    if heading:
        title = flat(node.get_text()).rstrip("\u00b6#").strip()
        if title:
            yield Block("heading", title, line, level=int(heading[1]))
    elif node.name == "dl":
        yield from _definitions(node)
    elif node.name == "table":
        yield from _table(node)
    elif node.name == "pre":
        yield Block("text", clean(node.get_text()).strip("\n"), line)
    elif node.name in ("ul", "ol"):
        yield from _list(node)
    elif node.name in _LEAVES and not node.find(["p", "pre", "dl", "table", "ul", "ol"]):
        text = flat(node.get_text(" ") if node.name == "blockquote" else node.get_text())
        first = next((child for child in node.children if str(child).strip()), None)
        named = isinstance(first, Tag) and first.name in ("b", "strong", "code", "tt")
        label = flat(first.get_text()) if first is not None and named else ""
        if label and looks_like_parameter(label):
            yield Block("entry", text, line, label=label.rstrip(":"))
        elif text:
            yield Block("text", text, line)
    else:
        yield from _walk(node)


def _definitions(node: Tag) -> Iterator[Block]:
    """One entry for each run of terms and the definitions that follow it."""
    terms: list[str] = []
    bodies: list[str] = []
    line = node.sourceline or 1
    for child in node.find_all(["dt", "dd"]):
        if child.find_parent("dl") is not node:
            continue
        if child.name == "dt":
            if bodies:
                yield Block("entry", "\n".join(bodies), line, label=", ".join(terms))
                terms, bodies = [], []
            line = line if terms else child.sourceline or line
            terms.append(flat(child.get_text()).rstrip("\u00b6").strip())
        else:
            bodies.append(_prose(child))
    if bodies or any(not dt.find("a") for dt in node.find_all("dt")):  # terms that are all links: a table of contents
        yield Block("entry", "\n".join(bodies), line, label=", ".join(terms))


def _list(node: Tag) -> Iterator[Block]:
    held: list[str] = []
    line = node.sourceline or 1
    for item in node.find_all("li", recursive=False):
        text = _prose(item)
        first = next((child for child in item.children if str(child).strip()), None)
        name = getattr(first, "name", None)
        label = flat(first.get_text()) if first is not None and name in ("code", "b", "strong", "tt") else ""
        if label and looks_like_parameter(label):
            if held:
                yield Block("text", "\n".join(held), line)
                held = []
            yield Block("entry", text, item.sourceline or line, label=label.rstrip(":"))
        elif text and not (name == "a" and flat(first.get_text() if first else "") == text):
            line = line if held else item.sourceline or line
            held.append("- " + text)
    if held:
        yield Block("text", "\n".join(held), line)


def _table(node: Tag) -> Iterator[Block]:
    head: list[str] = []
    held: list[str] = []
    line = node.sourceline or 1
    for row in node.find_all("tr"):
        if row.find_parent("table") is not node:
            continue
        cells = row.find_all(["td", "th"], recursive=False)
        texts = [flat(cell.get_text(" ")) for cell in cells]
        if cells and all(cell.name == "th" for cell in cells) and not head:
            head = texts
            continue
        key = next((i for i, text in enumerate(texts[:2]) if looks_like_parameter(text)), None)
        if key is None:
            line = line if held else row.sourceline or line
            held.append(" | ".join(text for text in texts if text))
        else:
            rest = " | ".join(text for text in texts[key + 1 :] if text)
            yield Block("entry", rest, row.sourceline or line, label=texts[key])
    if any(held):
        yield Block("text", "\n".join([*([" | ".join(head)] if head else []), *held]), line)


def _prose(node: Tag) -> str:
    """The words of an item with its paragraphs and listings on lines of their own."""
    from bs4 import Tag

    parts: list[str] = [""]
    listings: set[int] = set()
    for child in node.children:
        if isinstance(child, Tag) and child.name == "pre":
            listings.add(len(parts))
            parts += [clean(child.get_text()).strip("\n"), ""]
        elif isinstance(child, Tag) and (child.name in _WALKED or child.name in ("dt", "dd")):
            listings.add(len(parts))
            parts += [_prose(child), ""]
        else:
            parts[-1] += child.get_text() if isinstance(child, Tag) else str(child)
    return "\n".join(part if i in listings else flat(part) for i, part in enumerate(parts) if part.strip())
