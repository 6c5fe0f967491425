"""From one launch's arguments to its Specialisation, in a few microseconds; runs inside the interpreter child."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from kernelgen.compile.encoding import DTYPE_NAMES, NotEncodable, encode_constant
from kernelgen.compile.specialisation import LAUNCH_OPTIONS, ParamType, Specialisation, constant_places
from sysmith_errors import InputError

_CACHE_LIMIT = 65_536  # specialisations kept; a kernel with a size as constexpr could otherwise fill the memory
_MISSING = object()
_IGNORED = frozenset({"grid", "warmup"})  # arguments of `run` itself, not of the kernel

_POINTER_NAMES = {
    "bool": "i1",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "float64": "fp64",
    "float8_e4m3fn": "fp8e4nv",
    "float8_e4m3fnuz": "fp8e4b8",
    "float8_e5m2": "fp8e5",
    "float8_e5m2fnuz": "fp8e5b16",
    **{f"{sign}int{bits}": f"{sign or 'i'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    # A tensor that triton.reinterpret gave another type carries Triton's own dtype.
    **{name: name for name in DTYPE_NAMES},
    "int1": "i1",
    "u1": "i1",
}


class NotSpecialisable(InputError):
    """A launch that Triton could not compile for; the message names the kernel, the parameter and the mend."""


class _Constant(str):
    """The canonical JSON of a constant, where a type would otherwise stand."""

    __slots__ = ()


@dataclass(frozen=True)
class _Param:
    name: str
    is_constexpr: bool
    is_const: bool  # a pointer to read-only memory: "*k" in place of "*"
    fixed: str  # the type its annotation demands, or ""
    default: Any


_plans: WeakKeyDictionary[Callable[..., Any], tuple[_Param, ...]] = WeakKeyDictionary()
_known: dict[tuple[Any, ...], Specialisation] = {}
_pointers: dict[Any, str] = {}
_plain_constants: dict[tuple[type, Any], _Constant] = {}


def specialise(fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Specialisation:
    """The Specialisation of launching ``fn`` (a jit function, interpreted or not) with these arguments.

    ``args`` and ``kwargs`` are those of the launch, options such as ``num_warps`` included. Raises NotSpecialisable.
    """
    function = fn.fn
    while not hasattr(function, "__code__"):  # autotuners and heuristics wrap the jit function
        function = function.fn
    plan = _plans.get(function)
    if plan is None:
        plan = _plans[function] = _read_parameters(function)
    if len(args) > len(plan):
        raise NotSpecialisable(f"{function.__name__} takes {len(plan)} arguments and was launched with {len(args)}")
    described = []
    used = 0
    for position, param in enumerate(plan):
        if position < len(args):
            value = args[position]
        else:
            value = kwargs.get(param.name, _MISSING)
            if value is _MISSING:
                value = param.default
                if value is _MISSING:
                    raise NotSpecialisable(f"{function.__name__} was launched without its argument {param.name}")
            else:
                used += 1
        try:
            described.append(_constant(value) if param.is_constexpr else _describe(value, param))
        except NotEncodable as error:
            raise NotSpecialisable(
                f"{function.__name__}: the argument {param.name} is {error}, which no Triton kernel takes",
                mend="Pass tensors of a supported dtype, numbers, None or tuples of these.",
            ) from None
    options = _options(function, plan, kwargs) if used < len(kwargs) else ()
    key = (function, tuple(described), options)
    known = _known.get(key)
    if known is None:
        if len(_known) >= _CACHE_LIMIT:
            _known.clear()
        known = _known[key] = _build(function.__name__, plan, described, options)
    return known


def _build(kernel: str, plan: tuple[_Param, ...], described: list[Any], options: tuple[Any, ...]) -> Specialisation:
    signature: list[tuple[str, ParamType]] = []
    constants: list[tuple[str, Any]] = []
    for param, item in zip(plan, described, strict=True):
        kind = _type_of(item)
        signature.append((param.name, kind))
        leaves = list(_constants_in(item))
        constants += zip(constant_places(param.name, kind), map(json.loads, leaves), strict=True)
    return Specialisation(kernel, tuple(signature), tuple(constants), options)


def _type_of(item: Any) -> ParamType:
    if isinstance(item, tuple):
        return tuple(_type_of(element) for element in item)
    return "constexpr" if isinstance(item, _Constant) else item


def _constants_in(item: Any) -> Sequence[_Constant]:
    if isinstance(item, tuple):
        return [leaf for element in item for leaf in _constants_in(element)]
    return [item] if isinstance(item, _Constant) else []


def _describe(value: Any, param: _Param) -> Any:
    """A type, a _Constant, or a tuple of these. Raises NotEncodable."""
    if param.fixed:
        return param.fixed
    kind = type(value)
    if kind is int:
        return _integer(value)
    if kind is float:
        return "fp32"
    if kind is bool:
        return "i1"
    if value is None:
        return _constant(None)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "data_ptr"):
        name = _pointers.get(dtype)
        if name is None:
            name = _pointers[dtype] = _pointer(dtype)
        return f"*k{name}" if param.is_const else f"*{name}"
    if isinstance(value, tuple):
        return tuple(_describe(element, param) for element in value)
    if kind.__name__ in ("constexpr", "JITFunction", "InterpretedFunction"):
        return _constant(value)
    for plain in (bool, int, float):
        if isinstance(value, plain):
            return _describe(plain(value), param)
    raise NotEncodable(f"a {kind.__name__}")


def _integer(value: int) -> str:
    if -(2**31) <= value < 2**31:
        return "i32"
    if -(2**63) <= value < 2**63:
        return "i64"
    if 0 <= value < 2**64:
        return "u64"
    raise NotEncodable(f"the integer {value}, too large for 64 bits")


def _pointer(dtype: Any) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in _POINTER_NAMES:
        raise NotEncodable(f"a tensor of dtype {name}")
    return _POINTER_NAMES[name]


def _constant(value: Any) -> _Constant:
    kind = type(value)
    if kind is int or kind is bool or kind is str or value is None:
        known = _plain_constants.get((kind, value))
        if known is None:
            if len(_plain_constants) >= _CACHE_LIMIT:
                _plain_constants.clear()
            known = _plain_constants[kind, value] = _Constant(json.dumps(value))
        return known
    return _Constant(json.dumps(encode_constant(value), sort_keys=True))


def _options(function: Any, plan: tuple[_Param, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    names = {param.name for param in plan}
    options = []
    for name in sorted(kwargs):
        value = kwargs[name]
        if name in names or name in _IGNORED:
            continue
        if name not in LAUNCH_OPTIONS:
            raise NotSpecialisable(
                f"{function.__name__} was launched with {name}=, neither a parameter nor a launch option",
                mend=f"Launch options are {', '.join(sorted(LAUNCH_OPTIONS))}.",
            )
        if value is None:
            continue
        if type(value) not in (int, bool):
            raise NotSpecialisable(f"{function.__name__}: the launch option {name} must be an integer, not {value!r}")
        options.append((name, value))
    return tuple(options)


def _read_parameters(function: Any) -> tuple[_Param, ...]:
    from triton.runtime.jit import JITFunction  # only where a kernel is launched, so triton is loaded already

    try:
        params = JITFunction(function).params
    except ValueError as error:
        raise NotSpecialisable(f"{function.__name__}: {error}", mend="Define the kernel in a file.") from None
    return tuple(
        _Param(
            param.name,
            bool(param.is_constexpr),
            bool(param.is_const),
            "i1" if param.annotation_type == "u1" else param.annotation_type.replace("*u1", "*i1"),
            param.default if param.has_default else _MISSING,
        )
        for param in params
    )
