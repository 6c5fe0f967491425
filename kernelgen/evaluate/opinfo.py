"""PyTorch's OpInfo database as problems: names, dtypes and deterministic samples; runs nothing."""

from __future__ import annotations

import random
import warnings
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch

REFERENCE_DTYPES = ("bfloat16", "float16", "float32", "int32", "int64")

# Their contract leaves the elements of the result undefined, so only its metadata can be compared.
UNDEFINED_VALUES = frozenset(
    {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
)


@cache
def database() -> dict[str, list[Any]]:
    """Return OpInfo entries by name, in PyTorch's order; one name can have several entries (variants)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    found: dict[str, list[Any]] = {}
    for entry in op_db:
        found.setdefault(entry.name, []).append(entry)
    return found


def dtype_names(name: str) -> tuple[str, ...]:
    """Return the dtypes OpInfo claims on the CPU for any entry of ``name``, sorted (``float32``, no ``torch.``)."""
    found = {str(d).removeprefix("torch.") for entry in database()[name] for d in entry.supported_dtypes("cpu")}
    return tuple(sorted(found))


def samples(name: str, dtype: str) -> Iterator[tuple[Any, Any]]:
    """Yield (entry, SampleInput) for every sample of every entry of ``name`` that claims ``dtype``.

    The same name and dtype give the same samples in every process: all random sources are seeded from the two.
    """
    torch_dtype = getattr(torch, dtype)
    for number, entry in enumerate(database()[name]):
        if torch_dtype not in entry.supported_dtypes("cpu"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seed_everything(f"{name}/{dtype}/{number}")
            made = list(entry.sample_inputs("cpu", torch_dtype, requires_grad=False))
        for sample in made:
            yield entry, sample


def error_samples(name: str) -> Iterator[tuple[Any, Any]]:
    """Yield (entry, SampleInput) for the error inputs of every entry of ``name``, seeded like samples."""
    for number, entry in enumerate(database()[name]):
        if entry.error_inputs_func is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seed_everything(f"{name}/error/{number}")
            try:
                made = [error.sample_input for error in entry.error_inputs("cpu")]
            except Exception:  # OpInfo's own generators for some operators need a GPU or another test class
                continue
        for sample in made:
            yield entry, sample


def seed_everything(label: str) -> None:
    """Seed Python, NumPy and PyTorch from a label."""
    seed = zlib.crc32(label.encode())
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def tolerance(entry: Any, dtype: torch.dtype) -> tuple[float, float] | None:
    """Return OpInfo's own (rtol, atol) for an entry and dtype, the loosest of its overrides; None means the defaults.

    OpInfo states overrides as ``toleranceOverride`` and ``precisionOverride`` decorators on test names. All that apply
    to value comparisons of forward results count.
    """
    rtol, atol = None, None
    for decorator in entry.decorators:
        inner = getattr(decorator, "decorators", [decorator])
        test = getattr(decorator, "test_name", None)
        if test and any(word in test for word in ("grad", "jvp", "vmap", "vjp", "backward", "jit")):
            continue
        for item in inner:
            override = getattr(item, "d", None)
            if not isinstance(override, dict) or dtype not in override:
                continue
            value = override[dtype]
            item_rtol, item_atol = (value.rtol, value.atol) if hasattr(value, "rtol") else (0.0, float(value))
            rtol = max(rtol or 0.0, item_rtol)
            atol = max(atol or 0.0, item_atol)
    if rtol is None or atol is None:
        return None
    from torch.testing._comparison import default_tolerances

    default_rtol, default_atol = default_tolerances(dtype)
    return max(rtol, default_rtol), max(atol, default_atol)
