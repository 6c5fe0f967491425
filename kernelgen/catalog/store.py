"""The catalog as the program uses it: recorded once for a PyTorch version, kept in the cache, read from there."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from harness.cache import Cache, canonical_hash
from kernelgen.catalog.record import SCHEMA_VERSION, OperatorFacts


def index() -> list[OperatorFacts]:
    """Return every operator with its family and dtypes, in PyTorch's order, without running any: a few seconds the
    first time, then from the cache. The facts that take running (``samples`` counts, ``overloads``) are left empty."""
    store = Cache()
    key = canonical_hash({"index": SCHEMA_VERSION, "torch": _torch(), "rules": _rules()})
    found = store.get(key)
    if found is None:
        from kernelgen.catalog.families import family_of
        from kernelgen.evaluate import opinfo

        rows = [
            OperatorFacts(
                name,
                family_of(name, type(entries[0]).__name__),
                len(entries),
                (getattr(entries[0].op, "__doc__", None) or "").strip(),
                dict.fromkeys(opinfo.dtype_names(name), 0),
            )
            for name, entries in opinfo.database().items()
        ]
        found = {"operators": [asdict(row) for row in rows]}
        store.put(key, found)
    return [OperatorFacts(**facts) for facts in found["operators"]]


def _torch() -> str:
    return importlib.metadata.version("torch")


def _rules() -> list[str]:
    return [(Path(__file__).parent / name).read_text() for name in ("families.toml", "record.py")]


def catalog(on_name: Callable[[str], object] = lambda name: None) -> dict[str, Any]:
    """Return the catalog of the installed PyTorch; records it on first use (about a minute), then reads it back."""
    store = Cache()
    key = canonical_hash({"catalog": SCHEMA_VERSION, "torch": _torch(), "rules": _rules()})
    found = store.get(key)
    if found is None:
        from kernelgen.catalog.record import record
        from kernelgen.evaluate import opinfo

        found = record(list(opinfo.database()), on_name)
        store.put(key, found)
    return found


def operators(data: dict[str, Any]) -> list[OperatorFacts]:
    """Return the catalog's operators in PyTorch's order."""
    return [OperatorFacts(**facts) for facts in data["operators"].values()]


@cache
def reference_names() -> tuple[str, ...]:
    """Return the 558 names of the reference set: OpInfo of PyTorch 2.13 less FFT, complex-only, random, names that lack
    one of the five dtypes, and names with 900 samples or more over them."""
    data = json.loads((Path(__file__).parent / "reference_set.json").read_text())
    return tuple(data["names"])
