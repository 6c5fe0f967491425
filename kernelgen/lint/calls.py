"""Evaluates calls in wrappers: launches, helpers, allocations, views, builtins and methods."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from kernelgen.lint.evidence import bind as bind_arguments
from kernelgen.lint.evidence import pointer_parameters
from kernelgen.lint.expressions import Env, Expressions
from kernelgen.lint.kinds import PY, SHAPE, TENSOR, UNKNOWN, Kind, Value, computed, container, element, join, join_all
from kernelgen.lint.names import path_allowed
from kernelgen.lint.packs import Packs
from kernelgen.lint.source import Function, Reporter, Source, parameters

_READS = {"int", "float", "bool", "complex", "round", "hash"}
_COMPUTES = {"abs", "sum", "max", "min", "sorted", "pow", "divmod"}
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Calls(Expressions):
    """Call evaluation, and what the launches of each kernel tell about its parameters."""

    def __init__(self, source: Source, packs: Packs, reporter: Reporter) -> None:
        super().__init__(source, packs, reporter)
        self.params: dict[str, dict[str, Value]] = {}
        self.returns: dict[str, Value] = {}
        self.launched: dict[str, set[str]] = {}
        self.low_precision: dict[str, dict[str, bool]] = {}
        self._pointers = pointer_parameters(source)

    def call(self, node: ast.Call, env: Env) -> Value:
        """Evaluate the arguments, then judge what is called."""
        func = node.func
        args = [self.eval(arg, env) for arg in node.args]
        keywords = {keyword.arg or "**": self.eval(keyword.value, env) for keyword in node.keywords}
        everything = [*args, *keywords.values()]
        dotted = self.source.dotted(func)
        if dotted is not None:
            return self._path_call(node, dotted, args, keywords)
        if isinstance(func, ast.Subscript):
            base = self.eval(func.value, env)
            self.eval(func.slice, env)
            if base.has(Kind.KERNEL) and not base.has(Kind.UNKNOWN):
                self._launch(node, base, env)
                return PY
        if isinstance(func, ast.Attribute):
            return self._method_call(node, func, args, keywords, env)
        if isinstance(func, ast.Name):
            if func.id not in env and func.id not in self.source.module_names():
                return self._builtin(node, func.id, args, keywords)
            value = self.eval(func, env)
            if value.has(Kind.KERNEL):
                self.report("kernel-internals", node, "calls a kernel without a launch grid")
                return PY
            if value.has(Kind.FUNC) and not value.has(Kind.UNKNOWN):
                return self._helper(node, value, args, keywords, env)
        self.report("unknown-call", node, f"calls {ast.unparse(func)[:60]}, which cannot be followed")
        return TENSOR if any(value.holds(Kind.TENSOR) for value in everything) else UNKNOWN

    def _launch(self, node: ast.Call, base: Value, env: Env) -> None:
        for name in base.names & set(self.source.jit):
            self.launched.setdefault(self.function, set()).add(name)
            low = self.low_precision.setdefault(name, {})
            constants = {
                item.arg
                for item in parameters(self.source.jit[name])
                if item.annotation is not None and self.source.dotted(item.annotation) == "tl.constexpr"
            }
            for parameter, argument in bind_arguments(self.source.jit[name], node):
                value = self.eval(argument, env)
                maybe = value.has(Kind.UNKNOWN) or (value.has(Kind.TENSOR) and value.has(Kind.LOWP))
                low[parameter] = low.get(parameter, False) or maybe
                if parameter in constants and (value.holds(Kind.TENSOR) or value.names & set(self.source.plain)):
                    self.report("kernel-internals", argument, f"hands a tensor or function to {parameter}")
                if value.has(Kind.ARITH) and parameter in self._pointers[name]:
                    self.report("aten-operator", argument, "computes a tensor before the launch")

    def _helper(self, node: ast.Call, value: Value, args: list[Value], keywords: dict[str, Value], env: Env) -> Value:
        results = [value.elem] if value.elem is not None else []
        for name in sorted(value.names & set(self.source.plain)):
            self.calls.setdefault(self.function, set()).add(name)
            function = self.source.plain[name]
            self.pass_arguments(function, node, args, env)
            results.append(self.returns.get(name, PY))
        for name in sorted(value.names - self.source.module_names()):
            results.append(self._builtin(node, name, args, keywords))
        return join_all(results)

    def pass_arguments(self, function: Function, node: ast.Call, args: list[Value], env: Env) -> None:
        """Tell a helper what one of its callers hands it."""
        known = self.params.setdefault(function.name, {})
        vararg = function.args.vararg.arg if function.args.vararg else None
        for parameter, argument in bind_arguments(function, node):
            value = self.eval(argument, env)
            value = container([value]) if parameter == vararg else value
            known[parameter] = join(known[parameter], value) if parameter in known else value
        starred = [arg for expr, arg in zip(node.args, args, strict=True) if isinstance(expr, ast.Starred)]
        if starred or any(keyword.arg is None for keyword in node.keywords):
            value = join_all([UNKNOWN, *starred])
            for item in parameters(function):
                known[item.arg] = join(known[item.arg], value) if item.arg in known else value

    def pass_values(self, function: Function, values: list[Value]) -> None:
        """Tell a helper what it is handed in order, where there is no call to read it from."""
        known = self.params.setdefault(function.name, {})
        for item, value in zip(parameters(function), values, strict=False):
            known[item.arg] = join(known[item.arg], value) if item.arg in known else value

    def _path_call(self, node: ast.Call, dotted: str, args: list[Value], keywords: dict[str, Value]) -> Value:
        head, _, name = dotted.partition(".")
        first = args[0] if args else PY
        if head == "torch":
            if self.packs.allows("wrapper.alloc", name):
                return self._allocated(node, keywords, first if name.endswith("_like") else PY)
            if self.packs.allows("wrapper.views", name):
                view = Value(Kind.TENSOR | (first.kind & Kind.LOWP))
                return container([TENSOR]) if name == "broadcast_tensors" else view
            if self.packs.allows("wrapper.meta", name):
                if name in ("Size", "broadcast_shapes", "numel"):
                    return SHAPE
                return Value(Kind.PY | Kind.LOWP) if name in ("result_type", "promote_types") else PY
            if path_allowed(dotted, self.packs):
                self.report("aten-function", node, f"calls {dotted}")
            return TENSOR
        if dotted in self.packs.lists["wrapper.decorators"]:
            if node not in getattr(self.source.parents[node], "decorator_list", ()):
                self.report("decorator", node, f"calls {dotted} outside a decorator")
            return UNKNOWN
        tensors = any(value.holds(Kind.TENSOR) for value in args)
        if tensors and head == "math":
            self.report("host-read", node, f"hands a tensor to {dotted}")
        elif tensors:
            self.report("aten-operator", node, f"hands a tensor to {dotted}")
        return Value(Kind.PY | (computed(*args).kind & Kind.SHAPE)) if args else PY

    def _allocated(self, node: ast.Call, keywords: dict[str, Value], like: Value) -> Value:
        for keyword in node.keywords:
            if keyword.arg == "device" and isinstance(keyword.value, ast.Constant | ast.JoinedStr):
                if getattr(keyword.value, "value", "") is not None:
                    self.report("device-move", node, "allocates on a device named in the source")
            elif keyword.arg == "out":
                self.report("aten-function", node, "writes into an output with out=")
        if "dtype" in keywords:
            asked = keywords["dtype"]
            return TENSOR if asked.has(Kind.LOWP | Kind.UNKNOWN) else Value(Kind.TENSOR)
        return TENSOR if like.has(Kind.LOWP | Kind.UNKNOWN) or "**" in keywords else Value(Kind.TENSOR)

    def _builtin(self, node: ast.Call, name: str, args: list[Value], keywords: dict[str, Value]) -> Value:
        first = args[0] if args else PY
        if name in _READS and first.has(Kind.TENSOR):
            self._host_read(node, f"{name}() of a tensor")
            return PY
        if name in ("str", "list", "tuple", "set", "frozenset", "reversed") and first.has(Kind.TENSOR):
            self.report("host-bulk-read", node, f"{name}() of a tensor")
            return PY
        if name in _COMPUTES:
            if any(value.has(Kind.TENSOR) or element(value).has(Kind.TENSOR) for value in args):
                self.report("aten-operator", node, f"{name}() computes on tensors")
                return TENSOR
            inside = [element(value) for value in args] if len(args) == 1 and name != "abs" else args
            return container(inside) if name == "sorted" else computed(*inside)
        if name in ("list", "tuple", "set", "frozenset", "reversed"):
            return Value(first.kind & ~Kind.STATE, first.names, first.items, first.elem)
        if name == "dict":
            return container([element(first), *keywords.values()])
        if name == "zip":
            return container([container([element(value) for value in args], fixed=True)])
        if name == "enumerate":
            return container([container([PY, element(first)], fixed=True)])
        if name in ("map", "filter"):
            known = first.has(Kind.FUNC) and not first.has(Kind.UNKNOWN)
            if node.args and not known and not isinstance(node.args[0], ast.Lambda | ast.Constant):
                self.report("unknown-call", node, f"{name}() with something that cannot be followed")
            elements = [element(value) for value in args[1:]]
            helpers = [self.source.plain[item] for item in sorted(first.names & set(self.source.plain))]
            for function in helpers:
                self.pass_values(function, elements)
            if name == "map" and helpers:
                return container([join_all([self.returns.get(function.name, PY) for function in helpers])])
            return container([join_all(elements)])
        if name in ("len", "range"):
            return Value(Kind.PY | (first.kind & Kind.SHAPE))
        if name in ("any", "all") and element(first).has(Kind.TENSOR):
            self.report("host-read", node, f"{name}() over tensors")
        return Value(Kind.PY | (computed(*args).kind & Kind.SHAPE)) if args else PY

    def _host_read(self, node: ast.Call, what: str) -> None:
        place: ast.AST = node
        while place in self.source.parents and not isinstance(place, Function):
            child, place = place, self.source.parents[place]
            if isinstance(place, _LOOPS) and child is not getattr(place, "iter", None):
                self.report("host-read-loop", node, what + " in a loop")
                return
        self.report("host-read", node, what)

    def _method_call(
        self, node: ast.Call, func: ast.Attribute, args: Sequence[Value], keywords: dict[str, Value], env: Env
    ) -> Value:
        base = self.eval(func.value, env)
        name, allows = func.attr, self.packs.allows
        tensor, unknown = base.has(Kind.TENSOR), base.has(Kind.UNKNOWN)
        if name in self.packs.tables["forbidden_attributes"] or name.startswith("_"):
            return TENSOR if tensor else UNKNOWN
        if base.has(Kind.KERNEL):
            self.report("kernel-internals", node, f"calls {name} of a kernel")
            return PY
        if allows("wrapper.meta_methods", name):
            return SHAPE if name in ("size", "numel", "nelement") else PY
        if allows("wrapper.host_read_methods", name):
            self._host_read(node, f"reads a tensor back with {name}()")
            return PY
        if tensor or unknown:
            if allows("wrapper.view_methods", name):
                low = base.kind & Kind.LOWP
                if (
                    name == "view"
                    and len(node.args) == 1
                    and (self.source.dotted(node.args[0]) or "").startswith("torch.")
                ):
                    low = args[0].kind & Kind.LOWP
                view = Value((Kind.TENSOR if tensor or name != "split" else Kind.UNKNOWN) | low)
                return container([view]) if name in ("split", "chunk", "unbind") else view
            if allows("wrapper.alloc_methods", name):
                return self._allocated(node, keywords, base)
        python = allows("wrapper.python_methods", name)
        if tensor or (unknown and (not python or allows("wrapper.ambiguous", name))):
            if name == "to" and self._moves(node):
                self.report("device-move", node, "moves a tensor to another device")
            else:
                self.report("aten-method", node, f"computes with the method {name}")
            return TENSOR
        if not python:
            self.report("attribute", node, f"calls the method {name}")
            return PY
        return self._python_method(node, func, name, base, list(args), env)

    def _moves(self, node: ast.Call) -> bool:
        asked = [*node.args, *(keyword.value for keyword in node.keywords)]
        texts = [arg for arg in asked if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        devices = [arg for arg in asked if isinstance(arg, ast.Attribute) and arg.attr == "device"]
        return bool(texts or devices or any(keyword.arg == "device" for keyword in node.keywords))

    def _python_method(
        self, node: ast.Call, func: ast.Attribute, name: str, base: Value, args: list[Value], env: Env
    ) -> Value:
        if self.packs.allows("wrapper.mutators", name):
            if base.has(Kind.STATE):
                self.report("module-state", node, f"changes a module-level container with {name}()")
            if isinstance(func.value, ast.Name) and func.value.id in env and args:
                added = element(args[-1]) if name in ("extend", "update") else args[-1]
                env[func.value.id] = join(
                    Value(
                        base.kind,
                        base.names,
                        elem=join_all([*(base.items or ()), *([base.elem] if base.elem else []), added]),
                    ),
                    container([added]),
                )
        if name in ("get", "pop", "setdefault"):
            return join_all([element(base), *args[1:]])
        if name == "items":
            return container([container([PY, element(base)], fixed=True)])
        if name in ("values", "copy", "split"):
            return Value(base.kind & ~Kind.STATE, base.names, base.items, base.elem)
        return Value(Kind.PY | (base.kind & (Kind.SHAPE | Kind.UNKNOWN | Kind.ARITH)))
