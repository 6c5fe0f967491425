"""Rules about which statements a kernel file may hold; names and what wrappers compute are judged elsewhere."""

from __future__ import annotations

import ast

from kernelgen.lint.packs import Packs
from kernelgen.lint.source import Function, Reporter, Source, assigned_names, parameters

_AUTOTUNE_KEYWORDS = {"configs", "key", "values", "num_warps", "num_stages", "num_ctas", "maxnreg"}
_JIT_KEYWORDS = {"do_not_specialize", "do_not_specialize_on_alignment", "noinline", "debug", "repr", "version"}
_KEY_USERS = {"sorted", "min", "max", "sort"}


def check_structure(source: Source, packs: Packs, reporter: Reporter) -> None:
    """Report forbidden statements, imports, decorators, defaults, lambdas and rebindings."""
    for statement in source.tree.body:
        _module_level(statement, reporter)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            _import(source, node, packs, reporter)
        elif isinstance(node, Function):
            _function(source, node, packs, reporter)
        elif isinstance(node, ast.Lambda):
            _lambda(source, node, reporter)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            reporter.add("patching", node, f"stores into the attribute {node.attr!r}")
        else:
            _statement(node, reporter)
    _shadowing(source, reporter)


def _statement(node: ast.AST, reporter: Reporter) -> None:
    if isinstance(node, ast.ClassDef):
        reporter.add("class", node, f"defines the class {node.name}")
    elif isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncFor):
        reporter.add("coroutine", node, f"uses {type(node).__name__.lower()}")
    elif isinstance(node, ast.Try | ast.TryStar):
        reporter.add("try-fallback", node, "uses a try block")
    elif isinstance(node, ast.With | ast.AsyncWith):
        reporter.add("with-block", node, "uses a with block")
    elif isinstance(node, ast.Match):
        reporter.add("match-statement", node, "uses a match statement")
    elif isinstance(node, ast.Global | ast.Nonlocal):
        reporter.add("global-state", node, f"{type(node).__name__.lower()} {', '.join(node.names)}")


def _module_level(statement: ast.stmt, reporter: Reporter) -> None:
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.ClassDef | ast.Try | ast.With | ast.Pass | Function):
        return
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names_only = all(
            isinstance(item, ast.Name | ast.Attribute)
            or (isinstance(item, ast.Tuple) and all(isinstance(part, ast.Name) for part in item.elts))
            for item in targets
        )
        if names_only:
            return
    reporter.add("module-statement", statement, f"a {type(statement).__name__.lower()} at module level")


def _import(source: Source, node: ast.Import | ast.ImportFrom, packs: Packs, reporter: Reporter) -> None:
    if not isinstance(source.parents.get(node), ast.Module):
        reporter.add("local-import", node, "imports inside a block")
    if isinstance(node, ast.Import):
        for alias in node.names:
            if not packs.allows("imports.modules", alias.name):
                reporter.add(_import_rule(packs, alias.name), node, f"imports {alias.name}")
        return
    if node.level:
        reporter.add("relative-import", node, "imports relative to a package")
        return
    for alias in node.names:
        dotted = f"{node.module}.{alias.name}"
        if alias.name == "*":
            reporter.add("star-import", node, f"imports everything from {node.module}")
        elif not packs.allows("imports.from", dotted):
            rule = "libdevice" if "libdevice" in dotted else _import_rule(packs, dotted)
            reporter.add(rule, node, f"imports {alias.name} from {node.module}")


def _import_rule(packs: Packs, dotted: str) -> str:
    head = dotted.split(".")[0]
    if head == "torch":
        return packs.forbidden(dotted) or "aten-alias"
    return packs.tables["forbidden_modules"].get(head) or packs.forbidden(dotted) or "import"


def _function(source: Source, node: Function, packs: Packs, reporter: Reporter) -> None:
    if isinstance(node, ast.AsyncFunctionDef):
        reporter.add("coroutine", node, f"{node.name} is asynchronous")
    for decorator in node.decorator_list:
        _decorator(source, decorator, packs, reporter)
    for default in [*node.args.defaults, *node.args.kw_defaults]:
        if default is not None and not _constant(source, default):
            reporter.add("mutable-default", default, f"a default of {node.name} is not a constant")
    annotations = [arg.annotation for arg in parameters(node)] + [node.returns]
    for annotation in annotations:
        if annotation is not None:
            for part in ast.walk(annotation):
                if isinstance(part, ast.Call | ast.Lambda | ast.NamedExpr | ast.comprehension):
                    reporter.add("annotation", annotation, f"an annotation of {node.name} runs code")


