"""Evaluates wrapper expressions over abstract values and reports PyTorch computing in them; calls are in calls.py."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod

from kernelgen.lint.evidence import predicate_test
from kernelgen.lint.kinds import PY, SHAPE, TENSOR, UNKNOWN, Kind, Value, computed, container, element, join, join_all
from kernelgen.lint.packs import Packs
from kernelgen.lint.source import Reporter, Source

Env = dict[str, Value]
_LOW_PRECISION = ("bfloat16", "float16", "half", "complex32", "float8")
_LARGEST_PLAIN_SIZE = 8


class Expressions(ABC):
    """Expression evaluation; ``reporting`` is off until the values of all functions are settled."""

    def __init__(self, source: Source, packs: Packs, reporter: Reporter) -> None:
        self.source = source
        self.packs = packs
        self.reporter = reporter
        self.reporting = False
        self.module: Env = {}
        self.function = ""
        self.calls: dict[str, set[str]] = {}

    def report(self, rule: str, node: ast.AST, message: str) -> None:
        """Record a finding, if values are settled."""
        if self.reporting:
            self.reporter.add(rule, node, message)

    @abstractmethod
    def call(self, node: ast.Call, env: Env) -> Value:
        """Evaluate a call."""

    def eval(self, node: ast.AST | None, env: Env) -> Value:
        """The abstract value of an expression."""
        if node is None or isinstance(node, ast.Constant):
            return PY
        method = getattr(self, "_" + type(node).__name__.lower(), None)
        if method is not None:
            value: Value = method(node, env)
            return value
        for child in ast.iter_child_nodes(node):
            self.eval(child, env)
        return PY

    def _call(self, node: ast.Call, env: Env) -> Value:
        return self.call(node, env)

    def _name(self, node: ast.Name, env: Env) -> Value:
        if node.id in env:
            return env[node.id]
        if node.id in self.source.jit:
            return Value(Kind.KERNEL, frozenset({node.id}))
        if node.id in self.source.plain:
            self.calls.setdefault(self.function, set()).add(node.id)
            return Value(Kind.FUNC, frozenset({node.id}))
        if node.id not in self.module and self.packs.allows("wrapper.builtins", node.id):
            return Value(Kind.PY | Kind.FUNC, frozenset({node.id}))
        return self.module.get(node.id, PY)

    def _attribute(self, node: ast.Attribute, env: Env) -> Value:
        dotted = self.source.dotted(node)
        if dotted is not None:
            low = any(part.startswith(_LOW_PRECISION) for part in dotted.split("."))
            return Value(Kind.PY | Kind.LOWP) if low else PY
        base = self.eval(node.value, env)
        allows, name = self.packs.allows, node.attr
        if name in self.packs.tables["forbidden_attributes"] or name.startswith("_"):
            return TENSOR if base.has(Kind.TENSOR) else UNKNOWN
        if base.has(Kind.KERNEL):
            self.report("kernel-internals", node, f"takes {name} of a kernel")
            return PY
        if allows("wrapper.attributes", name):
            if name == "shape":
                return SHAPE
            return Value(Kind.PY | Kind.LOWP) if name == "dtype" else PY
        if allows("wrapper.view_attributes", name) and base.has(Kind.TENSOR | Kind.UNKNOWN):
            return Value(Kind.TENSOR | (base.kind & Kind.LOWP))
        if base.has(Kind.TENSOR) or (base.has(Kind.UNKNOWN) and not allows("wrapper.python_attributes", name)):
            self.report("aten-alias", node, f"takes the method {name} of a tensor as a value")
        elif not allows("wrapper.python_attributes", name):
            self.report("attribute", node, f"uses the attribute {name}")
        return PY

    def _subscript(self, node: ast.Subscript, env: Env) -> Value:
        base = self.eval(node.value, env)
        self.eval(node.slice, env)
        if base.has(Kind.TENSOR):
            self.report("aten-operator", node, "indexes a tensor")
            return TENSOR
        if base.items is not None and isinstance(node.slice, ast.Constant | ast.UnaryOp):
            index = _integer(node.slice)
            if index is not None and -len(base.items) <= index < len(base.items):
                return base.items[index]
        if isinstance(node.slice, ast.Slice):
            inside = [*(base.items or ()), *([base.elem] if base.elem else [])]
            return Value(base.kind, base.names, elem=join_all(inside) if inside else None)
        return element(base)

    def _binop(self, node: ast.BinOp, env: Env) -> Value:
        left, right = self.eval(node.left, env), self.eval(node.right, env)
        if left.has(Kind.TENSOR) or right.has(Kind.TENSOR):
            self.report("aten-operator", node, f"computes with {_operator(node.op)} on a tensor")
        return computed(left, right)

    def _unaryop(self, node: ast.UnaryOp, env: Env) -> Value:
        value = self.eval(node.operand, env)
        if isinstance(node.op, ast.Not):
            self.truth(node.operand, value)
            return PY
        if value.has(Kind.TENSOR):
            self.report("aten-operator", node, f"computes with {_operator(node.op)} on a tensor")
        return computed(value)

    def truth(self, node: ast.AST, value: Value) -> None:
        """Report a tensor used as a condition: that reads it back."""
        if value.has(Kind.TENSOR):
            self.report("host-read", node, "uses a tensor as a condition")

    def _compare(self, node: ast.Compare, env: Env) -> Value:
        operands = [node.left, *node.comparators]
        values = [self.eval(operand, env) for operand in operands]
        result = PY
        for index, op in enumerate(node.ops):
            left, right = values[index], values[index + 1]
            if isinstance(op, ast.Is | ast.IsNot):
                continue
            if isinstance(op, ast.In | ast.NotIn):
                tensor = left.has(Kind.TENSOR) or right.has(Kind.TENSOR)
            else:
                tensor = left.has(Kind.TENSOR) or right.has(Kind.TENSOR)
                result = computed(left, right) if (left.kind | right.kind) & Kind.UNKNOWN else result
            if tensor:
                self.report("aten-operator", node, f"compares a tensor with {_operator(op)}")
                result = TENSOR
            if isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                for shape, other in ((left, operands[index + 1]), (right, operands[index])):
                    if shape.holds(Kind.SHAPE) and _large_literal(other):
                        self.report("shape-special-case", node, f"tests a size against {ast.unparse(other)[:40]}")
        return result

    def _boolop(self, node: ast.BoolOp, env: Env) -> Value:
        env = dict(env)
        values = []
        for part in node.values:
            values.append(self.eval(part, env))
            if part is not node.values[-1]:
                self.truth(part, values[-1])
            self.narrow(part, isinstance(node.op, ast.And), env)
        return join_all(values)

    def _ifexp(self, node: ast.IfExp, env: Env) -> Value:
        self.truth(node.test, self.eval(node.test, env))
        yes, no = dict(env), dict(env)
        self.narrow(node.test, True, yes)
        self.narrow(node.test, False, no)
        return join(self.eval(node.body, yes), self.eval(node.orelse, no))

    def _namedexpr(self, node: ast.NamedExpr, env: Env) -> Value:
        env[node.target.id] = self.eval(node.value, env)
        return env[node.target.id]

    def _starred(self, node: ast.Starred, env: Env) -> Value:
        return element(self.eval(node.value, env))

    def _tuple(self, node: ast.Tuple | ast.List, env: Env) -> Value:
        fixed = not any(isinstance(item, ast.Starred) for item in node.elts)
        return container([self.eval(item, env) for item in node.elts], fixed=fixed)

    _list = _tuple

    def _set(self, node: ast.Set, env: Env) -> Value:
        return container([self.eval(item, env) for item in node.elts])

    def _dict(self, node: ast.Dict, env: Env) -> Value:
        for key in node.keys:
            self.eval(key, env)
        values = [self.eval(value, env) for value in node.values]
        # A mapping that is unpacked here brings its own values.
        pairs = zip(node.keys, values, strict=True)
        return container([element(value) if key is None else value for key, value in pairs])

    def _lambda(self, node: ast.Lambda, env: Env) -> Value:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            self.eval(default, env)
        self.eval(node.body, {**env, **{arg.arg: UNKNOWN for arg in [*node.args.args, *node.args.kwonlyargs]}})
        return PY

    def _formattedvalue(self, node: ast.FormattedValue, env: Env) -> Value:
        if self.eval(node.value, env).holds(Kind.TENSOR):
            self.report("host-bulk-read", node, "prints a tensor into a string")
        return PY

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, env: Env) -> Value:
        env = dict(env)
        for generator in node.generators:
            self.bind(generator.target, element(self.eval(generator.iter, env)), env)
            for test in generator.ifs:
                self.truth(test, self.eval(test, env))
                self.narrow(test, True, env)
        if isinstance(node, ast.DictComp):
            self.eval(node.key, env)
            return container([self.eval(node.value, env)])
        return container([self.eval(node.elt, env)])

    _listcomp = _setcomp = _generatorexp = _dictcomp = _comprehension

    @abstractmethod
    def bind(self, target: ast.expr, value: Value, env: Env) -> None:
        """Bind an assignment target."""

    def narrow(self, test: ast.expr, truth: bool, env: Env) -> None:
        """Use what a test says about a name in the branch where it is true, or false."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self.narrow(test.operand, not truth, env)
        elif isinstance(test, ast.BoolOp):
            if truth == isinstance(test.op, ast.And):
                for part in test.values:
                    self.narrow(part, truth, env)
        elif isinstance(test, ast.Name):
            stored = env[test.id].test if test.id in env else None
            if stored is not None:
                self.narrow(stored, truth, env)
        elif isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id in env:
            if len(test.ops) == 1 and isinstance(test.ops[0], ast.Is) and truth:
                env[test.left.id] = PY
        elif isinstance(test, ast.Call) and test.args and isinstance(test.args[0], ast.Name):
            self._narrow_instance(test, test.args[0].id, truth, env)

    def _narrow_instance(self, test: ast.Call, name: str, truth: bool, env: Env) -> None:
        if name not in env:
            return
        if isinstance(test.func, ast.Name) and test.func.id in self.source.plain:
            helper = predicate_test(self.source.plain[test.func.id])
            if helper is None:
                return
            test = helper
        if self.source.dotted(test.func) == "torch.is_tensor":
            types = ["torch.Tensor"]
        elif isinstance(test.func, ast.Name) and test.func.id == "isinstance" and len(test.args) == 2:
            asked = test.args[1]
            parts = asked.elts if isinstance(asked, ast.Tuple) else [asked]
            types = [self.source.dotted(part) or ast.unparse(part) for part in parts]
        else:
            return
        old = env[name]
        if "torch.Tensor" in types:
            if truth:
                env[name] = Value(Kind.TENSOR | (old.kind & Kind.LOWP))
            else:
                env[name] = Value((old.kind & ~(Kind.TENSOR | Kind.UNKNOWN | Kind.ARITH)) | Kind.PY, old.names)
        elif truth:
            kept = old.kind & ~(Kind.TENSOR | (Kind.NONE if {"list", "tuple"} & set(types) else Kind.UNKNOWN))
            env[name] = Value(kept or Kind.PY, old.names, old.items, old.elem)


def _integer(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if isinstance(node.operand.value, int) else None
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) else None


def _large_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_large_literal(item) for item in node.elts) or (
            len(node.elts) > 1
            and all(isinstance(item, ast.Constant) and item.value not in (0, 1) for item in node.elts)
        )
    value = _integer(node)
    return value is not None and not isinstance(value, bool) and value > _LARGEST_PLAIN_SIZE


def _operator(op: ast.AST) -> str:
    return type(op).__name__.lower()
