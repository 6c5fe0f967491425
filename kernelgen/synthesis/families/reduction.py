"""Reductions: sums, products, extrema, their positions, moments and norms, over any set of dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kernelgen.synthesis.entry import Entry

Pass = Mapping[str, str]


def sweep(start: str, each: str, end: str = "") -> Pass:
    """Return one pass over the columns: lines before, for each tile (``value``, ``live``, ``cols``), and after."""
    return {"start": start, "each": each, "end": end}


def reduction(
    overload: str,
    passes: Sequence[Pass],
    results: Sequence[tuple[str, str, str]],
    *,
    dims: str = "_reduced_dims(dim, self.dim())",
    keepdim: str = "keepdim",
    compute: str = "_ACCUMULATE[dtype]",
    prepare: str = "",
    check: str = "",
    scalars: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    returns: str | None = None,
    variant: str = "default",
) -> Entry:
    """Return the entry of a reduction; ``results`` are (name, Triton expression of a row, host dtype expression)."""
    names = [name for name, _, _ in results]
    return Entry(
        overload,
        "reduction.py.j2",
        {
            "passes": list(passes),
            "results": [{"name": n, "value": v, "dtype": d} for n, v, d in results],
            "dims": dims,
            "keepdim": keepdim,
            "compute": compute,
            "prepare": prepare,
            "check": check,
            "scalars": dict(scalars or {}),
            "flags": dict(flags or {}),
            "returns": returns or ", ".join(names),
        },
        variant,
    )


def _all(overload: str, passes: Sequence[Pass], results: Sequence[tuple[str, str, str]], **more: object) -> Entry:
    """A reduction over every dimension, to a 0-d tensor."""
    options = {"dims": "_reduced_dims(None, self.dim())", "keepdim": "False"} | more
    return reduction(overload, passes, results, **options)  # type: ignore[arg-type]  # forwarded by name


_WIDEN = "dtype = dtype or (self.dtype if self.dtype.is_floating_point else torch.int64)"
_ZEROS = "= tl.zeros([BLOCK_M], COMPUTE)"


def _sum(term: str = "value") -> Pass:
    """Add up ``term``; masked lanes hold value 0, so a term that is not 0 there needs its own mask."""
    return sweep(f"total {_ZEROS}", f"total += tl.sum({term}, axis=1)")


_PRODUCT = sweep(
    "product = tl.full([BLOCK_M, BLOCK_N], 1, COMPUTE)",
    "product = tl.where(live, product * value, product)",
    "total = _tile_product(product, BLOCK_M, BLOCK_N)",
)


def _extreme(kind: str, name: str = "best", nan: str = "nan") -> Pass:
    """The largest (``max``) or smallest (``min``) number of the row, and whether the row holds a NaN."""
    neutral = "_lowest(COMPUTE)" if kind == "max" else "_highest(COMPUTE)"
    return sweep(
        f"{name} = tl.zeros([BLOCK_M], COMPUTE) + {neutral}\n{nan} = tl.zeros([BLOCK_M], tl.int32)",
        f"{nan} = tl.maximum({nan}, tl.max((value != value).to(tl.int32), axis=1))\n"
        f"known = tl.where(live & (value == value), value, {neutral})\n"
        f"{name} = tl.{kind}imum({name}, tl.{kind}(known, axis=1))",
        f"result_{name} = tl.where({nan} > 0, float('nan'), {name}) if COMPUTE.is_floating() else {name}",
    )


_POSITION = sweep(
    "index = tl.zeros([BLOCK_M], tl.int64) + N",
    "hit = live & ((value == best[:, None]) | (value != value)) & ((nan[:, None] == 0) | (value != value))\n"
    "index = tl.minimum(index, tl.min(tl.where(hit, cols[None, :], N), axis=1))",
)

_ENTRIES_EXTREMA: list[Entry] = []
for _kind in ("max", "min"):
    _value = (("out", "result_best", "self.dtype"),)
    _dim = "_reduced_dims(dim, self.dim())"
    _ENTRIES_EXTREMA += [
        reduction(
            f"a{_kind}.default",
            [_extreme(_kind)],
            _value,
            compute="_COMPUTE[self.dtype]",
            check=f'_need_elements(self, dims, "a{_kind}")',
        ),
        _all(
            f"{_kind}.default",
            [_extreme(_kind)],
            _value,
            compute="_COMPUTE[self.dtype]",
            check="if self.numel() == 0:\n"
            f'    raise RuntimeError("{_kind}(): Expected reduction dim to be specified for input.numel() == 0.")',
        ),
        reduction(
            f"{_kind}.dim",
            [_extreme(_kind), _POSITION],
            [*_value, ("indices", "index", "torch.int64")],
            compute="_COMPUTE[self.dtype]",
            check=f'_need_elements(self, dims, "{_kind}")',
        ),
        reduction(
            f"arg{_kind}.default",
            [_extreme(_kind), _POSITION],
            [("indices", "index", "torch.int64")],
            compute="_COMPUTE[self.dtype]",
            check="if self.numel() == 0 and dim is None:\n"
            f'    raise IndexError("arg{_kind}(): Expected reduction dim to be specified for input.numel() == 0.")\n'
            f'_need_elements(self, dims, "arg{_kind}")',
        ),
    ]


def _truth(name: str) -> list[Entry]:
    """any and all: over everything, one dimension, or several."""
    kind, start = ("max", 0) if name == "any" else ("min", 1)
    passes = [
        sweep(
            f"found = tl.full([BLOCK_M], {start}, tl.int32)",
            f"found = tl.{kind}imum(found, tl.{kind}(tl.where(live, (value != 0).to(tl.int32), {start}), axis=1))",
        )
    ]
    out = (("out", "found", "torch.uint8 if self.dtype == torch.uint8 else torch.bool"),)
    compute = "_COMPUTE[self.dtype]"
    every = "_reduced_dims(dim, self.dim(), empty_means_all=False)"
    return [
        _all(f"{name}.default", passes, out, compute=compute),
        reduction(f"{name}.dim", passes, out, compute=compute),
        reduction(f"{name}.dims", passes, out, compute=compute, dims=every),
    ]


_TOTAL = (("out", "total", "dtype"),)
_MEAN = (("out", "total / N", "dtype"),)
_MEAN_DTYPE = (
    "dtype = dtype or self.dtype\n"
    "if not dtype.is_floating_point:\n"
    '    raise RuntimeError(f"mean(): input and output must be floating point, not {dtype}")'
)

ENTRIES = [
    _all("sum.default", [_sum()], _TOTAL, prepare=_WIDEN),
    reduction("sum.dim_IntList", [_sum()], _TOTAL, prepare=_WIDEN),
    reduction("nansum.default", [_sum("tl.where(value == value, value, 0)")], _TOTAL, prepare=_WIDEN),
    _all("mean.default", [_sum()], _MEAN, prepare=_MEAN_DTYPE),
    reduction("mean.dim", [_sum()], _MEAN, prepare=_MEAN_DTYPE),
    _all("prod.default", [_PRODUCT], _TOTAL, prepare=_WIDEN),
    reduction("prod.dim_int", [_PRODUCT], _TOTAL, prepare=_WIDEN),
    *_ENTRIES_EXTREMA,
    *_truth("any"),
    *_truth("all"),
]
