"""Functions of one or two numbers: roundings, roots, exponentials, trigonometry, powers, error function."""

from __future__ import annotations

from kernelgen.synthesis.families.pointwise_core import either, pair, pointwise

_SINC = "tl.where(self == 0, 1.0, tl.sin(self * 3.141592653589793) / (self * 3.141592653589793))"
_ENTROPY = """\
result = -self * _round_to(tl.log(self), STORAGE)
result = tl.where(self > 0, result, tl.where(self < 0, float("-inf"), self))"""
# Results of integers are floats.
_FLOAT = {
    "acos": "_acos(self)",
    "acosh": "_acosh(self)",
    "asin": "_asin(self)",
    "asinh": "_asinh(self)",
    "atan": "_atan(self)",
    "atanh": "_atanh(self)",
    "cos": "tl.cos(self)",
    "cosh": "_cosh(self)",
    "deg2rad": "self * 0.017453292519943295",
    "erf": "tl.erf(self)",
    "erfc": "_erfc(self)",
    "exp": "tl.exp(self)",
    "exp2": "tl.exp2(self)",
    "expm1": "_expm1(self)",
    "log": "tl.log(self)",
    "log10": "_log10(self)",
    "log1p": "_log1p(self)",
    "log2": "tl.log2(self)",
    "rad2deg": "self * 57.29577951308232",
    "reciprocal": "1.0 / self",
    "rsqrt": "1.0 / tl.sqrt(self)",
    "sigmoid": "1.0 / (1.0 + tl.exp(-self))",
    "sin": "tl.sin(self)",
    "sinc": _SINC,
    "sinh": "_sinh(self)",
    "special_entr": _ENTROPY,
    "special_erfcx": "_erfcx(self)",
    "special_log_ndtr": "_log_ndtr(self)",
    "sqrt": "tl.sqrt(self)",
    "tan": "_tan(self)",
    "tanh": "_tanh(self)",
    "angle": "tl.where(self < 0, 3.141592653589793, tl.where(self == self, 0.0, self))",
}
# Integers stay as they are.
_ROUND = {"ceil": "tl.ceil", "floor": "tl.floor", "round": "_round_even", "trunc": "_trunc"}
_TESTS = {
    "isnan": "self != self",
    "isinf": "tl.abs(self) == float('inf')",
    "isposinf": "self == float('inf')",
    "isneginf": "self == float('-inf')",
}
_DECIMALS = """\
if DOWN:
    result = _round_even(self / scale) * scale
else:
    result = _round_even(self * scale) / scale"""
_NAN_TO_NUM = """\
result = self
if COMPUTE.is_floating():
    result = tl.where(self == float("inf"), posinf, tl.where(self == float("-inf"), neginf, self))
    result = tl.where(self == self, result, nan)"""
_LIMITS = """\
limits = torch.finfo(self.dtype if self.dtype.is_floating_point else torch.float32)
nan, posinf, neginf = nan or 0.0, limits.max if posinf is None else posinf, limits.min if neginf is None else neginf"""
_NOT_NEGATIVE = """\
if not (self.is_floating_point() or isinstance(exponent, float)) and exponent < 0:
    raise RuntimeError("Integers to negative integer powers are not allowed.")"""
_LOG_SUM = """\
low, high = tl.where(self < other, self, other), tl.where(self < other, other, self)
result = tl.where(low == high, high + {constant}, high + {small})
result = tl.where(tl.abs(high) == float("inf"), high, result)
result = tl.where((self != self) | (other != other), self + other, result)"""
_GUARDED = "tl.where(other != other, other, tl.where(self == 0, 0.0, self * _round_to({}(other), STORAGE)))"

ENTRIES = [
    *(pointwise(f"{name}.default", body, promote="float") for name, body in _FLOAT.items()),
    *(
        pointwise(f"{name}.default", f"{function}(self) if COMPUTE.is_floating() else self")
        for name, function in _ROUND.items()
    ),
    pointwise(
        "round.decimals",
        _DECIMALS,
        scalars=("scale",),
        flags={"down": "decimals < 0"},
        prepare="scale = 10 ** abs(decimals)",
        only="float",
    ),
    pointwise("frac.default", "self - _trunc(self)", only="float"),
    pointwise("neg.default", "-self"),
    pointwise("abs.default", "tl.abs(self)"),
    pointwise("sign.default", "_sign(self)"),
    pointwise("sgn.default", "_sign(self)"),
    pointwise("signbit.default", "_is_negative(self) if COMPUTE.is_floating() else self < 0", promote="bool"),
    *(
        pointwise(f"{name}.default", f"{body} if COMPUTE.is_floating() else self != self", promote="bool")
        for name, body in _TESTS.items()
    ),
    pointwise(
        "nan_to_num.default",
        _NAN_TO_NUM,
        scalars=("nan", "posinf", "neginf"),
        prepare=_LIMITS,
        adjust="if not dtype.is_floating_point:\n    nan, posinf, neginf = 0, 0, 0",
    ),
    pair("atan2.default", "_atan2(self, other)", "float"),
    pair("hypot.default", "_hypot(self, other)", "float"),
    *either("copysign", "_copysign(self, other)", "float"),
    pair(
        "nextafter.default",
        "_next_after(self, other)",
        casts={"self": "STORAGE", "other": "STORAGE"},
        only="float",
    ),
    pointwise(
        "frexp.Tensor",
        "result, result_1 = _frexp(self)",
        extra=("torch.int32",),
        only="float",
    ),
    *(
        pointwise(f"pow.{kind}", "_power(self, exponent)", operands=("self", "exponent"), prepare=check)
        for kind, check in (("Tensor_Tensor", ""), ("Tensor_Scalar", _NOT_NEGATIVE), ("Scalar", ""))
    ),
    pair(
        "logaddexp.default",
        _LOG_SUM.format(constant=0.6931471805599453, small="_log1p(tl.exp(low - high))"),
        only="float",
    ),
    pair(
        "logaddexp2.default",
        _LOG_SUM.format(constant=1.0, small="_log1p(tl.exp2(low - high)) * 1.4426950408889634"),
        only="float",
    ),
    *either("xlogy", _GUARDED.format("tl.log"), "float", kinds="Tensor Scalar_Self Scalar_Other"),
    *either("special_xlog1py", _GUARDED.format("_log1p"), "float", kinds="default self_scalar other_scalar"),
]
