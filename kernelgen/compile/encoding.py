"""Compile-time constants as canonical JSON and back; knows nothing of kernels or launches.

None, booleans, integers, finite floats and strings stand for themselves. Everything else is an object with one key:
``{"float": "inf"}`` (or ``-inf``, ``nan``), ``{"dtype": "fp32"}`` for a Triton dtype, ``{"tuple": [...]}``, and
``{"function": "name"}`` for a jit function of the same kernel file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sysmith_errors import InputError

JsonValue = Any  # JSON has no finite recursive type that mypy follows without noise at every use

# Triton's own short names, as `triton.language.str_to_ty` reads them.
DTYPE_NAMES = frozenset(
    {"fp8e4nv", "fp8e4b8", "fp8e5", "fp8e5b16", "fp8e4b15", "fp16", "bf16", "fp32", "fp64", "i1"}
    | {f"{sign}{bits}" for sign in "iu" for bits in (8, 16, 32, 64)}
)
# Triton's dtype objects spell integers out (int64), its type strings shorten them (i64).
_SHORT_NAMES = {f"{sign}int{bits}": f"{sign or 'i'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_SHORT_NAMES |= {"int1": "i1", "uint1": "i1", "u1": "i1"}


class NotEncodable(ValueError):
    """A value has no place in a specialisation; the message says what it is."""


def encode_constant(value: object) -> JsonValue:
    """JSON form of a constexpr value. Raises NotEncodable."""
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is str:
        return value
    if kind is float:
        assert isinstance(value, float)
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind.__name__ == "constexpr":
        return encode_constant(value.value)  # type: ignore[attr-defined]  # duck-typed: triton is not imported here
    if kind.__name__ == "dtype" and kind.__module__.startswith("triton."):
        name = _SHORT_NAMES.get(str(value), str(value))
        if name not in DTYPE_NAMES:
            raise NotEncodable(f"the Triton dtype {name}")
        return {"dtype": name}
    if isinstance(value, (tuple, list)):
        return {"tuple": [encode_constant(item) for item in value]}
    if kind.__name__ in ("JITFunction", "InterpretedFunction"):
        return {"function": value.fn.__name__}  # type: ignore[attr-defined]  # both kinds keep the Python function here
    # Subclasses (IntEnum, numpy.float64) mean their plain value to Triton too.
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return encode_constant(plain(value))
    raise NotEncodable(f"a value of type {kind.__module__}.{kind.__qualname__}")


def decode_constant(
    data: JsonValue, *, dtype: Callable[[str], object] | None = None, function: Callable[[str], object] | None = None
) -> object:
    """The value that :func:`encode_constant` wrote.

    ``dtype`` and ``function`` turn names into objects; without them the object stays as the JSON it is, which is
    enough to check it. Raises InputError on anything that is not in the encoding.
    """
    if data is None or isinstance(data, (bool, int, str)) or (isinstance(data, float) and math.isfinite(data)):
        return data
    if isinstance(data, Mapping) and len(data) == 1:
        (tag, body), *_ = data.items()
        if tag == "float" and body in ("inf", "-inf", "nan"):
            return float(body)
        if tag == "dtype" and body in DTYPE_NAMES:
            return dtype(body) if dtype else dict(data)
        if tag == "tuple" and isinstance(body, list):
            return tuple(decode_constant(item, dtype=dtype, function=function) for item in body)
        if tag == "function" and isinstance(body, str) and body.isidentifier():
            return function(body) if function else dict(data)
    raise InputError(
        f"Specialisation: {str(data)[:80]!r} is not a compile-time constant",
        mend="Use null, a boolean, an integer, a string, or one of {float}, {dtype}, {tuple}, {function}.",
    )
