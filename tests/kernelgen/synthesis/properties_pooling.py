"""Properties of pooling, resampling and attention wrappers; run under the interpreter by test_pooling_resampling.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given, settings

from kernelgen.evaluate.loader import LazyKernels
from kernelgen.runtime import interpreter
from kernelgen.synthesis.registry import sources

interpreter.install()
_ATEN = torch.ops.aten
_LIMITS = settings(max_examples=12, deadline=None)
_LAYOUTS = st.sampled_from([torch.contiguous_format, torch.channels_last])
_FLOATS = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16])
_PAIRS = st.tuples(st.integers(1, 14), st.integers(1, 14))


def _kernel(overload: str) -> Any:
    return LazyKernels({overload: sources(overload)[0].text})[overload]


def _same(got: Any, want: Any, **tolerance: Any) -> None:
    for a, b in zip(
        got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,), strict=True
    ):
        torch.testing.assert_close(a, b, equal_nan=True, check_stride=a.numel() > 0, **tolerance)


@_LIMITS
@given(
    st.integers(0, 3), _PAIRS, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(1, 3), st.integers(1, 2),
    st.booleans(), st.booleans(), _LAYOUTS,
)  # fmt: skip
def test_windows_of_any_size_and_step(
    batch: int, size: tuple[int, int], taps: tuple[int, int], step: int, spread: int, up: bool, whole: bool, layout: Any
) -> None:
    assume(all(n >= (k - 1) * spread + 1 for n, k in zip(size, taps, strict=True)))
    x = torch.randn(batch, 3, *size).to(memory_format=layout)
    pad = [k // 2 for k in taps]
    rest = (list(taps), [step, step], pad)
    _same(_kernel("avg_pool2d.default")(x, *rest, up, whole), _ATEN.avg_pool2d(x, *rest, up, whole))
    x[torch.rand(x.shape) < 0.1] = float("nan")
    arguments = (x, *rest, [spread, spread], up)
    want, at = _ATEN.max_pool2d_with_indices(*arguments)
    _same(_kernel("max_pool2d_with_indices.default")(*arguments), (want, at))
    grad = torch.randn_like(want)
    back = (grad, *arguments, at)
    _same(_kernel("max_pool2d_with_indices_backward.default")(*back), _ATEN.max_pool2d_with_indices_backward(*back))


@_LIMITS
@given(_PAIRS, _PAIRS, _LAYOUTS, _FLOATS)
def test_adaptive_windows(size: tuple[int, int], space: tuple[int, int], layout: Any, dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, *size).to(dtype).to(memory_format=layout)
    _same(_kernel("_adaptive_avg_pool2d.default")(x, space), _ATEN._adaptive_avg_pool2d(x, space), rtol=0.02, atol=1e-2)
    _same(_kernel("adaptive_max_pool2d.default")(x, space), _ATEN.adaptive_max_pool2d(x, space))


@_LIMITS
@given(_PAIRS, _PAIRS, st.booleans(), _LAYOUTS, st.sampled_from([torch.float32, torch.float64]))
def test_resampling_to_any_size(
    size: tuple[int, int], space: tuple[int, int], align: bool, layout: Any, dtype: torch.dtype
) -> None:
    x = torch.randn(2, 3, *size, dtype=dtype).to(memory_format=layout)
    for name in ("upsample_nearest2d", "_upsample_nearest_exact2d"):
        _same(_kernel(f"{name}.default")(x, space), getattr(_ATEN, name)(x, space))
    names = ["upsample_bilinear2d", "upsample_bicubic2d"]
    if space[1] > 1:
        # CPU PyTorch's antialiased results one column wide repeat their first row: no reference for ours.
        names += ["_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"]
    for name in names:
        _same(_kernel(f"{name}.default")(x, space, align), getattr(_ATEN, name)(x, space, align), rtol=1e-4, atol=1e-4)


@_LIMITS
@given(_PAIRS, _PAIRS, st.integers(1, 18), st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2]), st.booleans())
def test_grid_positions_inside_and_out(
    size: tuple[int, int], space: tuple[int, int], channels: int, mode: int, padding: int, align: bool
) -> None:
    x, grid = torch.randn(2, channels, *size), torch.rand(2, *space, 2) * 4 - 2
    want = _ATEN.grid_sampler_2d(x, grid, mode, padding, align)
    _same(_kernel("grid_sampler_2d.default")(x, grid, mode, padding, align), want, rtol=1e-4, atol=1e-4)


@_LIMITS
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.booleans(), st.booleans(), st.booleans())
def test_attention_of_any_length(
    rows: int, columns: int, features: int, causal: bool, masked: bool, heads_first: bool
) -> None:
    query, key, value = (torch.randn(2, n, 3, features).transpose(1, 2) for n in (rows, columns, columns))
    query = query.contiguous() if heads_first else query
    mask = torch.randn(rows, columns).masked_fill(torch.rand(rows, columns) < 0.2, float("-inf"))
    arguments: dict[str, Any] = {"attn_mask": mask if masked and not causal else None, "scale": 0.3}
    name = "_scaled_dot_product_flash_attention_for_cpu"
    want = getattr(_ATEN, name)(query, key, value, 0.0, causal, **arguments)
    _same(_kernel(f"{name}.default")(query, key, value, 0.0, causal, **arguments), want, rtol=1e-4, atol=1e-5)


def test_shapes_that_do_not_fit_are_refused() -> None:
    x = torch.ones(1, 2, 4, 4)
    with pytest.raises(RuntimeError, match="too small"):
        _kernel("avg_pool2d.default")(x, [6, 6])
    with pytest.raises(RuntimeError, match="at most half"):
        _kernel("max_pool2d_with_indices.default")(x, [2, 2], [2, 2], [2, 2])
    with pytest.raises(RuntimeError, match="greater than 0"):
        _kernel("upsample_bilinear2d.default")(x, [0, 2], False)
    with pytest.raises(RuntimeError, match="agree in batch"):
        _kernel("grid_sampler_2d.default")(x, torch.zeros(2, 3, 3, 2), 0, 0, False)
    with pytest.raises(RuntimeError, match="4 dimensions"):
        _kernel("_scaled_dot_product_flash_attention_for_cpu.default")(x[0], x, x)
