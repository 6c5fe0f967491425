"""Refuse bad arguments as PyTorch does, before a kernel sees them, by asking PyTorch's own shape functions."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map

# Overloads that turned out to have no shape function that runs on metadata alone.
_WITHOUT: set[Any] = set()
_DEPENDS_ON_DATA = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class _NotPlain(Exception):
    """An argument has no strided metadata to check."""


def _to_meta(x: Any) -> Any:
    if not isinstance(x, torch.Tensor):
        return x
    if x.layout is not torch.strided:
        raise _NotPlain
    return torch.empty_strided(x.size(), x.stride(), dtype=x.dtype, device="meta")


def validate(func: Any, args: Any, kwargs: Any) -> None:
    """Raise what PyTorch raises for these arguments of the ``OpOverload`` ``func``: wrong shapes, dtypes or dimensions.

    Works on tensors without data (device ``meta``), so no element is read. Where PyTorch has no shape function for the
    overload, or its result depends on data, nothing is checked.
    """
    if func in _WITHOUT or any(tag in func.tags for tag in _DEPENDS_ON_DATA):
        return
    try:
        named = tree_map(_to_meta, kwargs) | ({"device": "meta"} if "device" in kwargs else {})
        func(*tree_map(_to_meta, args), **named)
    except _NotPlain:
        return
    except NotImplementedError:
        _WITHOUT.add(func)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        # A shape function that needs values is no judge of the arguments.
        if "meta" not in str(error).lower() and "fake" not in str(error).lower():
            raise
        _WITHOUT.add(func)
