"""Follows loaded values through jit functions to find bf16 arithmetic without a cast and addresses read from memory."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from kernelgen.lint.evidence import bind, pointer_parameters
from kernelgen.lint.packs import Packs
from kernelgen.lint.source import Function, Reporter, Source, parameters

_SPARE_PASSES = 4
_BITS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift, ast.FloorDiv, ast.Mod)
_STORES = ("tl.store", "tl.atomic_add", "tl.atomic_max", "tl.atomic_min", "tl.atomic_xchg")
# These hand on one of their arguments, or part of it, without computing.
_HAND_ON = (
    *("where", "reshape", "view", "broadcast_to", "broadcast", "expand_dims", "trans", "permute", "split", "join"),
    *("cat", "flip", "sort", "gather", "ravel", "unsqueeze", "squeeze", "interleave", "topk", "max", "min"),
    *("maximum", "minimum", "clamp", "multiple_of", "max_contiguous", "max_constancy", "abs"),
)
Site = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A value in a kernel: ``low`` if it may address 16-bit floats, ``raw`` if loaded from there and not cast,
    ``loaded`` if it comes from memory at all, ``sites`` where uncast values were computed with on the way here."""

    low: bool = False
    raw: bool = False
    loaded: bool = False
    rooted: bool = False
    sites: frozenset[Site] = frozenset()


CLEAN = Flow()


def _join(*flows: Flow) -> Flow:
    return Flow(
        any(flow.low for flow in flows),
        any(flow.raw for flow in flows),
        any(flow.loaded for flow in flows),
        any(flow.rooted for flow in flows),
        frozenset().union(*(flow.sites for flow in flows)) if flows else frozenset(),
    )


def check_kernel_flow(
    source: Source, packs: Packs, low_precision: dict[str, dict[str, bool]], reporter: Reporter
) -> None:
    """Report ``bf16-uncast`` and ``pointer-from-memory``.

    ``low_precision`` says for each launched kernel which parameters may be 16-bit tensors, as its launches tell.
    """
    flow = _KernelFlow(source, packs, low_precision, reporter)
    for _ in range(2 * len(source.jit) + _SPARE_PASSES):
        before = (dict(flow.returns), {name: dict(values) for name, values in flow.params.items()})
        flow.pass_over()
        if before == (flow.returns, flow.params):
            break
    flow.reporting = True
    flow.pass_over()


