"""What one sample's call did, as plain data: outputs, inputs afterwards, aliasing, error; compares nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_flatten


@dataclass(frozen=True)
class Leaf:
    """One leaf of a result: a tensor (``data``: its elements, row-major) or a plain value (``text``: its repr)."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    data: bytes = b""
    alias: int = -1
    text: str = ""


@dataclass(frozen=True)
class Observation:
    """The outcome of one call: leaves of the result, tensors of the input after the call, or the error raised."""

    outputs: tuple[Leaf, ...] = ()
    structure: str = ""
    inputs: tuple[Leaf, ...] = ()
    error: str = ""
    message: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


def tensor_leaf(x: torch.Tensor, inputs: list[torch.Tensor]) -> Leaf:
    """Copy a tensor's elements out. ``alias`` is the position of the first input that shares its storage, or -1."""
    dtype = str(x.dtype).removeprefix("torch.")
    if x.layout is not torch.strided:
        return Leaf(text=f"tensor with layout {x.layout}", dtype=dtype, shape=tuple(x.shape))
    alias = -1
    if x.numel():
        pointer = x.untyped_storage().data_ptr()
        alias = next((i for i, t in enumerate(inputs) if _storage(t) == pointer), -1)
    plain = x.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return Leaf(dtype, tuple(x.shape), tuple(x.stride()), data, alias)


def _storage(x: torch.Tensor) -> int:
    return x.untyped_storage().data_ptr() if x.layout is torch.strided and x.numel() else 0


def to_tensor(leaf: Leaf) -> torch.Tensor:
    """Rebuild a contiguous tensor from a leaf."""
    dtype = getattr(torch, leaf.dtype)
    if not leaf.data:
        return torch.empty(leaf.shape, dtype=dtype)
    return torch.frombuffer(bytearray(leaf.data), dtype=torch.uint8).view(dtype).reshape(leaf.shape)


def input_tensors(sample: Any) -> list[torch.Tensor]:
    """Return all tensors among a sample's arguments, in a fixed order."""
    leaves, _ = tree_flatten((sample.input, sample.args, sample.kwargs))
    return [x for x in leaves if isinstance(x, torch.Tensor)]


def observe(call: Callable[[], Any], sample: Any) -> Observation:
    """Run ``call`` and describe what it did; an exception becomes part of the description."""
    inputs = input_tensors(sample)
    try:
        result = call()
    except Exception as error:  # a sample's failure is data here, whatever its type
        return Observation(error=type(error).__name__, message=str(error)[:2000])
    leaves, structure = tree_flatten(result)
    outputs = tuple(
        tensor_leaf(x, inputs) if isinstance(x, torch.Tensor) else Leaf(text=f"{type(x).__name__} {x!r}")
        for x in leaves
    )
    return Observation(outputs, str(structure), tuple(tensor_leaf(x, []) for x in inputs))
