"""Reductions with a formula behind them: variance, norms, log-sum-exp, counts and hashes."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry
from kernelgen.synthesis.families.reduction import Pass, _all, _extreme, reduction, sweep

# Two passes: the squares of differences from the mean lose no digits when the mean is large.
_VARIANCE = [
    sweep("total = tl.zeros([BLOCK_M], COMPUTE)", "total += tl.sum(value, axis=1)", "mean = total / N"),
    sweep(
        "squares = tl.zeros([BLOCK_M], COMPUTE)",
        "offset = tl.where(live, value - mean[:, None], 0)\nsquares += tl.sum(offset * offset, axis=1)",
    ),
]
_DIVISOR = {"divisor": "float(max(n - (1 if correction is None else correction), 0))"}
_SAME = "self.dtype"
_FLOAT_ONLY = (
    'if not self.dtype.is_floating_point:\n    raise RuntimeError("{name}: only floating point dtypes are supported")'
)


def _variance() -> list[Entry]:
    value = {"var": "squares / divisor", "std": "tl.sqrt(squares / divisor)"}
    entries = []
    for name, formula in value.items():
        for overload, results in (
            (f"{name}.correction", [("out", formula, _SAME)]),
            (f"{name}_mean.correction", [("out", formula, _SAME), ("average", "mean", _SAME)]),
        ):
            entries.append(
                reduction(
                    overload,
                    _VARIANCE,
                    results,
                    compute="_ACCUMULATE[self.dtype]",
                    prepare=_FLOAT_ONLY.format(name=name),
                    scalars=_DIVISOR,
                )
            )
    return entries


_KIND = (
    'kind = "two" if p == 2 else "one" if p == 1 else "zero" if p == 0 else '
    '"max" if p == float("inf") else "min" if p == float("-inf") else "power"'
)
_NORM: list[Pass] = [
    sweep(
        "total = tl.zeros([BLOCK_M], COMPUTE)\n"
        "nan = tl.zeros([BLOCK_M], tl.int32)\n"
        'if KIND == "min":\n'
        "    total += _highest(COMPUTE)",
        "size = tl.abs(value)\n"
        'if KIND == "two":\n'
        "    total += tl.sum(size * size, axis=1)\n"
        'elif KIND == "one":\n'
        "    total += tl.sum(size, axis=1)\n"
        'elif KIND == "zero":\n'
        "    total += tl.sum(tl.where(live & (value != 0), 1.0, 0.0).to(COMPUTE), axis=1)\n"
        'elif KIND == "max":\n'
        "    nan = tl.maximum(nan, tl.max((value != value).to(tl.int32), axis=1))\n"
        "    total = tl.maximum(total, tl.max(tl.where(live & (value == value), size, 0), axis=1))\n"
        'elif KIND == "min":\n'
        "    nan = tl.maximum(nan, tl.max((value != value).to(tl.int32), axis=1))\n"
        "    known = tl.where(live & (value == value), size, _highest(COMPUTE))\n"
        "    total = tl.minimum(total, tl.min(known, axis=1))\n"
        "else:\n"
        "    total += tl.sum(tl.where(live, tl.exp2(p * tl.log2(size)), 0), axis=1)",
        'if KIND == "two":\n'
        "    total = tl.sqrt(total)\n"
        'elif KIND == "power":\n'
        "    total = tl.exp2(tl.log2(total) / p)\n"
        "total = tl.where(nan > 0, float('nan'), total)",
    )
]


def _norm(overload: str, p: str, dtype: str) -> Entry:
    return reduction(
        overload,
        _NORM,
        [("out", "total", "dtype")],
        prepare=f"p = float({p})\n{_KIND}\ndtype = {dtype}",
        check='if kind == "max" or p < 0:\n    _need_elements(self, dims, "norm")',
        scalars={"p": 'p if kind == "power" else 1.0'},
        flags={"kind": "kind"},
    )


# log(sum(exp(x))) with the row's maximum taken out; a row whose maximum is infinite keeps it.
# PyTorch composes it of operators, so each step rounds to the dtype; bf16 results show that.
_LOG_SUM_EXP = [
    _extreme("max"),
    sweep(
        "shift = tl.where(tl.abs(best) == float('inf'), 0.0, best)\ntotal = tl.zeros([BLOCK_M], COMPUTE)",
        "away = (value - shift[:, None]).to(out.dtype.element_ty).to(COMPUTE)\n"
        "power = tl.exp(away).to(out.dtype.element_ty).to(COMPUTE)\n"
        "total += tl.sum(tl.where(live, power, 0), axis=1)",
        "total = tl.log(total.to(out.dtype.element_ty).to(COMPUTE)).to(out.dtype.element_ty).to(COMPUTE)\n"
        "result = tl.where(nan > 0, float('nan'), total + shift)",
    ),
]
_COUNT = [sweep("count = tl.zeros([BLOCK_M], tl.int64)", "count += tl.sum((live & (value != 0)).to(tl.int64), axis=1)")]
_COUNTED = (("out", "count", "torch.int64"),)
# PyTorch hashes by exclusive or of the bits of each element, widened to 64 bits (floating point as float64).
_HASH = [
    sweep(
        "bits = tl.zeros([BLOCK_M, BLOCK_N], tl.int64)",
        "bits = bits ^ tl.where(live, value.to(tl.int64, bitcast=COMPUTE.is_floating()), 0)",
        "total = _tile_xor(bits, BLOCK_M, BLOCK_N)",
    )
]

ENTRIES = [
    *_variance(),
    _norm("linalg_vector_norm.default", "ord", "dtype or self.dtype"),
    _norm("norm.ScalarOpt_dim", "2 if p is None else p", "self.dtype"),
    _norm("norm.ScalarOpt_dim_dtype", "2 if p is None else p", "dtype or self.dtype"),
    _all(
        "norm.Scalar",
        _NORM,
        [("out", "total", "dtype")],
        prepare=f"p = float(p)\n{_KIND}\ndtype = self.dtype",
        scalars={"p": 'p if kind == "power" else 1.0'},
        flags={"kind": "kind"},
    ),
    reduction(
        "logsumexp.default",
        _LOG_SUM_EXP,
        [("out", "result", "dtype")],
        prepare="dtype = self.dtype if self.dtype.is_floating_point else torch.get_default_dtype()",
    ),
    _all(
        "count_nonzero.default",
        _COUNT,
        _COUNTED,
        compute="_COMPUTE[self.dtype]",
        dims="_reduced_dims(None if dim is None else dim, self.dim())",
    ),
    reduction("count_nonzero.dim_IntList", _COUNT, _COUNTED, compute="_COMPUTE[self.dtype]", keepdim="False"),
    reduction(
        "aminmax.default",
        [_extreme("min", "low", "low_nan"), _extreme("max", "high", "high_nan")],
        [("least", "result_low", _SAME), ("greatest", "result_high", _SAME)],
        compute="_COMPUTE[self.dtype]",
        check="if dim is None and self.numel() == 0:\n"
        '    raise RuntimeError("aminmax(): cannot compute over an empty dimension.")\n'
        '_need_elements(self, dims, "aminmax")',
    ),
    reduction(
        "hash_tensor.default",
        _HASH,
        [("out", "total", "torch.uint64")],
        compute="tl.float64 if self.dtype.is_floating_point else tl.int64",
    ),
]
