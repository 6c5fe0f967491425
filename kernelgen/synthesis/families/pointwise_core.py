"""Arithmetic, comparison and bitwise operators: one element in from each operand, one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    prepare: str = "",
    variant: str = "default",
) -> Entry:
    """Return the entry of a pointwise overload.

    ``body`` is Triton over the operand names, already loaded and cast to COMPUTE: one expression, or lines that end in
    ``result = ...``. ``promote`` is default, float (integers become float), bool (bool result) or first (dtype of self).
    ``flags`` are compile-time switches (name -> host expression); ``casts`` loads an operand as another Triton dtype;
    ``promoted`` names what takes part in type promotion, when not all operands; ``prepare`` is host code run first.
    """
    text = body if "result =" in body else f"result = {body}"
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
            "prepare": prepare,
            "body": text,
        },
        variant,
    )


def _pair(overload: str, body: str, promote: str = "default", **more: object) -> Entry:
    return pointwise(overload, body, operands=("self", "other"), promote=promote, **more)  # type: ignore[arg-type]  # forwarded by name


_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_UNARY_FLOAT = {
    "sin": "tl.sin(self)",
    "cos": "tl.cos(self)",
    "exp": "tl.exp(self)",
    "log": "tl.log(self)",
    "sqrt": "tl.sqrt(self)",
    "rsqrt": "1.0 / tl.sqrt(self)",
    "reciprocal": "1.0 / self",
    "sigmoid": "1.0 / (1.0 + tl.exp(-self))",
}

ENTRIES = [
    _pair("add.Tensor", "self + alpha * other", scalars=("alpha",)),
    _pair("sub.Tensor", "self - alpha * other", scalars=("alpha",)),
    _pair("mul.Tensor", "self * other"),
    _pair("div.Tensor", "self / other", "float"),
    *(_pair(f"{name}.{kind}", f"self {sign} other", "bool") for name, sign in _COMPARE.items() for kind in ("Tensor", "Scalar")),
    *(pointwise(f"{name}.default", body, promote="float") for name, body in _UNARY_FLOAT.items()),
    pointwise("neg.default", "-self"),
    pointwise("relu.default", "tl.where(self < 0, 0, self)"),
    pointwise(
        "where.self",
        "tl.where(condition, self, other)",
        operands=("condition", "self", "other"),
        promoted=("self", "other"),
        casts={"condition": "tl.int1"},
    ),
    pointwise("bitwise_not.default", "tl.where(IS_BOOL, self == 0, ~self)", flags={"is_bool": "self.dtype == torch.bool"}),
]
