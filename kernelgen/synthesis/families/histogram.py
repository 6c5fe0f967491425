"""Histograms in one and several dimensions, and counts of integers."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def histogram(overload: str, body: str) -> Entry:
    """Return the entry of an operator that counts into bins; ``body`` is host code that ends in a return."""
    return Entry(overload, "histogram.py.j2", {"body": body})


_HISTC = """\
if bins <= 0:
    raise RuntimeError("bins must be > 0")
x = _contiguous(self).view(-1, 1)
n = x.shape[0]
counts = _bin_cleared((bins,), self.dtype if self.dtype in (torch.float32, torch.float64) else torch.int64, self.device)
if n:
    limits = _bin_limits(x, 0, None if min == max else (min, max), 1)
    position = torch.empty(n, dtype=torch.int64, device=self.device)
    _bin_linear_kernel[(triton.cdiv(n, 1024),)](
        position, x, limits, n, bins, COMPUTE=_COMPUTE[self.dtype], BLOCK=1024
    )
    _bin_count(counts, position, None)
return _contiguous(counts, self.dtype)
"""
_FLAT = "x = _contiguous(self).view(-1, 1)\n"
_ROWS = "columns = self.shape[-1]\nx = _contiguous(self).view(-1, columns)\n"
_GRID = (
    "edges = []\n"
    "for column, _ in enumerate(bins):\n"
    "    given = None if range is None else (range[2 * column], range[2 * column + 1])\n"
    "    edges.append(_bin_edges(x, column, bins[column], given))\n"
)
_BINCOUNT = """\
if self.dim() != 1:
    raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
if weights is not None and weights.shape != self.shape:
    raise RuntimeError("weights should be 1-d and have the same length as input")
if minlength < 0:
    raise RuntimeError("minlength should be >= 0")
dtype = torch.int64
if weights is not None and self.numel():
    dtype = torch.float32 if weights.dtype == torch.float32 else torch.float64
size = minlength
if self.numel():
    x = _contiguous(self)
    limits = _bin_limits(x.view(-1, 1), 0, None, 0)
    if limits.select(0, 0).item() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    size = max(minlength, limits.select(0, 1).item() + 1)
counts = _bin_cleared((size,), dtype, self.device)
if self.numel():
    _bin_count(counts, x, None if weights is None else _contiguous(weights))
return counts
"""

ENTRIES = [
    histogram("histc.default", _HISTC),
    histogram(
        "histogram.bin_ct",
        _FLAT + "edges = _bin_edges(x, 0, bins, range)\nreturn _bin_histogram(x, [edges], weight, density), edges",
    ),
    histogram(
        "histogram.bins_tensor",
        _FLAT + "edges = _copy_into(torch.empty(bins.shape, dtype=bins.dtype, device=bins.device), bins)\n"
        "return _bin_histogram(x, [edges], weight, density), edges",
    ),
    histogram("_histogramdd_bin_edges.default", _ROWS + _GRID + "return edges"),
    histogram("_histogramdd_from_bin_cts.default", _ROWS + _GRID + "return _bin_histogram(x, edges, weight, density)"),
    histogram("_histogramdd_from_bin_tensors.default", _ROWS + "return _bin_histogram(x, bins, weight, density)"),
    histogram("bincount.default", _BINCOUNT),
]
