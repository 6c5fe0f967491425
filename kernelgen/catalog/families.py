"""Which family an operator belongs to; read from data, no operator is decided in code."""

from __future__ import annotations

import fnmatch
import tomllib
from functools import cache
from pathlib import Path

_BY_CLASS = {
    "UnaryUfuncInfo": "pointwise",
    "BinaryUfuncInfo": "pointwise",
    "ReductionOpInfo": "reduction",
    "SpectralFuncInfo": "fft",
    "ShapeFuncInfo": "shape",
}


@cache
def _patterns() -> tuple[tuple[str, tuple[str, ...]], ...]:
    data = tomllib.loads((Path(__file__).parent / "families.toml").read_text())
    return tuple((family["name"], tuple(family["patterns"])) for family in data["family"])


def family_names() -> tuple[str, ...]:
    """Return every family, sorted."""
    return tuple(sorted({name for name, _ in _patterns()} | set(_BY_CLASS.values()) | {"other"}))


def family_of(name: str, opinfo_class: str) -> str:
    """Return the family of an OpInfo name: the first pattern that matches it, else by its OpInfo class."""
    for family, patterns in _patterns():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return family
    return _BY_CLASS.get(opinfo_class, "other")
