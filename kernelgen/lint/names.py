"""Rules about names and attributes outside kernel bodies: forbidden names, torch's allow-lists, dunders, privates."""

from __future__ import annotations

import ast

from kernelgen.lint.packs import Packs
from kernelgen.lint.scopes import Scopes
from kernelgen.lint.source import Function, Reporter, Source

_TORCH_LISTS = ("alloc", "views", "meta", "constants")


def check_names(source: Source, scopes: Scopes, packs: Packs, reporter: Reporter) -> None:
    """Report every name and attribute that is not allowed where it stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute):
            _attribute(source, scopes, node, packs, reporter)
        elif isinstance(node, ast.Name):
            _name(source, scopes, node, packs, reporter)
        elif isinstance(node, Function) and _is_dunder(node.name):
            reporter.add("dunder", node, f"defines {node.name}")
        elif (isinstance(node, Function) and node.name == "isinstance") or (
            isinstance(node, ast.arg) and node.arg == "isinstance"
        ):
            reporter.add("shadowing", node, "rebinds isinstance")
    for name in source.module_names():
        if packs.forbidden(name) or (name not in source.imports and packs.allows("wrapper.builtins", name)):
            place = source.jit.get(name) or source.plain.get(name) or source.constants.get(name)
            reporter.add("shadowing", place, f"{name} hides a builtin at module level")


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and len(name) > 4


def _name(source: Source, scopes: Scopes, node: ast.Name, packs: Packs, reporter: Reporter) -> None:
    if _is_dunder(node.id):
        if node.id != "__all__":
            reporter.add(packs.forbidden(node.id) or "dunder", node, f"uses {node.id}")
        return
    if not isinstance(node.ctx, ast.Load):
        if node.id == "isinstance":
            reporter.add("shadowing", node, "rebinds isinstance")
        return
    where = scopes.where(node)
    if where == "builtin":
        rule = packs.forbidden(node.id) or packs.tables["forbidden_modules"].get(node.id)
        kernel = scopes.kernel(node)
        if rule:
            reporter.add("kernel-print" if kernel and rule == "print" else rule, node, f"uses {node.id}")
        elif kernel is None and not packs.allows("wrapper.builtins", node.id):
            reporter.add("unknown-name", node, f"{node.id} is not defined")
    elif where == "module" and node.id in source.imports and scopes.kernel(node) is None:
        parent = source.parents[node]
        if not isinstance(parent, ast.Attribute):
            _path(source, node, source.dotted(node) or "", packs, reporter)


def _attribute(source: Source, scopes: Scopes, node: ast.Attribute, packs: Packs, reporter: Reporter) -> None:
    if node.attr.startswith("_"):
        rule = packs.tables["forbidden_attributes"].get(node.attr)
        dotted = source.dotted(node) or ""
        rule = rule or ("dunder" if node.attr.startswith("__") else packs.forbidden(dotted) or "private-attribute")
        reporter.add(rule, node, f"uses the attribute {node.attr}")
        return
    dotted_path = source.dotted(node)
    if dotted_path is None:
        table_rule = packs.tables["forbidden_attributes"].get(node.attr)
        if table_rule and scopes.kernel(node) is None:
            reporter.add(table_rule, node, f"uses the attribute {node.attr}")
        return
    parent = source.parents[node]
    if isinstance(parent, ast.Attribute) and source.dotted(parent) is not None:
        return
    if scopes.kernel(node) is None:
        _path(source, node, dotted_path, packs, reporter)


def path_allowed(dotted: str, packs: Packs) -> bool:
    """Whether a wrapper may name this dotted path over an import."""
    head, _, rest = dotted.partition(".")
    first, _, below = rest.partition(".")
    if head == "torch":
        known = any(packs.allows(f"wrapper.{key}", first) for key in _TORCH_LISTS)
        if not below:
            return known
        # torch.float32.itemsize is a question; torch.Tensor.add is a function in disguise.
        return known and first != "Tensor" and packs.allows("wrapper.python_attributes", below)
    if head in ("triton", "tl", "math"):
        return bool(rest) and not below and packs.allows(f"wrapper.{head}", rest)
    return packs.allows("imports.from", dotted) or head == "__future__"


def _path(source: Source, node: ast.expr, dotted: str, packs: Packs, reporter: Reporter) -> None:
    rule = packs.forbidden(dotted)
    if rule:
        reporter.add(rule, node, f"uses {dotted}")
    elif not path_allowed(dotted, packs):
        parent = source.parents[node]
        called = isinstance(parent, ast.Call) and parent.func is node
        if dotted.split(".")[0] != "torch":
            if dotted.split(".")[0] in ("triton", "tl", "math"):
                reporter.add("attribute", node, f"uses {dotted} in a wrapper")
        elif called:
            reporter.add("aten-function", node, f"calls {dotted}")
        else:
            reporter.add("aten-alias", node, f"takes {dotted} as a value")