class _KernelFlow:
    def __init__(
        self, source: Source, packs: Packs, low_precision: dict[str, dict[str, bool]], reporter: Reporter
    ) -> None:
        self.source, self.packs, self.reporter = source, packs, reporter
        self.low_precision = low_precision
        self.params: dict[str, dict[str, Flow]] = {}
        self.returns: dict[str, Flow] = {}
        self.reporting = False
        self._pointers = pointer_parameters(source)
        self._name = ""

    def pass_over(self) -> None:
        for name, function in self.source.jit.items():
            self._name = name
            env = self._parameters(name, function)
            # Twice, so that values carried round a loop are seen.
            for _ in range(2):
                for statement in function.body:
                    self._statement(statement, env)

    def _parameters(self, name: str, function: Function) -> dict[str, Flow]:
        told = self.params.get(name, {})
        env = {}
        for arg in parameters(function):
            constant = arg.annotation is not None and self.source.dotted(arg.annotation) == "tl.constexpr"
            if name in self.low_precision:
                low = arg.arg in self._pointers[name] and self.low_precision[name].get(arg.arg, True)
                env[arg.arg] = Flow(low=low, rooted=not constant)
            else:
                env[arg.arg] = told.get(arg.arg, CLEAN)
        return env

    def _statement(self, node: ast.stmt, env: dict[str, Flow]) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            value = self._eval(node.value, env)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for part, item in zip(target.elts, node.value.elts, strict=False):
                        self._bind(part, self._eval(item, env), env)
                else:
                    self._bind(target, value, env)
        elif isinstance(node, ast.AugAssign):
            binary = ast.copy_location(ast.BinOp(_load(node.target), node.op, node.value), node)
            self._bind(node.target, self._eval(binary, env), env)
        elif isinstance(node, ast.Return):
            value = self._eval(node.value, env)
            self.returns[self._name] = _join(self.returns.get(self._name, CLEAN), value)
        elif isinstance(node, ast.If):
            self._eval(node.test, env)
            other = dict(env)
            for branch, names in ((node.body, env), (node.orelse, other)):
                for statement in branch:
                    self._statement(statement, names)
            for name, value in other.items():
                env[name] = _join(env[name], value) if name in env else value
        elif isinstance(node, ast.For | ast.While):
            if isinstance(node, ast.For):
                self._bind(node.target, CLEAN, env)
            for _ in range(2):
                before = dict(env)
                for statement in node.body:
                    self._statement(statement, env)
                for name, value in before.items():
                    env[name] = _join(env[name], value)
        elif isinstance(node, ast.Expr):
            self._eval(node.value, env)

    def _bind(self, target: ast.expr, value: Flow, env: dict[str, Flow]) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                env[node.id] = value

    def _eval(self, node: ast.AST | None, env: dict[str, Flow]) -> Flow:
        if isinstance(node, ast.Name):
            return env.get(node.id, CLEAN)
        if isinstance(node, ast.BinOp):
            return self._binary(node, env)
        if isinstance(node, ast.Call):
            return self._call(node, env)
        if isinstance(node, ast.Compare | ast.BoolOp):
            for child in ast.iter_child_nodes(node):
                self._eval(child, env)
            return CLEAN
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return self._computed(node, self._eval(node.operand, env))
        if isinstance(node, ast.IfExp):
            self._eval(node.test, env)
            return _join(self._eval(node.body, env), self._eval(node.orelse, env))
        if isinstance(node, ast.Subscript):
            return self._eval(node.value, env)
        if isinstance(node, ast.Tuple | ast.List):
            return _join(*(self._eval(item, env) for item in node.elts))
        return CLEAN

    def _binary(self, node: ast.BinOp, env: dict[str, Flow]) -> Flow:
        left, right = self._eval(node.left, env), self._eval(node.right, env)
        both = _join(left, right)
        # Bit operations and floor division belong to integers, which need no cast.
        return both if isinstance(node.op, _BITS) else self._computed(node, both)

    def _computed(self, node: ast.AST, value: Flow) -> Flow:
        if not value.raw or value.low:
            return value
        site = (getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        return Flow(value.low, value.raw, value.loaded, value.rooted, value.sites | {site})

    def _report(self, value: Flow) -> None:
        if self.reporting:
            for line, column in value.sites:
                self.reporter.at("bf16-uncast", line, column, "computes with a loaded value that was not cast")

    def _call(self, node: ast.Call, env: dict[str, Flow]) -> Flow:
        args = [self._eval(arg, env) for arg in node.args]
        keywords = {keyword.arg: self._eval(keyword.value, env) for keyword in node.keywords}
        everything = _join(*args, *keywords.values())
        dotted = self.source.dotted(node.func) or ""
        first = args[0] if args else CLEAN
        if dotted == "tl.load":
            self._address(node, first)
            return Flow(raw=first.low, loaded=True)
        if dotted in _STORES:
            self._address(node, first)
            self._report(args[1] if len(args) > 1 else keywords.get("value", keywords.get("val", CLEAN)))
            return Flow(raw=first.low, loaded=True) if dotted != "tl.store" else CLEAN
        if dotted == "tl.cast":
            return self._cast(node, first, node.args[1] if len(node.args) > 1 else None)
        if dotted == "tl.make_block_ptr":
            return Flow(low=first.low, rooted=True)
        if dotted.startswith("tl."):
            name = dotted[3:]
            if name in _HAND_ON:
                handed = args[1:] if name == "where" else [first] if name in ("max", "min") else args
                return _join(*handed)
            if self.packs.allows("kernel.math", name):
                value = self._computed(node, everything)
                if value.raw and not value.low:
                    self._report(Flow(sites=value.sites))
                return Flow(raw=value.raw, loaded=value.loaded, sites=value.sites)
            return CLEAN
        if isinstance(node.func, ast.Name) and node.func.id in self.source.jit:
            return self._helper(node, node.func.id, env)
        if isinstance(node.func, ast.Attribute) and not dotted:
            base = self._eval(node.func.value, env)
            if node.func.attr == "to":
                return self._cast(node, base, node.args[0] if node.args else None)
            if self.packs.allows("kernel.math", node.func.attr):
                return self._computed(node, _join(base, everything))
            return _join(base, *args)
        return everything if isinstance(node.func, ast.Name) else CLEAN

    def _cast(self, node: ast.Call, value: Flow, dtype: ast.expr | None) -> Flow:
        target = self.source.dotted(dtype.func if isinstance(dtype, ast.Call) else dtype) if dtype is not None else None
        if target == "tl.pointer_type":
            if value.loaded and self.reporting:
                self.reporter.add("pointer-from-memory", node, "makes an address of a loaded value")
            return Flow(low=True, rooted=True)
        still_low = target in ("tl.bfloat16", "tl.float16")
        return Flow(raw=value.raw and still_low, loaded=value.loaded, rooted=value.rooted, sites=value.sites)

    def _address(self, node: ast.Call, address: Flow) -> None:
        if address.loaded and not address.rooted and self.reporting:
            self.reporter.add("pointer-from-memory", node, "uses a loaded value as an address")

    def _helper(self, node: ast.Call, name: str, env: dict[str, Flow]) -> Flow:
        known = self.params.setdefault(name, {})
        for parameter, argument in bind(self.source.jit[name], node):
            value = self._eval(argument, env)
            known[parameter] = _join(known.get(parameter, CLEAN), value)
        return self.returns.get(name, CLEAN)


def _load(target: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Name(target.id, ast.Load()), target) if isinstance(target, ast.Name) else target
