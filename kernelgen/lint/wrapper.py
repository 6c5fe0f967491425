"""Follows values through wrappers and helpers, statement by statement, until nothing new is learnt; then reports."""

from __future__ import annotations

import ast

from kernelgen.lint.calls import Calls
from kernelgen.lint.evidence import tensor_names
from kernelgen.lint.expressions import Env
from kernelgen.lint.kinds import PY, TENSOR, UNKNOWN, Kind, Value, computed, container, element, join
from kernelgen.lint.packs import Packs
from kernelgen.lint.source import Function, Reporter, Source, parameters

_SPARE_PASSES = 4
_MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)


def check_wrappers(source: Source, packs: Packs, reporter: Reporter) -> Wrappers:
    """Report PyTorch computing in the plain functions; the result knows the launches and the pointers' precision."""
    flow = Wrappers(source, packs, reporter)
    flow.run()
    return flow


class Wrappers(Calls):
    """The statements of wrappers, over the abstract values of expressions and calls."""

    def __init__(self, source: Source, packs: Packs, reporter: Reporter) -> None:
        super().__init__(source, packs, reporter)
        self._tensors = tensor_names(source, packs)
        self._leaving: list[list[Env]] = []

    def run(self) -> None:
        """Evaluate every function until parameters and results settle, then once more to report."""
        for statement in self.source.tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                self._module_constant(statement)
        # What a chain of helpers tells may travel one function a pass, there and back.
        for _ in range(2 * len(self.source.plain) + _SPARE_PASSES):
            before = (dict(self.returns), {name: dict(values) for name, values in self.params.items()})
            self._all_functions()
            if before == (self.returns, self.params):
                break
        else:
            self.reporter.add("too-large", None, "the helpers call each other in ways that cannot be followed")
        self.reporting = True
        for function in [*self.source.plain.values(), *self.source.jit.values()]:
            for decorator in function.decorator_list:
                self.eval(decorator, {})
        for statement in self.source.tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                self._module_constant(statement)
        self._all_functions()

    def _module_constant(self, statement: ast.Assign | ast.AnnAssign) -> None:
        self.function = ""
        value = self.eval(statement.value, {})
        literal = isinstance(statement.value, _MUTABLE)
        if literal or (isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Name)):
            value = Value(value.kind | Kind.STATE, value.names, value.items, value.elem)
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            self.bind(target, value, self.module)

    def _all_functions(self) -> None:
        for name, function in self.source.plain.items():
            self.function = name
            self.launched.pop(name, None)
            self.calls.pop(name, None)
            is_wrapper = name in self.source.wrappers
            returned = self._body(function, self._parameters(function, is_wrapper), is_wrapper)
            self.returns[name] = join(self.returns[name], returned) if name in self.returns else returned

    def _parameters(self, function: Function, is_wrapper: bool) -> Env:
        env: Env = {}
        told = {} if is_wrapper else self.params.get(function.name, {})
        evidence = self._tensors.get(function.name, set())
        for arg in parameters(function):
            if arg.arg in told:
                env[arg.arg] = told[arg.arg]
                if env[arg.arg].has(Kind.UNKNOWN) and arg.arg in evidence:
                    env[arg.arg] = Value(Kind.TENSOR | Kind.LOWP)
            elif told and arg.arg not in evidence:
                env[arg.arg] = PY
            else:
                env[arg.arg] = TENSOR if arg.arg in evidence else UNKNOWN
        for name in _list_defaults(function):
            env[name] = Value(env[name].kind | Kind.STATE, env[name].names, env[name].items, env[name].elem)
        return env

    def _body(self, function: Function, env: Env, is_wrapper: bool) -> Value:
        results: list[Value] = []
        self._block(function.body, env, results, is_wrapper)
        out = results[0] if results else PY
        for value in results[1:]:
            out = join(out, value)
        return out

    def bind(self, target: ast.expr, value: Value, env: Env) -> None:
        """Bind a name, a tuple of names or a place in a container."""
        if isinstance(target, ast.Name):
            evidence = self._tensors.get(self.function, set())
            if value.has(Kind.UNKNOWN) and target.id in evidence and not value.has(Kind.ARITH):
                value = Value(value.kind & ~Kind.UNKNOWN | Kind.TENSOR)
            env[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            exact = value.items is not None and len(value.items) == len(target.elts)
            starred = any(isinstance(item, ast.Starred) for item in target.elts)
            for index, item in enumerate(target.elts):
                if value.items is not None and exact and not starred:
                    self.bind(item, value.items[index], env)
                elif isinstance(item, ast.Starred):
                    self.bind(item.value, container([element(value)]), env)
                else:
                    self.bind(item, element(value), env)
        elif isinstance(target, ast.Subscript):
            self._store_item(target, value, env)
        elif isinstance(target, ast.Attribute):
            self.eval(target.value, env)

    def _store_item(self, target: ast.Subscript, value: Value, env: Env) -> None:
        base = self.eval(target.value, env)
        self.eval(target.slice, env)
        root: ast.expr = target
        while isinstance(root, ast.Subscript | ast.Attribute):
            root = root.value
        if base.has(Kind.TENSOR):
            self.report("aten-operator", target, "stores into a tensor")
        elif base.has(Kind.STATE) or self.eval(root, env).has(Kind.STATE):
            self.report("module-state", target, "stores into a module-level container")
        if isinstance(target.value, ast.Name) and target.value.id in env:
            old = env[target.value.id]
            inside = [*(old.items or ()), *([old.elem] if old.elem else []), value]
            merged = container(inside)
            env[target.value.id] = Value(old.kind | merged.kind, old.names | merged.names, elem=merged.elem)

    def _block(self, body: list[ast.stmt], env: Env, results: list[Value], is_wrapper: bool) -> bool:
        """Run statements; True when control cannot reach the end."""
        return any(self._statement(statement, env, results, is_wrapper) for statement in body)

    def _statement(self, node: ast.stmt, env: Env, results: list[Value], is_wrapper: bool) -> bool:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            value = self.eval(node.value, env)
            if isinstance(node.value, ast.Call | ast.UnaryOp | ast.BoolOp):
                value = Value(value.kind, value.names, value.items, value.elem, test=node.value)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.bind(target, value, env)
        elif isinstance(node, ast.AugAssign):
            self._augmented(node, env)
        elif isinstance(node, ast.Return):
            value = self.eval(node.value, env)
            if is_wrapper and value.holds(Kind.ARITH):
                self.report("aten-operator", node, "returns the result of an operator on an argument")
            results.append(value)
            return True
        elif isinstance(node, ast.Raise):
            self.eval(node.exc, env)
            return True
        elif isinstance(node, ast.Break | ast.Continue):
            if self._leaving:
                self._leaving[-1].append(dict(env))
            return True
        elif isinstance(node, ast.If):
            return self._if(node, env, results, is_wrapper)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            return self._loop(node, env, results, is_wrapper)
        elif isinstance(node, Function):
            inner = {**env, **{arg.arg: UNKNOWN for arg in parameters(node)}}
            env[node.name] = Value(Kind.FUNC, elem=self._body(node, inner, is_wrapper=False))
        elif isinstance(node, ast.With | ast.AsyncWith):
            return self._block(node.body, env, results, is_wrapper)
        elif isinstance(node, ast.Try | ast.TryStar):
            # Refused anyway; read all branches so that what they hide is named too.
            for part in (node.body, *(handler.body for handler in node.handlers), node.orelse, node.finalbody):
                self._block(part, env, results, is_wrapper)
        else:
            self.eval(node, env)
        return False

    def _augmented(self, node: ast.AugAssign, env: Env) -> None:
        value = self.eval(node.value, env)
        place = ast.copy_location(_as_load(node.target), node.target)
        old = self.eval(place, env)
        if old.has(Kind.TENSOR) or value.has(Kind.TENSOR):
            self.report("aten-operator", node, "computes in place on a tensor")
        if old.has(Kind.STATE) and any(side.items is not None or side.elem is not None for side in (old, value)):
            self.report("module-state", node, "changes a module-level container")
        self.bind(node.target, computed(old, value), env)

    def _if(self, node: ast.If, env: Env, results: list[Value], is_wrapper: bool) -> bool:
        self.truth(node.test, self.eval(node.test, env))
        constant = node.test.value if isinstance(node.test, ast.Constant) else None
        yes, no = dict(env), dict(env)
        self.narrow(node.test, True, yes)
        self.narrow(node.test, False, no)
        dead = isinstance(node.test, ast.Constant) and not constant
        sure = isinstance(node.test, ast.Constant) and bool(constant)
        yes_ended = True if dead else self._block(node.body, yes, results, is_wrapper)
        no_ended = True if sure else self._block(node.orelse, no, results, is_wrapper)
        ways = [way for way, ended in ((yes, yes_ended), (no, no_ended)) if not ended]
        _meet(env, ways)
        return not ways

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, env: Env, results: list[Value], is_wrapper: bool) -> bool:
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and not node.test.value:
            return False
        # Twice, so that what the first turn leaves behind reaches the second.
        for _ in range(2):
            turn = dict(env)
            if isinstance(node, ast.While):
                self.truth(node.test, self.eval(node.test, turn))
            else:
                self.bind(node.target, element(self.eval(node.iter, turn)), turn)
            self._leaving.append([])
            ended = self._block(node.body, turn, results, is_wrapper)
            _meet(env, [dict(env), *self._leaving.pop(), *([] if ended else [turn])])
        self._block(node.orelse, env, results, is_wrapper)
        return False


def _list_defaults(function: Function) -> list[str]:
    # A list as default lives from call to call, as a module-level one does.
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    pairs = [*zip(reversed(positional), reversed(args.defaults), strict=False)]
    pairs += [(arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True) if default]
    return [arg.arg for arg, default in pairs if isinstance(default, ast.List)]


def _meet(env: Env, ways: list[Env]) -> None:
    if ways:
        names = {name for way in ways for name in way}
        merged: Env = {}
        for name in names:
            for way in ways:
                if name in way:
                    merged[name] = join(merged[name], way[name]) if name in merged else way[name]
        env.clear()
        env.update(merged)


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Subscript):
        return ast.Subscript(target.value, target.slice, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    return target
