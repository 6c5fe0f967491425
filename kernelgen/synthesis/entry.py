"""What a family says of an operator, and the kernel file that comes of it; holds no operator's semantics itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """The semantics of one ATen overload: ``overload`` (``add.Tensor``), the template that shapes the code, and what
    the template reads. Several entries with one overload are variants, best guess first."""

    overload: str
    template: str
    params: Mapping[str, Any] = field(default_factory=dict)
    variant: str = "default"


@dataclass(frozen=True)
class KernelSource:
    """One rendered kernel file: text that imports torch and triton only and defines the overload's wrapper."""

    overload: str
    variant: str
    archetype: str
    text: str
