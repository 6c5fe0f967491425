"""Copy the library functions that a kernel file uses into it, so that the file stands alone; renders no templates."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent / "library"
_IMPORTS = "import torch\nimport triton\nimport triton.language as tl\n"


@dataclass(frozen=True)
class _Definition:
    name: str
    text: str
    uses: frozenset[str]
    order: int


def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


@cache
def _definitions() -> dict[str, _Definition]:
    """Every top-level function and constant of the library, by name; names are unique across its files."""
    found: dict[str, _Definition] = {}
    for path in sorted(LIBRARY.glob("*.py")):
        source = path.read_text()
        lines = source.splitlines()
        for node in ast.parse(source, str(path)).body:
            if isinstance(node, ast.FunctionDef):
                name, first = node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, first = node.targets[0].id, node.lineno
            else:
                continue
            if name in found:
                raise ValueError(f"{path.name} defines {name}, which another library file defines too")
            text = "\n".join(lines[first - 1 : node.end_lineno])
            found[name] = _Definition(name, text, _names(node) - {name}, len(found))
    return found


def library_names() -> frozenset[str]:
    """Return the names that a template may use without defining them."""
    return frozenset(_definitions())


def standalone(body: str, docstring: str) -> str:
    """Return ``body`` as a whole file: docstring, imports, the library parts it uses (transitively), then itself."""
    known = _definitions()
    tree = ast.parse(body)
    own = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    wanted: set[str] = set()
    queue = [n for n in _names(tree) if n in known and n not in own]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue.extend(n for n in known[name].uses if n in known and n not in own)
    parts = sorted((known[name] for name in wanted), key=lambda d: (not d.name.isupper(), d.order))
    imports = ("import math\n\n" if "math" in _names(tree) or any("math" in p.uses for p in parts) else "") + _IMPORTS
    sections = [f'"""{docstring}"""\n', imports]
    constants = [p.text for p in parts if p.text.startswith(p.name)]
    functions = [p.text for p in parts if not p.text.startswith(p.name)]
    if constants:
        sections.append("\n".join(constants) + "\n")
    sections.extend(f"\n{text}\n" for text in functions)
    sections.append(f"\n{body.strip()}\n")
    return "\n".join(sections)
