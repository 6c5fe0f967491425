"""Property tests of the reduction, scan, sort and search wrappers; run in a child with TRITON_INTERPRET=1."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from kernelgen.evaluate.loader import LazyKernels
from kernelgen.runtime import interpreter
from kernelgen.runtime.overloads import overload_key
from kernelgen.synthesis.registry import sources

interpreter.install()
ATEN = torch.ops.aten
_KERNELS: dict[str, Any] = {}
quick = settings(max_examples=20, deadline=None, derandomize=True)


def same(op: Any, *args: Any, **kwargs: Any) -> None:
    """Call the generated kernel and PyTorch's; both must agree in values, dtype and shape of every result."""
    key = overload_key(op)
    if key not in _KERNELS:
        _KERNELS[key] = LazyKernels({key: sources(key)[0].text})[key]
    got, want = _KERNELS[key](*args, **kwargs), op(*args, **kwargs)
    pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
    for g, w in pairs:
        torch.testing.assert_close(g, w, check_stride=False, equal_nan=True)


@st.composite
def tensors(draw: Any, dtypes: Any = None, special: bool = True) -> torch.Tensor:
    """A tensor of 1 to 4 dimensions, in any order of dimensions and perhaps strided, with NaN and infinities."""
    dtype = draw(st.sampled_from(dtypes or [torch.float32, torch.int64, torch.bfloat16]))
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=2)) + draw(st.lists(st.integers(1, 3), max_size=2))
    made = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    x = torch.randint(-20, 20, [s * 2 for s in sizes], generator=made).to(dtype)
    if special and dtype.is_floating_point and draw(st.booleans()):
        x.view(-1)[draw(st.integers(0, 7)) % x.numel() :: 7] = draw(st.sampled_from([float("nan"), float("inf")]))
    x = x[tuple(slice(None, None, 2) for _ in sizes)]
    return x.permute(draw(st.permutations(range(len(sizes)))))


@quick
@given(tensors(), st.data())
def test_reductions(x: torch.Tensor, data: Any) -> None:
    dims = data.draw(st.lists(st.integers(0, x.dim() - 1), unique=True, min_size=1))
    keepdim = data.draw(st.booleans())
    same(ATEN.sum.dim_IntList, x, dims, keepdim)
    same(ATEN.amax.default, x, dims, keepdim)
    same(ATEN.any.dims, x, dims, keepdim)
    same(ATEN.min.dim, x, dims[0] - x.dim(), keepdim)
    same(ATEN.argmax.default, x, dims[0], keepdim)


@quick
@given(tensors(dtypes=[torch.float32, torch.float64], special=False), st.data())
def test_moments(x: torch.Tensor, data: Any) -> None:
    dims = data.draw(st.lists(st.integers(0, x.dim() - 1), unique=True, min_size=1))
    same(ATEN.var_mean.correction, x, dims, correction=data.draw(st.sampled_from([0, 0.5])))
    same(ATEN.logsumexp.default, x, dims, True)
    same(ATEN.linalg_vector_norm.default, x, data.draw(st.sampled_from([0, 1, 2, 3, float("inf")])), dims)
    same(ATEN._softmax.default, x, dims[0], False)


@quick
@given(tensors(), st.data())
def test_scans(x: torch.Tensor, data: Any) -> None:
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    same(ATEN.cummax.default, x, dim)
    same(ATEN.cummin.default, x, dim)
    if not torch.isnan(x).any() and x.dtype != torch.bfloat16:
        same(ATEN.cumsum.default, x, dim)


@quick
@given(tensors(), st.data(), st.booleans())
def test_sorting(x: torch.Tensor, data: Any, descending: bool) -> None:
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    same(ATEN.sort.stable, x, stable=True, dim=dim, descending=descending)
    same(ATEN.median.default, x)
    same(ATEN.nanmedian.default, x)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.sampled_from([65, 300, 1025]), st.booleans())
def test_long_rows_merge(length: int, descending: bool) -> None:
    x = torch.randint(0, 50, (2, length), generator=torch.Generator().manual_seed(length))
    same(ATEN.sort.stable, x, stable=True, dim=1, descending=descending)
    same(ATEN.sum.dim_IntList, x, [1])
    same(ATEN.cummax.default, x, 1)
    same(ATEN.cumsum.default, x, 1)


@quick
@given(tensors(), st.booleans())
def test_search(x: torch.Tensor, right: bool) -> None:
    boundaries = torch.arange(-15, 15, 3, dtype=x.dtype)
    same(ATEN.bucketize.Tensor, x, boundaries, right=right)
    same(ATEN.isin.Tensor_Tensor, x, boundaries, invert=right)
