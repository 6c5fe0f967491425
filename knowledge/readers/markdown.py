"""Markdown: headings, paragraphs, tables and lists; parameters in tables, bullets and bold become entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from knowledge.blocks import Block, clean, flat, looks_like_parameter

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

_KEY_COLUMNS = {"option", "options", "parameter", "parameters", "name", "field", "setting", "key", "variable", "flag"}
_AFTER_LABEL = re.compile(r"\s*(?:[-\u2013\u2014:=]|$)")
_DEFINITION = re.compile(r"^:[ \t]+", re.MULTILINE)


def read(text: str) -> Iterator[Block]:
    """Blocks of a CommonMark text with tables. Comments and front matter are dropped; HTML tags lose their marks."""
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    text = clean(text)
    front = re.match(r"---\n.*?\n---\n", text, re.DOTALL)
    if front:  # kept as empty lines: line numbers must not move
        text = "\n" * front.group(0).count("\n") + text[front.end() :]
    yield from _blocks(SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text)))


def _blocks(parent: SyntaxTreeNode) -> Iterator[Block]:
    for node in parent.children:
        line = node.map[0] + 1 if node.map else 1
        if node.type == "heading":
            title = plain(node)
            if title:
                yield Block("heading", title, line, level=int(node.tag[1]))
        elif node.type == "table":
            yield from _table(node, line)
        elif node.type in ("bullet_list", "ordered_list"):
            yield from _list(node, line)
        elif node.type in ("fence", "code_block"):
            yield Block("text", node.content.rstrip(), line)
        elif node.type == "blockquote":
            yield from _blocks(node)
        elif node.type == "html_block":
            bare = re.sub(r"<!--.*?-->|<[^>]*>", "", node.content, flags=re.DOTALL).strip()
            if bare:
                yield Block("text", bare, line)
        elif node.type == "paragraph":
            yield from _paragraph(node, line)


def _paragraph(node: SyntaxTreeNode, line: int) -> Iterator[Block]:
    content = plain(node)
    term, mark, definition = content.partition("\n") if _DEFINITION.search(content) else (content, "", "")
    if mark and definition.startswith(":"):
        yield Block("entry", _DEFINITION.sub("", definition), line, label=term)
        return
    label = _leading_label(node)
    if label and looks_like_parameter(label):
        yield Block("entry", content, line, label=label)
    elif content:
        yield Block("text", content, line)


def _list(node: SyntaxTreeNode, line: int) -> Iterator[Block]:
    """A list as text, but for items that begin with a parameter: those are entries. Lists of links are left out."""
    held: list[str] = []
    held_line = line
    for number, item in enumerate(node.children, 1):
        item_line = item.map[0] + 1 if item.map else line
        first = item.children[0] if item.children else None
        label = _leading_label(first) if first is not None and first.type == "paragraph" else ""
        body = _item_text(item)
        if label:
            if held:
                yield Block("text", "\n".join(held), held_line)
                held = []
            yield Block("entry", body, item_line, label=label)
            continue
        if _only_link(item):
            continue
        if not held:
            held_line = item_line
        held.append(("- " if node.type == "bullet_list" else f"{number}. ") + body)
    if held:
        yield Block("text", "\n".join(held), held_line)


def _leading_label(node: SyntaxTreeNode) -> str:
    """The code or bold text that a paragraph begins with, where a dash, a colon or nothing follows it."""
    inline = node.children[0].children if node.children else []
    inline = [part for part in inline if not (part.type == "text" and not part.content)]
    if not inline or inline[0].type not in ("code_inline", "strong"):
        return ""
    label = flat(_inline(inline[0])).rstrip(":")
    after = next((_inline(part) for part in inline[1:]), "")
    if not label or len(label) > 100 or not _AFTER_LABEL.match(after):
        return ""
    # "**Note**" opens a remark, it is not the name of anything.
    return "" if inline[0].type == "strong" and not looks_like_parameter(label) else label


def _only_link(item: SyntaxTreeNode) -> bool:
    first = item.children[0] if item.children else None
    if first is None or first.type != "paragraph" or not first.children:
        return False
    parts = [part for part in first.children[0].children if part.type != "text" or part.content.strip()]
    return bool(parts) and all(part.type == "link" for part in parts)


def _item_text(item: SyntaxTreeNode) -> str:
    parts: list[str] = []
    for child in item.children:
        if child.type in ("bullet_list", "ordered_list"):
            parts.extend("- " + _item_text(inner) for inner in child.children)
        elif child.type == "table":
            parts.extend(" | ".join(plain(cell) for cell in row) for row in _rows(child))
        elif child.type in ("fence", "code_block"):
            parts.append(child.content.rstrip())
        elif child.type == "blockquote":
            parts.append(_item_text(child))
        else:
            parts.append(plain(child))
    return "\n".join(part for part in parts if part)


def _rows(table: SyntaxTreeNode) -> Iterator[list[SyntaxTreeNode]]:
    for group in table.children:
        for row in group.children:
            yield list(row.children)


def _table(node: SyntaxTreeNode, line: int) -> Iterator[Block]:
    """A table of parameters gives an entry for each row; any other is text with its head repeated."""
    rows = list(_rows(node))
    lines = [row.map[0] + 1 if row.map else line for group in node.children for row in group.children]
    head = [flat(plain(cell)) for cell in rows[0]] if rows else []
    keyed = bool(head) and head[0].lower() in _KEY_COLUMNS
    held: list[str] = []
    held_line = line
    for cells, row_line in zip(rows[1:], lines[1:], strict=True):
        texts = [flat(plain(cell)) for cell in cells]
        key = next((i for i in (0, 1) if i < len(texts) and looks_like_parameter(texts[i].lstrip("*"))), None)
        if key is None and keyed and texts[0]:
            key = 0
        if key is None:
            held_line = held_line if held else row_line
            held.append(" | ".join(text for text in texts if text))
            continue
        rest = [text for i, text in enumerate(texts) if i > key and text]
        yield Block("entry", " | ".join(rest), row_line, label=texts[key].lstrip("*"))
    if held:
        yield Block("text", "\n".join([" | ".join(head), *held]), held_line)


def plain(node: SyntaxTreeNode) -> str:
    """The words of a node, without marks."""
    return "".join(_inline(child) for child in node.children).strip()


def _inline(node: SyntaxTreeNode) -> str:
    if node.type in ("text", "code_inline"):
        return node.content
    if node.type in ("softbreak", "hardbreak"):
        return "\n"
    if node.type == "image":
        return str(node.content)
    if node.type == "html_inline":
        return "\n" if node.content.lower().startswith("<br") else ""
    return "".join(_inline(child) for child in node.children)
