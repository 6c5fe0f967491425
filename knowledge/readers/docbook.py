"""DocBook XML: titles, paragraphs, variable lists, tables and listings, through the standard library's expat.

Nothing outside the file is read: no DTD, no external entity, no inclusion. Entities that the file does not define
itself leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from knowledge.blocks import Block, clean, flat, looks_like_parameter

_SECTIONS = {
    "set", "book", "part", "chapter", "appendix", "preface", "article", "section", "sect1", "sect2", "sect3", "sect4",
    "sect5", "simplesect", "reference", "refentry", "refsect1", "refsect2", "refsect3", "refsection", "glossary",
    "refsynopsisdiv", "topic", "partintro",
}  # fmt: skip
_PARAGRAPHS = {"para", "simpara", "formalpara", "refpurpose", "abstract", "caption"}
_LISTINGS = {"programlisting", "screen", "literallayout", "synopsis", "cmdsynopsis", "funcsynopsis"}
_SKIPPED = {"info", "bookinfo", "chapterinfo", "articleinfo", "sectioninfo", "indexterm", "remark", "toc", "index"}
_NAMING = {"option", "parameter", "varname", "literal", "command", "emphasis", "envar", "constant", "systemitem"}


@dataclass
class _Node:
    name: str
    line: int
    children: list[_Node | str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text() for part in self.children)

    def find(self, *names: str) -> Iterator[_Node]:
        """The nearest descendants of these names."""
        for child in self.children:
            if isinstance(child, _Node):
                if child.name in names:
                    yield child
                else:
                    yield from child.find(*names)


def read(text: str) -> Iterator[Block]:
    """Blocks of a DocBook document or fragment. Raises ValueError saying what is wrong with the XML, and where."""
    yield from _walk(_parse(clean(text)), 0)


def _parse(text: str) -> _Node:
    from xml.parsers import expat

    root = _Node("", 1)
    open_nodes = [root]
    parser = expat.ParserCreate("utf-8")
    parser.UseForeignDTD(True)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True

    def start(name: str, _: dict[str, str]) -> None:
        node = _Node(name.rpartition(":")[2].lower(), parser.CurrentLineNumber)
        open_nodes[-1].children.append(node)
        open_nodes.append(node)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_nodes.pop()
    parser.CharacterDataHandler = lambda data: open_nodes[-1].children.append(data)
    parser.SkippedEntityHandler = lambda name, is_parameter: None
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise ValueError(f"line {error.lineno}: {expat.ErrorString(error.code)}") from None
    return root


def _walk(node: _Node, level: int) -> Iterator[Block]:
    loose: list[str] = []
    line = node.line
    for child in node.children:
        if isinstance(child, str):
            loose.append(child)
            continue
        if child.name in _SKIPPED or (child.name in ("title", "subtitle", "refmeta") and node.name in _SECTIONS):
            continue
        if not child.children or (child.name not in _BLOCKS and not any(child.find(*_BLOCKS))):
            loose.append(child.text())
            continue
        yield from _loose(loose, line)
        loose, line = [], child.line
        yield from _block(child, level)
    yield from _loose(loose, line)


def _loose(parts: list[str], line: int) -> Iterator[Block]:
    words = flat("".join(parts))
    if words:
        yield Block("text", words, line)


def _block(node: _Node, level: int) -> Iterator[Block]:
    if node.name in _SECTIONS:
        title = next(node.find("title", "refentrytitle", "refname"), None)
        if title is not None and title.text().strip():
            level += 1
            yield Block("heading", flat(title.text()), title.line, level=level)
        yield from _walk(node, level)
    elif node.name == "variablelist":
        for item in node.find("varlistentry"):
            yield _entry(item, "term", "listitem")
    elif node.name == "glossentry":
        yield _entry(node, "glossterm", "glossdef")
    elif node.name in ("itemizedlist", "orderedlist", "simplelist", "procedure"):
        yield from _list(node)
    elif node.name in _LISTINGS:
        yield Block("text", node.text().strip("\n"), node.line)
    elif node.name in ("table", "informaltable"):
        yield from _table(node)
    elif node.name in _PARAGRAPHS and not any(node.find(*_BLOCKS)):
        yield from _loose([node.text()], node.line)
    else:
        yield from _walk(node, level)


def _entry(item: _Node, term: str, body: str) -> Block:
    label = ", ".join(flat(part.text()) for part in item.find(term))
    return Block("entry", "\n".join(_prose(part) for part in item.find(body)), item.line, label=label)


def _prose(node: _Node) -> str:
    """The words of an item, its paragraphs and listings on lines of their own."""
    parts = list(node.find(*_PARAGRAPHS, *_LISTINGS, "varlistentry", "member"))
    if not parts:
        return flat(node.text())
    return "\n".join(part.text().strip("\n") if part.name in _LISTINGS else flat(part.text()) for part in parts)


def _list(node: _Node) -> Iterator[Block]:
    held: list[str] = []
    line = node.line
    for item in node.find("listitem", "member", "step"):
        first = next(item.find(*_NAMING), None)
        text = _prose(item)
        label = flat(first.text()) if first is not None else ""
        if label and text.startswith(label) and looks_like_parameter(label):
            if held:
                yield Block("text", "\n".join(held), line)
                held = []
            yield Block("entry", text, item.line, label=label)
            continue
        line = line if held else item.line
        held.append("- " + text)
    if held:
        yield Block("text", "\n".join(held), line)


def _table(node: _Node) -> Iterator[Block]:
    held: list[str] = []
    line = node.line
    for row in node.find("row", "tr"):
        cells = [flat(cell.text()) for cell in row.find("entry", "td", "th")]
        if cells and looks_like_parameter(cells[0]):
            yield Block("entry", " | ".join(cell for cell in cells[1:] if cell), row.line, label=cells[0])
        else:
            line = line if held else row.line
            held.append(" | ".join(cell for cell in cells if cell))
    if any(held):
        yield Block("text", "\n".join(held), line)


_BLOCKS = (
    *_SECTIONS, *_PARAGRAPHS, *_LISTINGS, "variablelist", "glossentry", "itemizedlist", "orderedlist", "simplelist",
    "procedure", "table", "informaltable",
)  # fmt: skip
