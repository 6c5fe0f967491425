"""Says what a name in a file refers to, by Python's scoping rules; classes are left out, as they are refused."""

from __future__ import annotations

import ast

from kernelgen.lint.source import Function, Source, parameters

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Scopes:
    """Name look-up over one file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._module = source.module_names()
        self._bound: dict[ast.AST, set[str]] = {}

    def where(self, name: ast.Name) -> str:
        """``local``, ``module`` or ``builtin``."""
        if any(name.id in self._names(scope) for scope in self._chain(name)):
            return "local"
        return "module" if name.id in self._module else "builtin"

    def kernel(self, node: ast.AST) -> str | None:
        """The jit function in whose body the node stands, if it stands in one."""
        for scope in self._chain(node):
            if isinstance(scope, Function) and self._source.jit.get(scope.name) is scope:
                return scope.name
        return None

    def _chain(self, node: ast.AST) -> list[ast.AST]:
        # Decorators, defaults, annotations and a comprehension's first iterable belong to the scope around them.
        chain = []
        parents = self._source.parents
        while node in parents:
            child, node = node, parents[node]
            inside_function = isinstance(node, Function) and child in node.body
            inside_lambda = isinstance(node, ast.Lambda) and child is node.body
            if (
                inside_function
                or inside_lambda
                or (isinstance(node, Comprehension) and child is not node.generators[0])
            ):
                chain.append(node)
            elif isinstance(node, ast.comprehension) and child is not node.iter:
                chain.append(parents[node])
            elif isinstance(node, ast.comprehension):
                outer = parents[node]
                if isinstance(outer, Comprehension) and outer.generators[0] is not node:
                    chain.append(outer)
        return chain

    def _names(self, scope: ast.AST) -> set[str]:
        if scope not in self._bound:
            names: set[str] = set()
            if isinstance(scope, Function):
                names = {arg.arg for arg in parameters(scope)}
                for statement in scope.body:
                    _collect(statement, names)
            elif isinstance(scope, ast.Lambda):
                args = scope.args
                names = {arg.arg for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs]}
                names |= {arg.arg for arg in (args.vararg, args.kwarg) if arg is not None}
                _collect(scope.body, names)
            elif isinstance(scope, Comprehension):
                for generator in scope.generators:
                    _collect(generator.target, names)
            self._bound[scope] = names
        return self._bound[scope]


def _collect(node: ast.AST, names: set[str]) -> None:
    if isinstance(node, Function):
        names.add(node.name)
        return
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, Comprehension):
        # A walrus inside a comprehension binds in the function around it; loop variables do not.
        for part in ast.walk(node):
            if isinstance(part, ast.NamedExpr) and isinstance(part.target, ast.Name):
                names.add(part.target.id)
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        names.add(node.id)
    for child in ast.iter_child_nodes(node):
        _collect(child, names)
