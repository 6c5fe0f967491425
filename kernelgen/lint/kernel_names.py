"""Rules about names, attributes and statements inside jit functions; dataflow in them is judged elsewhere."""

from __future__ import annotations

import ast

from kernelgen.lint.packs import Packs
from kernelgen.lint.scopes import Scopes
from kernelgen.lint.source import Reporter, Source

_STATEMENTS = (
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.While, ast.Return, ast.Pass, ast.Assert),
    # These are refused for every function, by rules of their own.
    *(ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match, ast.Global, ast.Nonlocal, ast.ClassDef, ast.AsyncFor),
    *(ast.Import, ast.ImportFrom),
)


def check_kernel_names(source: Source, scopes: Scopes, packs: Packs, reporter: Reporter) -> None:
    """Report what compiled Triton, or a target's allow-list, does not have."""
    for kernel in source.jit.values():
        for statement in kernel.body:
            for node in ast.walk(statement):
                _node(source, scopes, node, packs, reporter)


def _node(source: Source, scopes: Scopes, node: ast.AST, packs: Packs, reporter: Reporter) -> None:
    if (isinstance(node, ast.stmt) and not isinstance(node, _STATEMENTS)) or isinstance(
        node, ast.Dict | ast.Set | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda | ast.Starred
    ):
        reporter.add("kernel-statement", node, f"{type(node).__name__.lower()} in a kernel")
    elif isinstance(node, ast.Attribute):
        dotted = source.dotted(node)
        if dotted is None:
            if not packs.allows("kernel.attributes", node.attr) and not node.attr.startswith("_"):
                reporter.add("kernel-attribute", node, f"uses the attribute {node.attr}")
        elif not isinstance(source.parents[node], ast.Attribute) or source.dotted(source.parents[node]) is None:
            _path(node, dotted, packs, reporter)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        _name(source, scopes, node, packs, reporter)


def _name(source: Source, scopes: Scopes, node: ast.Name, packs: Packs, reporter: Reporter) -> None:
    where = scopes.where(node)
    name = node.id
    if where == "builtin":
        if not packs.allows("kernel.builtins", name) and not packs.forbidden(name) and not name.startswith("__"):
            reporter.add("kernel-builtin", node, f"uses {name} in a kernel")
    elif where == "module":
        if name in source.plain:
            reporter.add("kernel-host-call", node, f"uses the plain function {name} in a kernel")
        elif name in source.constants and name not in source.constexprs:
            reporter.add("kernel-global", node, f"reads the module-level value {name} in a kernel")
        elif name in source.imports and not isinstance(source.parents[node], ast.Attribute):
            _path(node, source.imports[name], packs, reporter)


def _path(node: ast.expr, dotted: str, packs: Packs, reporter: Reporter) -> None:
    head, _, rest = dotted.partition(".")
    if head == "tl":
        if not rest:
            reporter.add("tl-name", node, "uses triton.language itself as a value")
        elif packs.allows("kernel.tl", rest) or packs.allows(
            "kernel.tl", rest.rpartition(".libdevice.")[0] + ".libdevice"
        ):
            if rest == "device_assert":
                reporter.add("device-assert", node, "uses tl.device_assert")
        elif _dtype_question(rest, packs):
            return
        elif "libdevice" in rest or rest.startswith("extra"):
            reporter.add("libdevice", node, f"uses tl.{rest}")
        elif rest in ("device_print", "static_print"):
            reporter.add("kernel-print", node, f"uses tl.{rest}")
        else:
            reporter.add("tl-name", node, f"tl.{rest} is not in the list")
    elif head == "triton":
        if not packs.allows("kernel.triton", rest):
            reporter.add("tl-name", node, f"uses {dotted} in a kernel")
    elif head in ("torch", "math"):
        reporter.add("kernel-torch", node, f"uses {dotted} in a kernel")


def _dtype_question(rest: str, packs: Packs) -> bool:
    # tl.float32.primitive_bitwidth and the like.
    first, _, below = rest.partition(".")
    return bool(below) and packs.allows("kernel.tl", first) and packs.allows("kernel.attributes", below)