def _constant(source: Source, node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    # Schemas have lists as defaults; changing one is reported where it happens.
    if isinstance(node, ast.UnaryOp | ast.Tuple | ast.List | ast.BinOp):
        return all(_constant(source, child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
    if isinstance(node, ast.Name):
        value = source.constants.get(node.id)
        return value is not None and value is not node and _constant(source, value)
    # Only allowed names pass the name rules, so a dtype default is harmless here.
    dotted = source.dotted(node)
    return dotted is not None and dotted.count(".") == 1


def _decorator(source: Source, node: ast.expr, packs: Packs, reporter: Reporter) -> None:
    name = source.dotted(node.func if isinstance(node, ast.Call) else node) or ast.unparse(node)[:40]
    if not packs.allows("wrapper.decorators", name):
        reporter.add("decorator", node, f"decorated with {name}")
    elif isinstance(node, ast.Call):
        allowed = _JIT_KEYWORDS if name == "triton.jit" else _AUTOTUNE_KEYWORDS
        parts = [item for item in ast.walk(node) if isinstance(item, ast.keyword | ast.Call)]
        for part in [item for item in parts if not _inside_lambda(source, item, node)]:
            if isinstance(part, ast.keyword) and part.arg not in allowed:
                reporter.add("decorator", node, f"{name} with {part.arg}")
            elif isinstance(part, ast.Call) and part is not node and source.dotted(part.func) != "triton.Config":
                reporter.add("decorator", node, f"{name} with a call in its arguments")


def _inside_lambda(source: Source, node: ast.AST, top: ast.AST) -> bool:
    while node is not top:
        if isinstance(node, ast.Lambda):
            return True
        node = source.parents[node]
    return False


def _lambda(source: Source, node: ast.Lambda, reporter: Reporter) -> None:
    parent = source.parents[node]
    if isinstance(parent, ast.Subscript) and parent.slice is node:
        return
    if isinstance(parent, ast.keyword) and parent.arg == "key":
        call = source.parents[parent]
        called = call.func if isinstance(call, ast.Call) else None
        if (called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")) in _KEY_USERS:
            return
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        function = _enclosing(source, node)
        name = parent.targets[0].id
        uses = [part for part in ast.walk(function) if isinstance(part, ast.Name) and part.id == name]
        loads = [use for use in uses if isinstance(use.ctx, ast.Load)]
        if isinstance(function, Function) and all(_is_slice(source, use) for use in loads):
            return
    around = source.parents.get(parent)
    if isinstance(parent, ast.Dict):
        if isinstance(around, ast.keyword):
            around = source.parents.get(around)
        if isinstance(around, ast.Call) and source.dotted(around.func) == "triton.heuristics":
            return
    reporter.add("lambda", node, "a lambda that is neither a launch grid nor a sort key")


def _is_slice(source: Source, use: ast.Name) -> bool:
    parent = source.parents[use]
    return isinstance(parent, ast.Subscript) and parent.slice is use


def _enclosing(source: Source, node: ast.AST) -> ast.AST:
    while node in source.parents:
        node = source.parents[node]
        if isinstance(node, Function):
            return node
    return node


def _shadowing(source: Source, reporter: Reporter) -> None:
    taken = {*source.imports, *source.jit, *source.plain}
    seen: set[str] = set()
    for statement in source.tree.body:
        names = [statement.name] if isinstance(statement, Function) else list(assigned_names(statement))
        for name in names:
            if name in seen or name in source.imports:
                reporter.add("shadowing", statement, f"{name} is defined twice")
            seen.add(name)
    for node in ast.walk(source.tree):
        inside = _enclosing(source, node) is not source.tree
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del) and inside and node.id in taken:
            reporter.add("shadowing", node, f"{node.id} is rebound")
        elif isinstance(node, ast.arg) and node.arg in taken:
            reporter.add("shadowing", node, f"the parameter {node.arg} hides a name of the file")
        elif isinstance(node, Function) and inside and node.name in taken:
            reporter.add("shadowing", node, f"{node.name} is defined again inside a function")
