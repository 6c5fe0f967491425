"""Activation functions of neural networks."""

from __future__ import annotations

from kernelgen.synthesis.families.pointwise_core import pointwise

_GELU = """\
if TANH:
    inner = 0.7978845608028654 * (self + 0.044715 * self * self * self)
    result = 0.5 * self * (1 + _tanh(inner))
else:
    result = 0.5 * self * (1 + tl.erf(self * 0.7071067811865476))"""
_ELU = "tl.where(self <= 0, _expm1(self * input_scale) * alpha * scale, self * scale)"
_SOFTPLUS = "tl.where(self * beta > threshold, self, _log1p(tl.exp(self * beta)) / beta)"
_SOFTSHRINK = "tl.where(self > lambd, self - lambd, tl.where(self < -lambd, self + lambd, self * 0))"
_HARDSHRINK = "tl.where((self >= -lambd) & (self <= lambd), 0.0, self)"
_LOGIT = """\
limited = self
if HAS_EPS:
    limited = tl.where(self < eps, eps, tl.where(self > 1 - eps, 1 - eps, self))
result = tl.log(_round_to(limited / _round_to(1 - limited, STORAGE), STORAGE))"""
_LOG_SIGMOID = """\
result_1 = tl.exp(-tl.abs(self))
result = _minimum(self, self * 0) - _log1p(result_1)"""
_HALVES = """\
dim = dim + self.dim() if dim < 0 else dim
if self.dim() == 0:
    raise RuntimeError("glu does not support 0-dimensional tensors")
size = self.shape[dim]
if size % 2:
    raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
first, second = self.narrow(dim, 0, size // 2), self.narrow(dim, size // 2, size // 2)"""

ENTRIES = [
    pointwise("relu.default", "tl.where(self < 0, 0, self)"),
    pointwise("elu.default", _ELU, scalars=("alpha", "scale", "input_scale"), only="float"),
    pointwise(
        "celu.default", "tl.where(self <= 0, _expm1(self / alpha) * alpha, self)", scalars=("alpha",), only="float"
    ),
    pointwise("gelu.default", _GELU, flags={"tanh": "approximate == 'tanh'"}, only="float"),
    pointwise("silu.default", "self / (1 + tl.exp(-self))", only="float"),
    pointwise("mish.default", "self * _tanh(_log1p(tl.exp(self)))", only="float"),
    pointwise("softplus.default", _SOFTPLUS, scalars=("beta", "threshold"), only="float"),
    pointwise("hardswish.default", "self * _minimum(_maximum(self + 3, self * 0), self * 0 + 6) / 6", only="float"),
    pointwise("hardsigmoid.default", "_minimum(_maximum(self + 3, self * 0), self * 0 + 6) / 6", only="float"),
    pointwise("hardtanh.default", "_minimum(_maximum(self, min_val), max_val)", scalars=("min_val", "max_val")),
    pointwise(
        "leaky_relu.default",
        "tl.where(self > 0, self, self * negative_slope)",
        scalars=("negative_slope",),
        only="float",
    ),
    pointwise("threshold.default", "tl.where(self <= threshold, value, self)", scalars=("threshold", "value")),
    pointwise("softshrink.default", _SOFTSHRINK, scalars=("lambd",), only="float"),
    pointwise("hardshrink.default", _HARDSHRINK, scalars=("lambd",), only="float"),
    pointwise("logit.default", _LOGIT, promote="float", scalars=("eps",), optional=("eps",)),
    pointwise("log_sigmoid_forward.default", _LOG_SIGMOID, extra=("dtype",), only="float"),
    pointwise(
        "_prelu_kernel.default", "tl.where(self > 0, self, self * weight)", operands=("self", "weight"), only="float"
    ),
    pointwise(
        "glu.default", "first / (1 + tl.exp(-second))", operands=("first", "second"), prepare=_HALVES, only="float"
    ),
]
