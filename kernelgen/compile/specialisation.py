"""What one launch fixes at compile time: argument types, constants and options; no compiling and no running here.

The types are those Triton's own runtime would choose, except that nothing is specialised on values: an int equal to 1
stays an ``i32`` and no divisibility by 16 is assumed, so one compiled kernel answers for every launch of its kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kernelgen.compile.encoding import JsonValue, decode_constant
from sysmith_errors import InputError

# A type is a Triton short name ("*fp32", "i64", "constexpr") or, for a tuple argument, a tuple of types.
ParamType = Any

# What a launch may set besides parameters. Options that name files or tool flags (ir_override, ptx_options,
# extern_libs, ...) are left out: they would compile something other than the kernel.
LAUNCH_OPTIONS = frozenset(
    {"num_warps", "num_stages", "num_ctas", "maxnreg", "enable_fp_fusion", "waves_per_eu"}
    | {"matrix_instr_nonkdim", "kpack"}
)

_TYPE = re.compile(r"constexpr|(\*k?)*(fp8e4nv|fp8e4b8|fp8e5|fp8e5b16|fp8e4b15|fp16|bf16|fp32|fp64|[iu](1|8|16|32|64))")


@dataclass(frozen=True, eq=False)
class Specialisation:
    """One kernel function with its argument types, constants and launch options.

    ``signature`` holds (parameter, type) in the order of the function. ``constants`` holds (place, constant in the
    encoding of :mod:`kernelgen.compile.encoding`) for each ``constexpr`` in the signature, where a place is the
    parameter's name, or ``name.0.2`` for an element of a tuple argument. Two specialisations are equal when their
    canonical texts are, which keeps 1, 1.0 and True apart.
    """

    kernel: str
    signature: tuple[tuple[str, ParamType], ...]
    constants: tuple[tuple[str, JsonValue], ...] = ()
    options: tuple[tuple[str, JsonValue], ...] = ()

    @cached_property
    def text(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Specialisation) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        constants = dict(self.constants)
        shown = ((name, f"={constants[name]!r}" if name in constants else f": {kind}") for name, kind in self.signature)
        parts = [name + value for name, value in shown]
        parts += [f"{name}={value!r}" for name, value in self.options]
        return f"{self.kernel}({', '.join(parts)})"

    def to_json(self) -> dict[str, JsonValue]:
        """A JSON object that :meth:`from_json` reads back as an equal specialisation."""
        return {
            "kernel": self.kernel,
            "signature": [[name, _listed(kind)] for name, kind in self.signature],
            "constants": dict(self.constants),
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, data: object) -> Specialisation:
        """Read what :meth:`to_json` wrote. Raises InputError naming the field that is wrong."""
        if not isinstance(data, Mapping) or set(data) - {"kernel", "signature", "constants", "options"}:
            raise _wrong("it", "an object with kernel, signature, constants and options", data)
        kernel = data.get("kernel")
        if not (isinstance(kernel, str) and kernel.isidentifier()):
            raise _wrong("kernel", "the name of a function", kernel)
        signature, constants, options = data.get("signature"), data.get("constants", {}), data.get("options", {})
        if not isinstance(signature, list) or not all(_is_parameter(entry) for entry in signature):
            raise _wrong("signature", "a list of [parameter, type]", signature)
        params = tuple((name, _tupled(kind)) for name, kind in signature)
        if len({name for name, _ in params}) != len(params):
            raise _wrong("signature", "a list in which each parameter comes once", signature)
        places = [place for name, kind in params for place in constant_places(name, kind)]
        if not isinstance(constants, Mapping) or set(constants) != set(places):
            raise _wrong("constants", f"an object with a value for each of {places}", constants)
        for value in constants.values():
            decode_constant(value)
        if not isinstance(options, Mapping) or not set(options) <= LAUNCH_OPTIONS:
            raise _wrong("options", f"an object with keys among {sorted(LAUNCH_OPTIONS)}", options)
        if not all(isinstance(value, (bool, int)) for value in options.values()):
            raise _wrong("options", "an object of integers and booleans", options)
        return cls(kernel, params, tuple((place, constants[place]) for place in places), tuple(sorted(options.items())))


def constant_places(name: str, kind: ParamType) -> Iterator[str]:
    """Yield the place of each ``constexpr`` in the type ``kind`` of the parameter ``name``."""
    if kind == "constexpr":
        yield name
    elif isinstance(kind, tuple):
        for position, element in enumerate(kind):
            yield from constant_places(f"{name}.{position}", element)


def _is_parameter(entry: object) -> bool:
    return (
        isinstance(entry, (list, tuple))
        and len(entry) == 2
        and isinstance(entry[0], str)
        and entry[0].isidentifier()
        and _is_type(entry[1])
    )


def _is_type(kind: object) -> bool:
    if isinstance(kind, (list, tuple)):
        return all(_is_type(element) for element in kind)
    return isinstance(kind, str) and _TYPE.fullmatch(kind) is not None


def _tupled(kind: JsonValue) -> ParamType:
    return tuple(_tupled(element) for element in kind) if isinstance(kind, (list, tuple)) else kind


def _listed(kind: ParamType) -> JsonValue:
    return [_listed(element) for element in kind] if isinstance(kind, tuple) else kind


def _wrong(field: str, wanted: str, got: object) -> InputError:
    return InputError(f"Specialisation: {field} must be {wanted}, not {str(got)[:120]!r}")
