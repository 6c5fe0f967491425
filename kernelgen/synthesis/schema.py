"""Python signatures from ATen schemas; reads PyTorch's registry and renders text only."""

from __future__ import annotations

import keyword
from functools import cache
from typing import Any


@cache
def overload_of(key: str) -> Any:
    """Return the ``OpOverload`` of ``add.Tensor`` (namespace aten). Raises AttributeError when PyTorch has none."""
    import torch

    op, _, overload = key.partition(".")
    return getattr(getattr(torch.ops.aten, op), overload)


@cache
def signature(key: str) -> str:
    """Return the wrapper's parameter list, as PyTorch's schema orders it: ``self, other, *, alpha=1``."""
    parts: list[str] = []
    starred = False
    for argument in overload_of(key)._schema.arguments:
        if argument.kwarg_only and not starred:
            parts.append("*")
            starred = True
        name = argument.name + ("_" if keyword.iskeyword(argument.name) else "")
        if argument.has_default_value():
            default = argument.default_value
            name += f"={default if not isinstance(default, str) else repr(default)}"
        parts.append(name)
    return ", ".join(parts)
