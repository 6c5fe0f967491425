"""Property tests of the gather, scatter and shape wrappers; run in a child with TRITON_INTERPRET=1 (see conftest)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis import assume, given, settings

from kernelgen.evaluate.loader import LazyKernels
from kernelgen.runtime import interpreter
from kernelgen.runtime.overloads import overload_key
from kernelgen.synthesis.registry import sources

interpreter.install()
ATEN = torch.ops.aten
_KERNELS: dict[str, Any] = {}

DTYPES = st.sampled_from([torch.float32, torch.int64, torch.bfloat16, torch.bool])
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
quick = settings(max_examples=25, deadline=None, derandomize=True)


def same(op: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Call the generated kernel and PyTorch's; both must agree in values, dtype, shape and significant strides."""
    key = overload_key(op)
    if key not in _KERNELS:
        _KERNELS[key] = LazyKernels({key: sources(key)[0].text})[key]
    got, want = _KERNELS[key](*args, **kwargs), op(*args, **kwargs)
    torch.testing.assert_close(got, want, check_stride=False, equal_nan=True)
    if want.numel():
        assert [s for n, s in zip(got.shape, got.stride(), strict=True) if n > 1] == [
            s for n, s in zip(want.shape, want.stride(), strict=True) if n > 1
        ]
    return want


@st.composite
def tensors(draw: Any, sizes: Any = SIZES, dtypes: Any = DTYPES) -> torch.Tensor:
    """A tensor of random layout: permuted, cut out of a larger one, or expanded along a dimension."""
    shape, dtype = draw(sizes), draw(dtypes)
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.sampled_from([0, 0, 1])) for _ in shape]
    base = torch.arange(1, 1 + int(torch.tensor([n + g for n, g in zip(shape, gaps, strict=True)]).prod()))
    base = ((base * 37) % 101 - 50).reshape([shape[d] + gaps[d] for d in order])
    for d, size in enumerate(shape[k] for k in order):
        base = base.narrow(d, base.shape[d] - size, size)
    x = (base > 0 if dtype == torch.bool else base.to(dtype)).permute([order.index(d) for d in range(len(shape))])
    if draw(st.integers(0, 5)) == 0:
        x = x.narrow(0, 0, 1).expand(x.shape)
    return x


def indices_for(draw: Any, size: int, shape: list[int], *, low: int = 0) -> torch.Tensor:
    numel = int(torch.tensor(shape).prod()) if shape else 1
    values = draw(st.lists(st.integers(low, size - 1), min_size=numel, max_size=numel))
    return torch.tensor(values, dtype=torch.int64).reshape(shape)


@quick
@given(st.data())
def test_gather_and_scatter(data: Any) -> None:
    x = data.draw(tensors())
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    shape = [data.draw(st.integers(1, n)) for n in x.shape]
    index = indices_for(data.draw, x.shape[dim], shape)
    picked = same(ATEN.gather.default, x, dim, index)
    same(ATEN.scatter_add.default, x, dim, index, picked)
    same(ATEN.scatter.value, x, dim, index, 1)
    if x.dtype != torch.bool:
        reduce = data.draw(st.sampled_from(["sum", "prod", "amax", "amin"]))
        same(ATEN.scatter_reduce.two, x % 3, dim, index, picked % 3, reduce, include_self=data.draw(st.booleans()))


@quick
@given(st.data())
def test_advanced_indexing(data: Any) -> None:
    x = data.draw(tensors())
    common = data.draw(st.lists(st.integers(1, 3), min_size=0, max_size=2))
    indices: list[torch.Tensor | None] = []
    while not indices or (len(indices) < x.dim() and data.draw(st.booleans())):
        kind = data.draw(st.sampled_from(["none", "long", "int", "thin"]))
        size = x.shape[len(indices)]
        if kind == "none":
            indices.append(None)
            continue
        thin = [1 if kind == "thin" else n for n in common]
        index = indices_for(data.draw, size, thin, low=-size)
        indices.append(index.int() if kind == "int" else index)
    assume(any(index is not None for index in indices))
    picked = same(ATEN.index.Tensor, x, indices)
    numbers = torch.arange(picked.numel()).reshape(picked.shape).to(x.dtype)
    same(ATEN.index_put.default, x, indices, numbers % 5 if x.dtype != torch.bool else numbers, True)
    same(ATEN.index_put.default, x, indices, numbers[..., :1] if picked.dim() else numbers, False)


