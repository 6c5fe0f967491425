"""The entry builder of pointwise operators, and arithmetic, comparison, bitwise and logical operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelgen.synthesis.entry import Entry

_OUT = {"default": "dtype", "float": "dtype", "bool": "torch.bool", "first": "self.dtype"}


def pointwise(
    overload: str,
    body: str,
    *,
    operands: Sequence[str] = ("self",),
    scalars: Sequence[str] = (),
    optional: Sequence[str] = (),
    flags: Mapping[str, str] | None = None,
    casts: Mapping[str, str] | None = None,
    promoted: Sequence[str] | None = None,
    promote: str = "default",
    compute: str = "_COMPUTE[dtype]",
    out_dtype: str | None = None,
    extra: Sequence[str] = (),
    prepare: str = "",
    adjust: str = "",
    exact: bool = False,
    contiguous: bool = False,
    only: str = "",
    variant: str = "default",
) -> Entry:
    """Return the entry of a pointwise overload.

    ``body`` is Triton over the names of operands and scalars, already blocks of type COMPUTE: one expression, or lines
    that end in ``result = ...``. STORAGE names the promoted type itself, to round to it on the way.

    ``operands`` are tensors or numbers and broadcast; ``scalars`` are numbers. ``optional`` names those that may be
    None, for which the body has ``HAS_NAME``. ``promote`` is default, float (integers become float), bool (bool
    result) or first (dtype of self); ``promoted`` names what takes part, when not all operands; ``adjust`` is host code
    that corrects ``dtype`` after it. ``flags`` are compile-time switches (name -> host expression); ``casts`` loads an
    operand as another Triton type. ``extra`` are dtypes of further outputs, ``result_1`` and so on. ``prepare`` is host
    code run first: checks, and views to take operands from. ``exact`` keeps numbers from being rounded to a 16-bit
    type first; ``contiguous`` gives a result in C order.
    ``only`` is float or integer when PyTorch refuses the other kind with NotImplementedError.
    """
    text = body if "result" in body else f"result = {body}"
    return Entry(
        overload,
        "pointwise.py.j2",
        {
            "operands": list(operands),
            "scalars": list(scalars),
            "optional": list(optional),
            "flags": dict(flags or {}),
            "casts": dict(casts or {}),
            "promoted": list(promoted or operands),
            "promote": promote,
            "compute": compute,
            "out_dtype": out_dtype or _OUT[promote],
            "extra": list(extra),
            "prepare": prepare,
            "adjust": adjust,
            "exact": exact,
            "contiguous": contiguous,
            "only": only,
            "body": text,
        },
        variant,
    )


def pair(overload: str, body: str, promote: str = "default", **more: Any) -> Entry:
    """Return the entry of an operator of ``self`` and ``other``; the rest as for :func:`pointwise`."""
    return pointwise(overload, body, operands=("self", "other"), promote=promote, **more)


def either(name: str, body: str, promote: str = "default", kinds: str = "Tensor Scalar", **more: Any) -> list[Entry]:
    """Return the entries of an operator of two operands for each of its overload names."""
    return [pair(f"{name}.{kind}", body, promote, **more) for kind in kinds.split()]


_ALPHA = (
    "if not (dtype.is_floating_point or dtype.is_complex) and isinstance(alpha, float):\n"
    "    raise RuntimeError('For integral input tensors, argument alpha must not be a floating point number.')"
)
_NO_BOOL = """
if dtype == torch.bool:
    raise RuntimeError("Subtraction of two bool tensors is not supported; use ^ or logical_xor")"""
# PyTorch rounds alpha, and alpha * other, to a 16-bit type before it adds.
_SCALED = "{} {} _round_to(_round_to(alpha, STORAGE) * {}, STORAGE)"
_MODE = """\
if rounding_mode not in (None, "trunc", "floor"):
    raise RuntimeError("rounding_mode must be None, trunc or floor")"""
_DIVIDE = """\
if MODE == 2:
    result = _floor_div(self, other)
elif MODE == 1:
    result = _trunc_div(self, other, STORAGE)
else:
    result = self / other"""
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_BITS = {"and": "&", "or": "|", "xor": "^"}
_LOGIC = {"and": "(self != 0) & (other != 0)", "or": "(self != 0) | (other != 0)", "xor": "(self != 0) != (other != 0)"}

ENTRIES = [
    *either("add", _SCALED.format("self", "+", "other"), scalars=("alpha",), adjust=_ALPHA, exact=True),
    *either("sub", _SCALED.format("self", "-", "other"), scalars=("alpha",), adjust=_ALPHA + _NO_BOOL, exact=True),
    *either("rsub", _SCALED.format("other", "-", "self"), scalars=("alpha",), adjust=_ALPHA + _NO_BOOL),
    *either("mul", "self * other", exact=True),
    *either("div", "self / other", "float", exact=True),
    *either(
        "div",
        _DIVIDE,
        kinds="Tensor_mode Scalar_mode",
        prepare=_MODE,
        adjust="dtype = dtype if rounding_mode else _float_dtype(dtype)",
        exact=True,
        flags={"mode": "(None, 'trunc', 'floor').index(rounding_mode)"},
    ),
    *either("floor_divide", "_floor_div(self, other)", kinds="default Scalar", exact=True),
    *either("remainder", "_remainder(self, other)", kinds="Tensor Scalar Scalar_Tensor"),
    *either("fmod", "_fmod(self, other)"),
    *(e for name, sign in _COMPARE.items() for e in either(name, f"self {sign} other", "bool")),
    *(
        e
        for n, sign in _BITS.items()
        for e in either(f"bitwise_{n}", f"self {sign} other", kinds="Tensor Scalar Scalar_Tensor", only="integer")
    ),
    *(pair(f"logical_{n}.default", body, "bool") for n, body in _LOGIC.items()),
    pointwise("logical_not.default", "self == 0", promote="bool"),
    pointwise(
        "bitwise_not.default",
        "(self == 0).to(COMPUTE) if IS_BOOL else ~self",
        flags={"is_bool": "self.dtype == torch.bool"},
        only="integer",
    ),
    *(
        e
        for side in ("left", "right")
        for e in either(
            f"bitwise_{side}_shift",
            f"_shift_{side}(self, other, STORAGE.primitive_bitwidth)",
            kinds="Tensor Tensor_Scalar Scalar_Tensor",
            only="integer",
        )
    ),
    pair("maximum.default", "_maximum(self, other)"),
    pair("minimum.default", "_minimum(self, other)"),
    pair("fmax.default", "tl.where((self >= other) | (other != other), self, other)"),
    pair("fmin.default", "tl.where((self <= other) | (other != other), self, other)"),
    pair("gcd.default", "_gcd(self, other)", only="integer"),
    pair("lcm.default", "_lcm(self, other)", only="integer"),
    pointwise("heaviside.default", "tl.where(self == 0, values, (self > 0).to(COMPUTE))", operands=("self", "values")),
]
