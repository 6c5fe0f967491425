"""Turns a model's answer into kernel files that stand alone; it judges neither their text nor their values.

Functions of the synthesis library that a file uses without defining them are copied into it, as they are into our own
kernels, so that a model need not repeat them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kernelgen.check import overloads_in
from kernelgen.runtime.overloads import function_name
from kernelgen.synthesis.inline import library_names, standalone

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Assembled:
    """``kernels`` is overload -> file text; ``faults`` says in sentences what could not be used."""

    kernels: Mapping[str, str]
    faults: tuple[str, ...] = ()


def assemble(source: str, asked: Sequence[str], allowed: Collection[str]) -> Assembled:
    """The file of an answer, for each overload in ``allowed`` (``asked`` and what else may be served) that it defines a
    wrapper for."""
    text, fault = complete(source)
    if fault:
        return Assembled({}, (fault,))
    served = overloads_in(text)
    kernels = {overload: text for overload in served if overload in allowed}
    if kernels or not _parses(text):
        # What Python cannot read is left to lint, which says where; it stands for all that was asked for.
        return Assembled(kernels or dict.fromkeys(asked, text))
    wanted = ", ".join(function_name(overload) for overload in asked)
    others = f"; it serves {', '.join(served)}, which nobody asked for" if served else ""
    return Assembled({}, (f"the file defines none of the functions asked for ({wanted}){others}",))


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def complete(source: str) -> tuple[str, str]:
    """Return (whole file, "") or ("", what is wrong with it). A file that Python cannot read is returned as it is."""
    fenced = _FENCE.match(source)
    text = (fenced[1] if fenced else source).strip() + "\n"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text, ""
    defined = _defined(tree)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if not (used - defined) & library_names():
        return text, ""
    twice = sorted(defined & library_names())
    if twice:
        # Two meanings of one name: the library's other functions would take the model's.
        return "", f"the file defines {', '.join(twice)}, a name of the library that it also uses; choose another name"
    lines = text.splitlines()
    for node in tree.body:
        if _replaced(node, tree):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    try:
        return standalone("\n".join(lines), "Written by a language model for Sysmith."), ""
    except (SyntaxError, ValueError, RecursionError):
        return text, ""


def _defined(tree: ast.Module) -> set[str]:
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _replaced(node: ast.stmt, tree: ast.Module) -> bool:
    """Whether ``standalone`` writes this statement itself: the docstring and the usual imports, spelt as usual."""
    if isinstance(node, ast.Import):
        usual = {("torch", None), ("triton", None), ("triton.language", "tl"), ("math", None)}
        return all((name.name, name.asname) in usual for name in node.names)
    first = node is tree.body[0]
    return first and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def outline(text: str) -> tuple[dict[str, str], str]:
    """Split one of our own kernel files: (library function or constant -> its text, the rest without imports)."""
    lines, helpers, rest = text.splitlines(), {}, []
    known = library_names()
    for node in ast.parse(text).body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        piece = "\n".join(lines[first - 1 : node.end_lineno])
        name = node.name if isinstance(node, ast.FunctionDef) else _target(node)
        if name in known:
            helpers[name] = piece
        elif isinstance(node, (ast.FunctionDef, ast.Assign)):
            rest.append(piece)
    return helpers, "\n\n\n".join(rest)


def _target(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""