@quick
@given(st.data())
def test_masks(data: Any) -> None:
    x = data.draw(tensors())
    mask = x > 0
    rows = same(ATEN.nonzero.default, x)
    same(ATEN.nonzero_static.default, x, size=len(rows) // 2 + 1, fill_value=-7)
    same(ATEN.index.Tensor, x, [mask])
    taken = same(ATEN.masked_select.default, x, mask)
    same(ATEN.masked_scatter.default, x, mask, taken.flip(0))


@quick
@given(st.data())
def test_index_family(data: Any) -> None:
    x = data.draw(tensors())
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    count = data.draw(st.integers(1, 4))
    index = indices_for(data.draw, x.shape[dim], [count])
    picked = same(ATEN.index_select.default, x, dim, index)
    same(ATEN.index_add.default, x, dim, index, picked)
    same(ATEN.index_fill.int_Scalar, x, dim, index, 1)
    unique = index.unique()
    same(ATEN.index_copy.default, x, dim, unique, picked.narrow(dim, 0, len(unique)))
    flat = indices_for(data.draw, x.numel(), [count], low=-x.numel())
    same(ATEN.put.default, x, flat, same(ATEN.take.default, x, flat), False)


@quick
@given(st.data())
def test_moves(data: Any) -> None:
    x = data.draw(tensors())
    n = x.dim()
    dims = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1))
    signed = [d - n if data.draw(st.booleans()) else d for d in dims]
    shifts = [data.draw(st.integers(-9, 9)) for _ in dims]
    same(ATEN.flip.default, x, signed)
    same(ATEN.roll.default, x, shifts, signed)
    same(ATEN.roll.default, x, shifts[:1], [])
    same(ATEN.repeat.default, x, [2, *(data.draw(st.integers(0, 3)) for _ in range(n))])
    same(ATEN.cat.default, [x, x.to(torch.float32), x.narrow(dims[0], 0, 1)], signed[0])
    same(ATEN.diag_embed.default, x, data.draw(st.integers(-3, 3)), 0, -1)
    pads = [data.draw(st.integers(-1, 3)) for _ in range(2 * data.draw(st.integers(1, n)))]
    assume(all(x.shape[n - 1 - k] + min(pads[2 * k], 0) + min(pads[2 * k + 1], 0) >= 0 for k in range(len(pads) // 2)))
    same(ATEN.constant_pad_nd.default, x, pads, 1)


@quick
@given(st.data())
def test_written_slices(data: Any) -> None:
    x = data.draw(tensors())
    dim = data.draw(st.integers(0, x.dim() - 1))
    start, end = data.draw(st.integers(-6, 6)), data.draw(st.one_of(st.none(), st.integers(-6, 9)))
    step = data.draw(st.integers(1, 3))
    part = ATEN.slice.Tensor(x, dim, start, end, step)
    same(ATEN.slice_copy.Tensor, x, dim, start, end, step)
    same(ATEN.slice_scatter.default, x, torch.ones_like(part), dim, start, end, step)
    same(ATEN.select_scatter.default, x, torch.ones_like(x.select(dim, -1)), dim, -1)


def test_many_blocks() -> None:
    x = (torch.arange(3 * 70 * 41) * 7919 % 1009 - 500).reshape(3, 70, 41).float()
    index = torch.arange(5000) % 70
    same(ATEN.index_select.default, x, 1, index[:300])
    same(ATEN.index_add.default, x, 1, index[:300], ATEN.index_select(x, 1, index[:300]))
    same(ATEN.nonzero.default, x.relu())
    same(ATEN.masked_select.default, x, x > 0)
    same(ATEN.repeat_interleave.Tensor, index)
    same(ATEN.flip.default, x.transpose(0, 2), [0, 1])
    same(ATEN.constant_pad_nd.default, x.transpose(0, 2), [1, 2, 3, 4])


def test_an_index_out_of_range_touches_no_memory() -> None:
    index = torch.tensor([0, 99, -99, 2])
    for key, call in {
        "index_select.default": lambda k: k(torch.ones(4), 0, index),
        "take.default": lambda k: k(torch.ones(4), index),
        "index.Tensor": lambda k: k(torch.ones(4), [index]),
    }.items():
        assert call(LazyKernels({key: sources(key)[0].text})[key]).tolist() == [1.0, 0.0, 0.0, 1.0]
    put = LazyKernels({"index_fill.int_Scalar": sources("index_fill.int_Scalar")[0].text})["index_fill.int_Scalar"]
    assert put(torch.zeros(4), 0, index, 5.0).tolist() == [5.0, 0.0, 5.0, 0.0]
