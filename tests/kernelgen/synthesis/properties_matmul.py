"""Properties of the matrix wrappers against eager PyTorch; run under the interpreter by test_matmul_linalg.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from kernelgen.evaluate.loader import LazyKernels
from kernelgen.runtime import interpreter
from kernelgen.synthesis.registry import sources

interpreter.install()
_SIZES = st.integers(0, 40)
_LIMITS = settings(max_examples=12, deadline=None)


def _kernel(overload: str) -> Any:
    return LazyKernels({overload: sources(overload)[0].text})[overload]


def _matrix(rows: int, columns: int, dtype: torch.dtype, turned: bool) -> torch.Tensor:
    shape = (columns, rows) if turned else (rows, columns)
    x = torch.randint(-9, 10, shape).to(dtype)
    return x.t() if turned else x


@_LIMITS
@given(
    _SIZES, _SIZES, _SIZES, st.sampled_from([torch.float32, torch.float64, torch.int64]), st.booleans(), st.booleans()
)
def test_products_of_any_shape_and_stride(
    m: int, k: int, n: int, dtype: torch.dtype, first: bool, second: bool
) -> None:
    a, b = _matrix(m, k, dtype, first), _matrix(k, n, dtype, second)
    torch.testing.assert_close(_kernel("mm.default")(a, b), a @ b)
    bias = torch.randint(-9, 10, (n,)).to(dtype)
    want = torch.addmm(bias, a, b, beta=3, alpha=2)
    torch.testing.assert_close(_kernel("addmm.default")(bias, a, b, beta=3, alpha=2), want)


def test_beta_zero_does_not_read_the_bias() -> None:
    a, b = torch.ones(2, 3), torch.ones(3, 2)
    got = _kernel("addmm.default")(torch.full((2,), float("nan")), a, b, beta=0)
    assert torch.equal(got, a @ b)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RuntimeError, match="do not fit"):
        _kernel("mm.default")(torch.ones(2, 3), torch.ones(2, 3))


@_LIMITS
@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2),
    st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_convolution(
    batch: int, groups: int, size: int, taps: int, stride: int, pad: int, spread: int, turned: bool
) -> None:
    x, weight = torch.randn(batch, 2 * groups, size, size), torch.randn(2 * groups, 2, taps, taps)
    step, edge, gap = [stride] * 2, [pad] * 2, [spread] * 2
    arguments = (x, weight, torch.randn(2 * groups), step, edge, gap, turned, [0, 0], groups)
    try:
        want = torch.ops.aten.convolution.default(*arguments)
    except RuntimeError:
        return  # PyTorch refuses a kernel larger than the padded input
    torch.testing.assert_close(_kernel("convolution.default")(*arguments), want, rtol=1e-4, atol=1e-4)


@_LIMITS
@given(st.integers(0, 2), st.integers(1, 40), st.booleans())
def test_factorisations_past_one_tile(batch: int, size: int, turned: bool) -> None:
    a = torch.randn(batch, size, size, dtype=torch.float64) + size * torch.eye(size, dtype=torch.float64)
    a = a.mT if turned else a
    b = torch.randn(batch, size, 3, dtype=torch.float64)
    x, _, pivots, info = _kernel("_linalg_solve_ex.default")(a, b)
    torch.testing.assert_close(a @ x, b)
    assert torch.equal(pivots, torch.linalg.lu_factor(a).pivots)
    assert not info.any()
    q, r = _kernel("linalg_qr.default")(a)
    torch.testing.assert_close(q @ r, a)
    torch.testing.assert_close(r.triu(), r)


@_LIMITS
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3))
def test_singular_values_of_any_rank(rows: int, columns: int, rank: int) -> None:
    a = torch.randn(rows, rank, dtype=torch.float64) @ torch.randn(rank, columns, dtype=torch.float64)
    u, s, vh = _kernel("_linalg_svd.default")(a, True)
    small = min(rows, columns)
    torch.testing.assert_close(s, torch.linalg.svdvals(a))
    torch.testing.assert_close(u[:, :small] * s @ vh[:small], a)
    torch.testing.assert_close(u.mT @ u, torch.eye(rows, dtype=torch.float64))
    torch.testing.assert_close(vh @ vh.mT, torch.eye(columns, dtype=torch.float64))


def test_info_names_the_failing_minor() -> None:
    a = torch.diag(torch.tensor([1.0, 2.0, -3.0, 4.0]))
    _, info = _kernel("linalg_cholesky_ex.default")(a)
    assert info.item() == 3
    _, info = _kernel("linalg_inv_ex.default")(torch.diag(torch.tensor([1.0, 0.0, 3.0])))
    assert info.item() == 2


@_LIMITS
@given(st.integers(0, 2), st.integers(1, 40), st.integers(1, 35))
def test_indefinite_factorisation_and_its_solve(batch: int, size: int, width: int) -> None:
    a = torch.randn(batch, size, size, dtype=torch.float64)
    a = a + a.mT
    b = torch.randn(batch, size, width, dtype=torch.float64)
    factors, pivots, info = _kernel("linalg_ldl_factor_ex.default")(a)
    want = torch.linalg.ldl_factor_ex(a)
    torch.testing.assert_close(factors, want.LD)
    assert torch.equal(pivots, want.pivots)
    assert not info.any()
    torch.testing.assert_close(_kernel("linalg_ldl_solve.default")(factors, pivots, b), torch.linalg.solve(a, b))


@_LIMITS
@given(st.integers(1, 2), st.integers(1, 40))
def test_eigenvalues_past_one_tile(batch: int, size: int) -> None:
    a = torch.randn(batch, size, size, dtype=torch.float64)
    a = a + a.mT
    values, vectors = _kernel("_linalg_eigh.default")(a)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(a))
    torch.testing.assert_close(vectors * values.unsqueeze(-2) @ vectors.mT, a)
