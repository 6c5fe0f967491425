"""The second tier of an audit: code or comment, and what is behind an encoding, for one flagged text; runs nothing."""

from __future__ import annotations

import ast
import base64
import binascii
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BLOB = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,}={0,2}(?![\w+/=-])")
_HEX = re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-fA-F]{2}){12,}(?![0-9a-zA-Z])")
_ESCAPED = re.compile(r"(?:\\x[0-9a-fA-F]{2}){6,}")
_PRINTABLE = 0.9  # of the decoded characters, for a text rather than noise
_MOST_BLOBS = 50


@dataclass(frozen=True)
class Look:
    """``harmless`` only where what was flagged cannot run; ``decoded`` are (how, text) of what was encoded."""

    words: str = ""
    harmless: bool = False
    decoded: tuple[tuple[str, str], ...] = ()


def look_at(rule: str, text: str, channel: str, patterns: Sequence[re.Pattern[str]]) -> Look:
    """What a closer reading says of a flagged text.

    Python code is parsed: what is found in comments alone cannot run, and is harmless to everything but a reader
    (injections and hidden text are aimed at readers, and stay as they are).
    """
    decoded = tuple(_decoded(text))
    if channel not in ("candidate", "answer") or rule.startswith(("injection", "hidden", "secret")):
        return Look(_hidden(decoded), False, decoded)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        words = "it is no Python that parses, so it cannot be told whether this is code"
        return Look("; ".join(filter(None, (words, _hidden(decoded)))), False, decoded)
    bare = _without_comments(text)
    if bare is not None and not any(pattern.search(bare) for pattern in patterns):
        return Look("it is found in comments only, which do not run", True, decoded)
    calls = sorted(set(_reached(tree)))
    words = f"the code imports or calls {', '.join(calls[:8])}" if calls else "it is in the code or in a text of it"
    return Look("; ".join(filter(None, (words, _hidden(decoded)))), False, decoded)


def _hidden(decoded: Sequence[tuple[str, str]]) -> str:
    return f"{len(decoded)} encoded texts in it were decoded and searched" if decoded else ""


def _without_comments(text: str) -> str | None:
    """The code with its comments blanked, None where it cannot be split into tokens."""
    lines = text.splitlines(keepends=True)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, begin = token.start
                line = lines[row - 1]
                lines[row - 1] = line[:begin] + line[begin + len(token.string) :]
    except (tokenize.TokenError, IndentationError, SyntaxError, IndexError):
        return None
    return "".join(lines)


_ORDINARY = {"torch", "triton", "tl", "math", "libdevice"}
_SYSTEM = {"os", "sys", "socket", "subprocess", "ctypes", "gc", "inspect", "importlib"}
_REFLECTION = {"open", "exec", "eval", "compile", "__import__", "getattr", "setattr", "globals", "vars"}


def _reached(tree: ast.AST) -> Iterator[str]:
    """Imported modules and called names that a kernel file has no use for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] not in _ORDINARY)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in _ORDINARY | {"__future__"}:
            yield node.module or "."
        elif isinstance(node, ast.Call):
            name = _dotted(node.func)
            if name.split(".")[0] in _SYSTEM or name in _REFLECTION:
                yield f"{name}()"


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _decoded(text: str) -> Iterator[tuple[str, str]]:
    """Texts behind base64, hexadecimal and escapes, one level deep."""
    found: list[tuple[str, bytes]] = []
    for match in list(_BLOB.finditer(text))[:_MOST_BLOBS]:
        blob = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            found.append(("base64", base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True)))
        except (binascii.Error, ValueError):
            continue
    for match in list(_HEX.finditer(text))[:_MOST_BLOBS]:
        found.append(("hexadecimal", bytes.fromhex(match[0])))
    for match in list(_ESCAPED.finditer(text))[:_MOST_BLOBS]:
        found.append(("escapes", bytes.fromhex(match[0].replace("\\x", ""))))
    for how, raw in found:
        try:
            decoded = raw.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if decoded and sum(c.isprintable() or c.isspace() for c in decoded) >= _PRINTABLE * len(decoded):
            yield how, decoded
