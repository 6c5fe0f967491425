"""Sorting and what follows from it: sort, topk, order statistics and modes."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def sorting(overload: str, body: str) -> Entry:
    """Return the entry of an operator whose host code calls the library's sort; ``body`` ends in a return."""
    return Entry(overload, "sort.py.j2", {"body": body})


_SORT = """\
dim = _wrap_dim(dim, self.dim())
values = torch.empty_like(self)
indices = torch.empty_like(self, dtype=torch.int64)
_sort_into(values, indices, self, dim, descending)
return values, indices
"""

_TOPK = """\
dim = _wrap_dim(dim, self.dim())
size = self.shape[dim] if self.dim() else 1
if not 0 <= k <= size:
    raise RuntimeError("selected index k out of range")
shape = [k if d == dim else self.shape[d] for d in range(self.dim())]
values = torch.empty(shape, dtype=self.dtype, device=self.device)
indices = torch.empty(shape, dtype=torch.int64, device=self.device)
if values.numel():
    ordered, order = _sorted_rows(self, dim, largest)
    if self.dim():
        ordered = ordered.narrow(-1, 0, k).movedim(-1, dim)
        order = order.narrow(-1, 0, k).movedim(-1, dim)
    _copy_into(values, ordered)
    _copy_into(indices, order)
return values, indices
"""

_ROW_RESULT = """\
dim = _wrap_dim(dim, self.dim())
size = self.shape[dim] if self.dim() else 1
shape = _reduced_shape(self.shape, [dim], keepdim)
values = torch.empty(shape, dtype=self.dtype, device=self.device)
indices = torch.empty(shape, dtype=torch.int64, device=self.device)
_need_elements(self, [dim], "{name}")
if values.numel():
    ordered, order = _sorted_rows(self, dim)
    {read}
return values, indices
"""
_MEDIAN = "_median_into(values, indices, ordered, order, values.numel(), size, {skip})"
_KTH = """\
if not 1 <= k <= (self.shape[_wrap_dim(dim, self.dim())] if self.dim() else 1):
    raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(dim))
"""
_KTH_READ = (
    "flat = values if not self.dim() else values.squeeze(dim) if keepdim else values\n"
    "    places = indices if not self.dim() else indices.squeeze(dim) if keepdim else indices\n"
    "    _copy_into(flat, ordered.select(-1, k - 1) if self.dim() else ordered)\n"
    "    _copy_into(places, order.select(-1, k - 1) if self.dim() else order)"
)
_MEDIAN_ALL = """\
out = torch.empty((), dtype=self.dtype, device=self.device)
place = torch.empty((), dtype=torch.int64, device=self.device)
flat = _contiguous(self).view(-1)
if not self.numel():
    flat = torch.empty(1, dtype=self.dtype, device=self.device)
    _fill_missing_kernel[(1,)](flat, FLOATING=self.dtype.is_floating_point)
ordered, order = _sorted_rows(flat, 0)
_median_into(out, place, ordered, order, 1, flat.numel(), {skip})
return out
"""


def _median(name: str, skip: bool) -> list[Entry]:
    return [
        sorting(f"{name}.default", _MEDIAN_ALL.format(skip=skip)),
        sorting(f"{name}.dim", _ROW_RESULT.format(name=name, read=_MEDIAN.format(skip=skip))),
    ]


ENTRIES = [
    sorting("sort.default", _SORT),
    sorting("sort.stable", _SORT),
    sorting("topk.default", _TOPK),
    sorting("kthvalue.default", _KTH + _ROW_RESULT.format(name="kthvalue", read=_KTH_READ)),
    *_median("median", skip=False),
    *_median("nanmedian", skip=True),
    sorting(
        "mode.default",
        _ROW_RESULT.format(name="mode", read="_mode_into(values, indices, ordered, order, values.numel(), size)"),
    ),
]
