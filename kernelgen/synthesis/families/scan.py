"""Scans: running sums, products, extrema and log-sum-exp along one dimension."""

from __future__ import annotations

from collections.abc import Sequence

from kernelgen.synthesis.entry import Entry

_WIDEN = "dtype = dtype or (self.dtype if self.dtype.is_floating_point else torch.int64)"


def scan(
    overload: str,
    start: str,
    each: str,
    *,
    neutral: str,
    results: Sequence[tuple[str, str]] = (("out", "dtype"),),
    prepare: str = "",
    compute: str = "_ACCUMULATE[dtype]",
) -> Entry:
    """Return the entry of a scan; ``each`` sets ``<name>_tile`` for every (name, host dtype) of ``results``."""
    return Entry(
        overload,
        "scan.py.j2",
        {
            "start": start,
            "each": each,
            "neutral": neutral,
            "results": [{"name": n, "dtype": d} for n, d in results],
            "prepare": prepare,
            "compute": compute,
            "returns": ", ".join(n for n, _ in results),
        },
    )


def _extreme(name: str, neutral: str) -> Entry:
    largest = name == "cummax"
    return scan(
        f"{name}.default",
        f"best = tl.zeros([BLOCK_M], COMPUTE) + {neutral}\nbest_index = tl.zeros([BLOCK_M], tl.int64)",
        "here = cols[None, :] + tl.zeros([BLOCK_M, BLOCK_N], tl.int64)\n"
        f"values_tile, indices_tile = _scan_extreme(value, here, {largest}, BLOCK_M, BLOCK_N)\n"
        f"values_tile, indices_tile = _extreme_step(\n"
        f"    values_tile, indices_tile, best[:, None], best_index[:, None], 1, {largest}\n"
        ")\n"
        "best = _last_column(values_tile, BLOCK_N)\n"
        "best_index = _last_column(indices_tile, BLOCK_N)",
        neutral=neutral,
        results=(("values", "self.dtype"), ("indices", "torch.int64")),
        compute="_COMPUTE[self.dtype]",
    )


ENTRIES = [
    scan(
        "cumsum.default",
        "carry = tl.zeros([BLOCK_M], COMPUTE)",
        "out_tile = tl.cumsum(value, axis=1) + carry[:, None]\ncarry += tl.sum(value, axis=1)",
        neutral="0",
        prepare=_WIDEN,
    ),
    scan(
        "cumprod.default",
        "carry = tl.full([BLOCK_M], 1, COMPUTE)",
        "out_tile = tl.cumprod(value, axis=1) * carry[:, None]\ncarry *= _tile_product(value, BLOCK_M, BLOCK_N)",
        neutral="1",
        prepare=_WIDEN,
    ),
    _extreme("cummax", "_lowest(COMPUTE)"),
    _extreme("cummin", "_highest(COMPUTE)"),
    scan(
        "logcumsumexp.default",
        'carry = tl.full([BLOCK_M], float("-inf"), COMPUTE)',
        "out_tile = _log_add_exp(carry[:, None], _scan_log_add_exp(value, BLOCK_M, BLOCK_N))\n"
        "carry = _last_column(out_tile, BLOCK_N)",
        neutral='float("-inf")',
        results=(("out", "self.dtype"),),
        compute="_ACCUMULATE[self.dtype]",
    ),
]
