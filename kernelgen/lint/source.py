"""A kernel file as the checkers see it: its tree, imports, jit functions, plain functions, wrappers and constants."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from kernelgen.lint.packs import Packs
from kernelgen.lint.report import Finding

WRAPPER_SUFFIX = "_kernel_impl"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Reporter:
    """Collects findings, each place and rule once."""

    def __init__(self, packs: Packs, source: str) -> None:
        self.packs = packs
        self._lines = source.splitlines()
        self._found: dict[tuple[str, int, int], Finding] = {}

    def add(self, rule_id: str, node: ast.AST | None, message: str) -> None:
        """Record that ``rule_id`` is broken at ``node`` (the first line, when there is no node)."""
        self.at(rule_id, getattr(node, "lineno", 1), getattr(node, "col_offset", 0), message)

    def at(self, rule_id: str, line: int, column: int, message: str) -> None:
        """The same for a place given in numbers."""
        rule = self.packs.rules[rule_id]
        snippet = self._lines[line - 1].strip()[:160] if 0 < line <= len(self._lines) else ""
        finding = Finding(rule_id, line, column, message, rule.why, rule.mend, rule.severity, snippet)
        self._found.setdefault((rule_id, line, column), finding)

    def findings(self) -> tuple[Finding, ...]:
        """Everything found, in the order of the file."""
        return tuple(sorted(self._found.values(), key=lambda f: (f.line, f.column, f.rule)))


@dataclass(slots=True)
class Source:
    """One parsed file. ``imports`` maps a local name to a dotted path in which triton.language is written ``tl``."""

    tree: ast.Module
    imports: dict[str, str] = field(default_factory=dict)
    jit: dict[str, Function] = field(default_factory=dict)
    plain: dict[str, Function] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    constexprs: set[str] = field(default_factory=set)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    @property
    def wrappers(self) -> dict[str, Function]:
        """The functions that serve an ATen overload."""
        return {
            name: node
            for name, node in self.plain.items()
            if name.endswith(WRAPPER_SUFFIX) and "__" in name.removesuffix(WRAPPER_SUFFIX).strip("_")
        }

    def dotted(self, node: ast.AST) -> str | None:
        """``torch.nn.functional.relu`` for such an attribute chain over an import, else None."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imports:
            return None
        return short(".".join([self.imports[node.id], *reversed(names)]))

    def module_names(self) -> set[str]:
        """Every name that the module level binds."""
        return {*self.imports, *self.jit, *self.plain, *self.constants}


def short(dotted: str) -> str:
    """Write triton.language as tl, so that one list of names serves every way of importing it."""
    head = "triton.language"
    return "tl" + dotted[len(head) :] if dotted == head or dotted.startswith(head + ".") else dotted


def read_source(tree: ast.Module) -> Source:
    """Index a parsed module; a damaged or hostile one is indexed too, as far as it goes."""
    source = Source(tree)
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            source.parents[child] = node
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    source.imports[alias.asname] = short(alias.name)
                else:
                    source.imports.setdefault(alias.name.split(".")[0], alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                source.imports[alias.asname or alias.name] = short(f"{node.module}.{alias.name}")
    for statement in tree.body:
        if isinstance(statement, Function):
            is_jit = any(_decorator(source, item).startswith("triton.") for item in statement.decorator_list)
            (source.jit if is_jit else source.plain)[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            for name in assigned_names(statement):
                source.constants[name] = statement.value
                annotation = getattr(statement, "annotation", None)
                if _is_constexpr(source, statement.value) or (
                    annotation is not None and source.dotted(annotation) == "tl.constexpr"
                ):
                    source.constexprs.add(name)
    return source


def _decorator(source: Source, node: ast.expr) -> str:
    return source.dotted(node.func if isinstance(node, ast.Call) else node) or ""


def _is_constexpr(source: Source, value: ast.expr) -> bool:
    # A tl dtype is as good as a constexpr to compiled Triton.
    target = value.func if isinstance(value, ast.Call) else value
    dotted = source.dotted(target)
    return dotted is not None and dotted.startswith("tl.")


def assigned_names(statement: ast.AST) -> Iterator[str]:
    """The names that an assignment or a loop binds, also inside tuples."""
    targets: list[ast.AST] = list(getattr(statement, "targets", []))
    target = getattr(statement, "target", None)
    if target is not None:
        targets.append(target)
    for item in targets:
        for node in ast.walk(item):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def parameters(function: Function) -> list[ast.arg]:
    """All parameters in order, ``*args`` and ``**kwargs`` included."""
    args = function.args
    extra = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]
