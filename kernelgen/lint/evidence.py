"""Finds which parameters must be tensors from how they are used; values are followed elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kernelgen.lint.packs import Packs
from kernelgen.lint.source import Function, Source, parameters

_TENSOR_ONLY = {
    *("shape", "dtype", "device", "stride", "numel", "is_contiguous", "element_size", "storage_offset", "ndim", "dim"),
    *("new_empty", "as_strided", "data_ptr", "expand", "permute", "unsqueeze", "layout"),
}
_ADDRESSED = ("load", "store", "atomic_", "make_block_ptr")


def pointer_parameters(source: Source) -> dict[str, set[str]]:
    """For each jit function, the parameters that it uses as addresses, directly or through another jit function."""
    found: dict[str, set[str]] = {name: set() for name in source.jit}
    changed = True
    while changed:
        changed = False
        for name, function in source.jit.items():
            now = _pointers(source, function, found)
            if now - found[name]:
                found[name] |= now
                changed = True
    return found


def _pointers(source: Source, function: Function, found: dict[str, set[str]]) -> set[str]:
    bases: dict[str, set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            leaf = _leftmost(node.value)
            if leaf:
                bases.setdefault(node.targets[0].id, set()).add(leaf)
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            dotted = source.dotted(node.func) or ""
            if dotted.startswith(tuple("tl." + part for part in _ADDRESSED)) and node.args:
                names.add(_leftmost(node.args[0]) or "")
            elif isinstance(node.func, ast.Name) and node.func.id in source.jit:
                for parameter, argument in bind(source.jit[node.func.id], node):
                    if parameter in found[node.func.id]:
                        names.add(_leftmost(argument) or "")
    todo = list(names)
    while todo:
        for base in bases.get(todo.pop(), ()):
            if base not in names:
                names.add(base)
                todo.append(base)
    return names & {arg.arg for arg in parameters(function)}


def _leftmost(node: ast.expr) -> str | None:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        node = node.left
    return node.id if isinstance(node, ast.Name) else None


def bind(function: Function, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """Pair a call's arguments with a function's parameter names, up to the first starred argument."""
    args = function.args
    positional = [arg.arg for arg in [*args.posonlyargs, *args.args]]
    known = {arg.arg for arg in parameters(function)}
    for index, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            break
        if index < len(positional):
            yield positional[index], argument
        elif args.vararg is not None:
            yield args.vararg.arg, argument
    for keyword in call.keywords:
        if keyword.arg in known:
            yield str(keyword.arg), keyword.value


def tensor_names(source: Source, packs: Packs) -> dict[str, set[str]]:
    """For each plain function, the names that its text uses as tensors and never tests with isinstance."""
    pointers = pointer_parameters(source)
    found: dict[str, set[str]] = {name: set() for name in source.plain}
    tested = {name: set(_tested(source, function)) for name, function in source.plain.items()}
    changed = True
    while changed:
        changed = False
        for name, function in source.plain.items():
            now = set(_used(source, packs, function, pointers, found)) - tested[name]
            if now - found[name]:
                found[name] |= now
                changed = True
    return found


def _tested(source: Source, function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
            is_instance = isinstance(node.func, ast.Name) and node.func.id == "isinstance"
            if is_instance or source.dotted(node.func) == "torch.is_tensor" or _predicate(source, node.func):
                yield node.args[0].id


def _predicate(source: Source, node: ast.expr) -> bool:
    function = source.plain.get(node.id) if isinstance(node, ast.Name) else None
    return function is not None and predicate_test(function) is not None


def predicate_test(function: Function) -> ast.Call | None:
    """The isinstance call of a helper that does nothing but ``return isinstance(its first parameter, ...)``."""
    body = [item for item in function.body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or not isinstance(body[0].value, ast.Call):
        return None
    call = body[0].value
    names = parameters(function)
    if isinstance(call.func, ast.Name) and call.func.id == "isinstance" and len(call.args) == 2 and names:
        first = call.args[0]
        if isinstance(first, ast.Name) and first.id == names[0].arg:
            return call
    return None


def _used(
    source: Source, packs: Packs, function: Function, pointers: dict[str, set[str]], found: dict[str, set[str]]
) -> Iterator[str]:
    for arg in parameters(function):
        if arg.annotation is not None and source.dotted(arg.annotation) == "torch.Tensor":
            yield arg.arg
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in _TENSOR_ONLY:
            yield node.value.id
        elif isinstance(node, ast.Call):
            wanted: set[str] = set()
            callee: Function | None = None
            if isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name):
                callee = source.jit.get(node.func.value.id)
                wanted = pointers.get(node.func.value.id, set())
            elif isinstance(node.func, ast.Name) and node.func.id in source.plain:
                callee = source.plain[node.func.id]
                wanted = found[node.func.id]
            elif source.dotted(node.func) in ("torch.empty_like", "torch.as_strided"):
                yield from (arg.id for arg in node.args[:1] if isinstance(arg, ast.Name))
            if callee is not None:
                for parameter, argument in bind(callee, node):
                    if parameter in wanted and isinstance(argument, ast.Name):
                        yield argument.id
