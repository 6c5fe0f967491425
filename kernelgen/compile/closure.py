"""The part of a kernel file that a kernel can reach, so that equal kernels are compiled once; it runs nothing.

Kernel files stand alone, so helpers such as a strided copy come in each of them word for word.
"""

from __future__ import annotations

import ast
from functools import lru_cache


def reachable_text(source: str, kernel: str) -> str:
    """Return the kernel, the module-level names it reaches, all imports and whatever the file runs when imported.

    Two files with equal text here compile ``kernel`` to equal code. Comments and layout do not count. Where that is
    not certain (a file that does not parse, defines no such function, or does more than import and define) it is the
    whole source.
    """
    module = _module(source)
    if module is None or kernel not in module.names:
        return source
    wanted, kept = [kernel], set(module.always)
    while wanted:
        for place in module.names.get(wanted.pop(), ()):
            if place not in kept:
                kept.add(place)
                wanted += module.uses[place]
    return "\n".join(module.texts[place] for place in sorted(kept))


class _Module:
    """The statements of a file: their texts, the names they use, who binds a name, and those that always count."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.uses: list[frozenset[str]] = []
        self.names: dict[str, list[int]] = {}
        self.always: list[int] = []


@lru_cache(maxsize=64)
def _module(source: str) -> _Module | None:
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # all that a hostile text makes the parser raise
        return None
    module = _Module()
    for place, statement in enumerate(statements):
        module.texts.append(ast.unparse(statement))
        module.uses.append(frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name)))
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            module.always.append(place)
            continue
        if isinstance(statement, ast.FunctionDef):
            bound, quiet = [statement.name], _only_defines(statement)
        elif isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
            bound = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            quiet = not _calls(statement.value)
        else:
            return None
        for name in bound:
            module.names.setdefault(name, []).append(place)
        if not quiet:
            return None
    return module


def _only_defines(function: ast.FunctionDef) -> bool:
    decorators = {ast.unparse(decorator) for decorator in function.decorator_list}
    defaults = [*function.args.defaults, *(default for default in function.args.kw_defaults if default is not None)]
    return decorators <= {"triton.jit"} and not any(map(_calls, defaults))


def _calls(node: ast.AST) -> bool:
    return any(isinstance(inner, (ast.Call, ast.Await, ast.NamedExpr)) for inner in ast.walk(node))
