"""Picking elements by index tensors: gather, take, advanced indexing, embedding lookups; writes nothing in place.

An index out of range reads nothing and gives 0 (a kernel cannot raise); PyTorch on the CPU raises IndexError there.
"""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def gather(overload: str, body: str) -> Entry:
    """Return the entry of an overload whose host lines ``body`` leave the result in ``out``."""
    return Entry(overload, "gather.py.j2", {"body": body.strip("\n")})


_ADVANCED = """
walk, step, size, low, at, places = _index_plan(self, indices)
window = self.as_strided(at.shape, walk, self.storage_offset())
order = _result_strides(at.shape, [window, *places])
out = torch.empty_strided(at.shape, order, dtype=self.dtype, device=self.device)
_gather_into(out, self, walk, step, size, at, at.stride(), low)
"""
_GATHER = """
d, source = _positive_dim(dim, self.dim()), _as_vector(self)
out = torch.empty(index.shape, dtype=self.dtype, device=self.device)
at, target = _as_vector(index), _as_vector(out)
_gather_into(target, source, _without(source.stride(), d), source.stride(d), source.shape[d], at, at.stride())
"""
_INDEX_SELECT = """
d, source = _positive_dim(dim, self.dim()), _as_vector(self)
shape = list(source.shape)
shape[d] = index.numel()
out = torch.empty(shape if self.dim() else (), dtype=self.dtype, device=self.device)
walk, at = _without(source.stride(), d), _index_view(index, d, shape)
_gather_into(_as_vector(out), source, walk, source.stride(d), source.shape[d], at, at.stride())
"""
_TAKE = """
source = _contiguous(self)
out = torch.empty(index.shape, dtype=self.dtype, device=self.device)
n = source.numel()
_gather_into(out, source, (0,) * out.dim(), 1, n, index, index.stride(), -n)
"""
_EMBEDDING = """
out = torch.empty((*indices.shape, *weight.shape[1:]), dtype=weight.dtype, device=weight.device)
walk = (0,) * indices.dim() + tuple(weight.stride()[1:])
at = tuple(indices.stride()) + (0,) * (weight.dim() - 1)
_gather_into(out, weight, walk, weight.stride(0), weight.shape[0], indices, at)
"""

ENTRIES = [
    gather("gather.default", _GATHER),
    gather("index_select.default", _INDEX_SELECT),
    gather("take.default", _TAKE),
    gather("index.Tensor", _ADVANCED),
    gather("_unsafe_index.Tensor", _ADVANCED),
    gather("embedding.default", _EMBEDDING),
]
