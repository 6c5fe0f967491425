"""reStructuredText through docutils, with Sphinx's directives for options and the like read as entries.

Nothing outside the text is read (no include, no raw file). What docutils does not know keeps its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knowledge.blocks import Block, clean, flat, looks_like_parameter

# Directives that describe one thing: what follows them is its explanation.
_DESCRIBING = {
    "option", "cmdoption", "program-option", "confval", "envvar", "describe", "object", "data", "function", "class",
    "method", "attribute", "exception", "property", "macro", "type", "setting", "config", "variable", "py:function",
    "py:class", "py:method", "py:data", "py:attribute", "c:function", "c:macro", "c:type", "c:struct", "c:member",
    "c:var", "std:option", "ansibleoption", "rst:directive",
}  # fmt: skip
# Directives that print no words of the manual.
_SILENT = {"toctree", "index", "highlight", "program", "currentmodule", "module", "tabularcolumns", "only", "include"}
_DIRECTIVE = re.compile(r"^[ \t]*\.\. ([a-zA-Z][\w:.+-]*?)::", re.MULTILINE)
_AFTER = ("", ":", "-", "\u2013")  # what may follow the name at the head of an entry
_ROLE = re.compile(r":[a-zA-Z][\w:+.-]*:`([^`]+?)(?:\s*<[^`>]*>)?`(?:\\(?=\S))?")


def read(text: str) -> Iterator[Block]:
    """Blocks of a reStructuredText document; markup that docutils rejects stays in as plain words."""
    import warnings

    from docutils.core import publish_doctree

    text = _ROLE.sub(lambda found: f"``{found[1].lstrip('~!')}``", clean(text))
    _teach(set(_DIRECTIVE.findall(text)))
    settings = {
        "report_level": 5, "halt_level": 5, "file_insertion_enabled": False, "raw_enabled": False,
        "_disable_config": True,
        "doctitle_xform": False, "smart_quotes": False, "warning_stream": False, "input_encoding": "unicode",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # docutils announces its own future changes
        tree = publish_doctree(text, settings_overrides=settings)
    yield from _walk(tree, 0)


def _teach(names: set[str]) -> None:
    """Make docutils read the directives ``names`` that it has no notion of."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives
    from docutils.parsers.rst.languages import en

    class Described(Directive):
        has_content = True
        optional_arguments = 1_000
        final_argument_whitespace = True
        option_spec = None

        def run(self) -> list[Any]:
            body = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, body)
            node = nodes.admonition("", *body.children, described=flat(" ".join(self.arguments)))
            node["names_it"] = self.name in _DESCRIBING
            node["silent"] = self.name in _SILENT
            node.line = self.lineno
            return [node]

    known = set(directives._directive_registry) | set(en.directives)  # docutils has no public way to ask
    for name in names:
        if name.lower() not in known:
            directives.register_directive(name.lower(), Described)


def _walk(parent: Any, level: int) -> Iterator[Block]:
    from docutils import nodes

    for node in parent.children:
        line = _line(node)
        if isinstance(node, nodes.section):
            title = node.next_node(nodes.title)
            yield Block("heading", flat(title.astext()) if title else "", line, level=level + 1)
            yield from _walk(node, level + 1)
        elif isinstance(node, nodes.admonition) and "described" in node:
            if node["silent"]:
                continue
            if node["names_it"]:
                yield Block("entry", _prose(node), line, label=node["described"])
            else:
                if node["described"]:
                    yield Block("text", node["described"], line)
                yield from _walk(node, level)
        elif isinstance(node, nodes.definition_list | nodes.option_list | nodes.field_list):
            yield from _entries(node)
        elif isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            items = ["- " + _prose(item) for item in node.children]
            yield Block("text", "\n".join(items), line)
        elif isinstance(node, nodes.table):
            yield from _table(node)
        elif isinstance(node, nodes.paragraph | nodes.literal_block | nodes.doctest_block | nodes.line_block):
            yield from _paragraph(node, line)
        elif isinstance(node, nodes.system_message):
            for literal in node.findall(nodes.literal_block):  # the source of what docutils could not read
                yield Block("text", literal.astext(), line)
        elif isinstance(node, nodes.title | nodes.comment | nodes.target | nodes.substitution_definition):
            continue
        else:
            yield from _walk(node, level)


def _paragraph(node: Any, line: int) -> Iterator[Block]:
    from docutils import nodes

    text = node.astext()
    first = node.children[0] if node.children else None
    label = flat(first.astext()) if isinstance(first, nodes.strong | nodes.literal) else ""
    rest = text[len(label) :].lstrip()
    named = looks_like_parameter(label) and rest[:1] in _AFTER
    if named and isinstance(node, nodes.paragraph):
        yield Block("entry", text, line, label=label.rstrip(":"))
    elif text.strip():
        yield Block("text", flat(text) if isinstance(node, nodes.paragraph) else text, line)


def _entries(node: Any) -> Iterator[Block]:
    from docutils import nodes

    for item in node.children:
        names = [flat(part.astext()) for part in item.children if isinstance(part, nodes.term | nodes.field_name)]
        groups = [part for part in item.children if isinstance(part, nodes.option_group)]
        names += [flat(option.astext().replace("\n\n", " ")) for group in groups for option in group.children]
        bodies = [p for p in item.children if isinstance(p, nodes.definition | nodes.description | nodes.field_body)]
        yield Block("entry", "\n".join(_prose(body) for body in bodies), _line(item), label=", ".join(names))


def _table(node: Any) -> Iterator[Block]:
    from docutils import nodes

    held: list[str] = []
    for row in node.findall(nodes.row):
        cells = [flat(cell.astext()) for cell in row.children]
        if cells and looks_like_parameter(cells[0]):
            yield Block("entry", " | ".join(cell for cell in cells[1:] if cell), _line(row), label=cells[0])
        else:
            held.append(" | ".join(cell for cell in cells if cell))
    if any(held):
        yield Block("text", "\n".join(held), _line(node))


def _prose(node: Any) -> str:
    from docutils import nodes

    parts: list[str] = []
    for child in node.children:
        if isinstance(child, nodes.paragraph):
            parts.append(flat(child.astext()))
        elif isinstance(child, nodes.literal_block):
            parts.append(child.astext())
        elif isinstance(child, nodes.Text | nodes.Inline):
            parts.append(flat(child.astext()))
        elif isinstance(child, nodes.admonition) and "described" in child:
            parts.append(f"{child['described']}\n{_prose(child)}")
        elif isinstance(child, nodes.term):
            parts.append(flat(child.astext()) + ":")
        elif child.children:
            parts.append(_prose(child))
    return "\n".join(part for part in parts if part.strip())


def _line(node: Any) -> int:
    """The line a node begins at; docutils leaves it out in places, where the nearest known one serves."""
    current = node
    while current is not None:
        if getattr(current, "line", None):
            return int(current.line)
        inner = next((n.line for n in current.findall() if getattr(n, "line", None)), None)
        if inner:
            return int(inner)
        current = current.parent
    return 1
