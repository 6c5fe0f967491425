"""Property tests of pointwise and creation wrappers; run in a child with the interpreter on (see conftest)."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgen.evaluate.loader import load_source
from kernelgen.runtime import interpreter
from kernelgen.runtime.overloads import function_name
from kernelgen.synthesis.library.host import _float_bits
from kernelgen.synthesis.registry import sources

interpreter.install()
FLOATS = [torch.float32, torch.float64]


def wrapper(overload: str) -> Any:
    return getattr(load_source(sources(overload)[0].text, overload), function_name(overload))


@st.composite
def operand_pair(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Two broadcastable tensors, either with permuted strides."""
    sizes = draw(st.lists(st.integers(0, 4), max_size=4))
    seed = torch.Generator().manual_seed(draw(st.integers(0, 99)))

    def one() -> torch.Tensor:
        shape = [1 if draw(st.booleans()) else n for n in sizes]
        order = draw(st.permutations(range(len(shape))))
        x = torch.randn([shape[d] for d in order], generator=seed, dtype=draw(st.sampled_from(FLOATS)))
        return x.permute([order.index(d) for d in range(len(shape))])

    return one(), one()


@settings(max_examples=60, deadline=None)
@given(operand_pair())
def test_add_has_the_values_dtype_and_strides_of_eager(operands: tuple[torch.Tensor, torch.Tensor]) -> None:
    got, want = wrapper("add.Tensor")(*operands, alpha=2), torch.add(*operands, alpha=2)
    torch.testing.assert_close(got, want)
    if want.numel():
        assert [s for s, n in zip(got.stride(), got.shape, strict=True) if n > 1] == [
            s for s, n in zip(want.stride(), want.shape, strict=True) if n > 1
        ]


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False))
def test_float_bits_are_the_ieee_bits(x: float) -> None:
    assert _float_bits(x) == struct.unpack("<q", struct.pack("<d", x))[0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(-50, 50)), min_size=1, max_size=8))
def test_double_pow_is_within_one_ulp(pairs: list[tuple[float, float]]) -> None:
    base, exponent = (torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True))
    got = wrapper("pow.Tensor_Tensor")(base, exponent)
    for g, (x, y) in zip(got.tolist(), pairs, strict=True):
        assert abs(g - math.pow(x, y)) <= math.ulp(math.pow(x, y))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False)), min_size=1))
def test_fmod_is_exact(pairs: list[tuple[float, float]]) -> None:
    x, y = (torch.tensor(column, dtype=torch.float32) for column in zip(*pairs, strict=True))
    got = wrapper("fmod.Tensor")(x, y)
    for g, a, b in zip(got.tolist(), x.tolist(), y.tolist(), strict=True):
        if b == 0 or math.isinf(a):
            assert math.isnan(g)
        else:
            assert g == math.fmod(a, b)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(0, 9), st.integers(-12, 12), st.sampled_from(["tril", "triu"]))
def test_triangle_indices(rows: int, columns: int, offset: int, name: str) -> None:
    got = wrapper(f"{name}_indices.default")(rows, columns, offset)
    assert torch.equal(got, getattr(torch, f"{name}_indices")(rows, columns, offset))


def test_refuses_what_pytorch_refuses() -> None:
    with pytest.raises(NotImplementedError, match="silu"):
        wrapper("silu.default")(torch.ones(2, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="single memory location"):
        wrapper("copy_.default")(torch.zeros(1).expand(3), torch.ones(3))
