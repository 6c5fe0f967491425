"""What the linter knows of a value in a wrapper: flags, the kernels it may name, what a container holds."""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass

_DEPTH = 4


class Kind(enum.Flag):
    """Flags of a value; several may hold where paths of a program meet."""

    NONE = 0
    PY = enum.auto()  # a plain Python value: number, string, dtype, shape, container
    TENSOR = enum.auto()
    UNKNOWN = enum.auto()  # a parameter whose use does not tell
    KERNEL = enum.auto()  # one of the jit functions in ``names``
    FUNC = enum.auto()  # one of the plain functions in ``names``, or a nested one
    LOWP = enum.auto()  # a tensor or a dtype that may be of 16 bits or fewer
    SHAPE = enum.auto()  # comes from a shape, a size or a count of elements
    STATE = enum.auto()  # a mutable container of the module
    ARITH = enum.auto()  # result of an operator on an UNKNOWN


_FLOWS = Kind.LOWP | Kind.SHAPE | Kind.ARITH | Kind.UNKNOWN


@dataclass(frozen=True, slots=True)
class Value:
    """One abstract value. ``items`` is set for tuples of known length, ``elem`` for other known containers."""

    kind: Kind = Kind.PY
    names: frozenset[str] = frozenset()
    items: tuple[Value, ...] | None = None
    elem: Value | None = None
    test: ast.expr | None = None

    def has(self, kind: Kind) -> bool:
        """Whether any of the flags holds."""
        return bool(self.kind & kind)

    def holds(self, kind: Kind) -> bool:
        """Whether any of the flags holds for the value or for anything inside it."""
        inside = [*(self.items or ()), *((self.elem,) if self.elem else ())]
        return self.has(kind) or any(value.holds(kind) for value in inside)


PY = Value()
UNKNOWN = Value(Kind.UNKNOWN | Kind.LOWP)
TENSOR = Value(Kind.TENSOR | Kind.LOWP)
SHAPE = Value(Kind.PY | Kind.SHAPE)


def join(first: Value, second: Value) -> Value:
    """The value where two paths meet."""
    if first == second:
        return first
    items = None
    elem = None
    if first.items is not None and second.items is not None and len(first.items) == len(second.items):
        items = tuple(join(a, b) for a, b in zip(first.items, second.items, strict=True))
    else:
        inside = [value for side in (first, second) for value in [*(side.items or ()), side.elem] if value is not None]
        if inside:
            elem = join_all(inside)
    return Value(first.kind | second.kind, first.names | second.names, items, elem)


def join_all(values: list[Value]) -> Value:
    """The join of several values; of none, a plain Python value."""
    out = values[0] if values else PY
    for value in values[1:]:
        out = join(out, value)
    return out


def _depth(value: Value) -> int:
    inside = [*(value.items or ()), *((value.elem,) if value.elem else ())]
    return 1 + max(map(_depth, inside), default=0)


def container(values: list[Value], *, fixed: bool = False) -> Value:
    """A list, dict or set of these values; with ``fixed`` a tuple or list whose places are known."""
    names = frozenset().union(*(value.names for value in values)) if values else frozenset()
    flags = Kind.PY
    for value in values:
        flags |= value.kind & (Kind.LOWP | Kind.SHAPE | Kind.KERNEL)
    if any(_depth(value) >= _DEPTH for value in values):
        values = [TENSOR] if any(value.holds(Kind.TENSOR) for value in values) else [PY]
        fixed = False
    if fixed:
        return Value(flags, names, items=tuple(values))
    return Value(flags, names, elem=join_all(values)) if values else Value(flags, names)


def element(value: Value) -> Value:
    """What iterating over a value, or indexing it, gives."""
    if value.items:
        return join_all(list(value.items))
    if value.elem is not None:
        return value.elem
    if value.has(Kind.TENSOR):
        return Value(Kind.TENSOR | (value.kind & Kind.LOWP))
    return Value(value.kind, value.names)


def computed(*values: Value) -> Value:
    """The result of arithmetic on these values."""
    kind = Kind.NONE
    for value in values:
        kind |= value.kind
    if kind & Kind.TENSOR:
        return TENSOR
    flows = kind & _FLOWS
    if flows & Kind.UNKNOWN:
        return Value(flows | Kind.ARITH)
    inside = [item for value in values for item in [*(value.items or ()), value.elem] if item is not None]
    return Value(flows | Kind.PY, elem=join_all(inside) if inside else None)
