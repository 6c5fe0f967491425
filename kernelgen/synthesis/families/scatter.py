"""Writing, adding and reducing elements into a copy at indexed places; the in-place forms are derived from these.

Indices out of range write nothing. Where an index repeats, plain writes keep one of the values (PyTorch promises no
more); sums use atomic additions in fp32 or wider, all other reductions a deterministic loop.
"""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def scatter(overload: str, body: str) -> Entry:
    """Return the entry of an overload whose host lines ``body`` leave the result in ``out``."""
    return Entry(overload, "scatter.py.j2", {"body": body.strip("\n")})


def reduce_at(overload: str, body: str, *, stepwise: bool = False, flat: bool = False) -> Entry:
    """Return the entry of a reduction at indices; ``body`` sets index, source, reduce and include_self where needed.

    ``stepwise`` rounds to the result's dtype after every step, as PyTorch does for this overload. With ``flat``, body
    also makes the contiguous copy ``out``, and index counts in its elements.
    """
    return Entry(overload, "reduce_at.py.j2", {"body": body.strip("\n"), "stepwise": stepwise, "flat": flat})


_PUT_AT = """
walk, step, size, low, at, _ = _index_plan(out, indices)
_scatter_into(out, walk, step, size, at, at.stride(), values, at.shape, low, {accumulate})
"""
_INDEX_PUT = f"""
if values.dtype != self.dtype:
    raise RuntimeError(
        f"Index put requires the source and destination dtypes match, got {{self.dtype}} for the destination and "
        f"{{values.dtype}} for the source."
    )
out = _clone_strided(self, _ACCUMULATOR.get(self.dtype) if accumulate else None)
{_PUT_AT.format(accumulate="accumulate").strip()}
if out.dtype != self.dtype:
    out = _clone_strided(out, self.dtype)
"""
_ALONG = """
target, at = _as_vector(out), _as_vector(index)
_scatter_into(
    target, _without(target.stride(), d), target.stride(d), target.shape[d], at, at.stride(), {source}, at.shape, {more}
)
"""


def _along(copy: str, source: str, before: str = "", *, more: str = "", after: str = "") -> str:
    lines = [before, "d = _positive_dim(dim, self.dim())", f"out = {copy}"]
    return "\n".join(x.strip("\n") for x in [*lines, _ALONG.format(source=source, more=more), after] if x)


_SAME_SHAPE = "_as_vector(src).as_strided(_as_vector(index).shape, _as_vector(src).stride(), src.storage_offset())"
# index_*: the index is 1-d and stands for all other dimensions alike.
_SPREAD = """
shape = list(_as_vector(self).shape)
shape[_positive_dim(dim, self.dim())] = index.numel()
index = _index_view(index, _positive_dim(dim, self.dim()), shape)
"""
_SAME_DTYPE = """
if self.dtype != {0}.dtype:
    raise RuntimeError(
        f"{1}: self and {0} expected to have the same dtype, but got self {{self.dtype}} and {0} {{{0}.dtype}}"
    )
"""
_WIDE = "_clone_contiguous(self, _ACCUMULATOR.get(self.dtype))"
_NARROW = """
if out.dtype != self.dtype:
    out = _clone_contiguous(out, self.dtype)
"""
_PUT = """
if index.numel() != source.numel():
    raise IndexError(
        f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
        f"{source.numel()}, index.numel() = {index.numel()}"
    )
flat = _clone_contiguous(self, _ACCUMULATOR.get(self.dtype) if accumulate else None)
n = flat.numel()
at, values = _contiguous(index).view(-1), _contiguous(source).view(-1)
_scatter_into(flat, (0,), 1, n, at, (1,), values, at.shape, -n, accumulate)
out = _clone_strided(self) if n == 0 else _copy_into(torch.empty_like(self), flat)
"""
_UNPOOL = """
k = len(output_size)
lead = self.dim() - k
out = _fill_value(_empty_layout((*self.shape[:lead], *output_size), self), 0)
size = 1
for n in output_size:
    size *= n
walk = tuple(out.stride()[:lead]) + (0,) * k
_scatter_into(out, walk, out.stride(-1), size, indices, indices.stride(), self, self.shape)
"""
_FILL = _along("_clone_strided(self)", "value", _SPREAD, more="-target.shape[d]")
_REDUCE = """
reduce = {"add": "sum", "multiply": "prod"}.get(reduce, reduce)
include_self = True
source = VALUE
"""
_MASKED_ACCUMULATE = """
out = _clone_contiguous(self)
walk, step, size, low, at, _ = _index_plan(out, indices)
index = _masked_places(walk, step, size, low, at, mask)
source = _contiguous(values.expand(at.shape)).view(-1)
dim, reduce, include_self = 0, "sum", True
"""

ENTRIES = [
    scatter("index_put.default", _INDEX_PUT),
    scatter("_unsafe_index_put.default", _INDEX_PUT),
    scatter("scatter.src", _along("_clone_contiguous(self)", _SAME_SHAPE, _SAME_DTYPE.format("src", "scatter()"))),
    scatter("scatter.value", _along("_clone_contiguous(self)", "value")),
    scatter(
        "scatter_add.default",
        _along(_WIDE, _SAME_SHAPE, _SAME_DTYPE.format("src", "scatter_add()"), more="accumulate=True", after=_NARROW),
    ),
    scatter(
        "index_add.default",
        _along(
            _WIDE,
            "_as_vector(source)",
            _SAME_DTYPE.format("source", "index_add()") + _SPREAD,
            more="accumulate=True, alpha=alpha",
            after=_NARROW,
        ),
    ),
    scatter("index_copy.default", _along("_clone_contiguous(self)", "_as_vector(source)", _SPREAD)),
    scatter("index_fill.int_Scalar", _FILL),
    scatter("index_fill.int_Tensor", _FILL),
    scatter("put.default", _PUT),
    scatter("max_unpool2d.default", _UNPOOL),
    scatter("max_unpool3d.default", _UNPOOL),
    reduce_at("scatter.reduce", _REDUCE.replace("VALUE", "src")),
    reduce_at("scatter.value_reduce", _REDUCE.replace("VALUE", "value")),
    reduce_at("scatter_reduce.two", "source = src"),
    reduce_at("index_reduce.default", _SPREAD, stepwise=True),
    reduce_at("_unsafe_masked_index_put_accumulate.default", _MASKED_ACCUMULATE, stepwise=True, flat=True),
]
