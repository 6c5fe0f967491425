"""Record which ATen overloads an operator dispatches, by running its samples in PyTorch; keeps no values."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kernelgen.catalog.families import family_of
from kernelgen.evaluate import opinfo
from kernelgen.runtime.overloads import kind_of, overload_key

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class OverloadFacts:
    """What PyTorch says of one overload: ``kind`` is view, allocation, metadata, host_read or compute."""

    schema: str
    kind: str
    decomposition: bool


@dataclass(frozen=True)
class OperatorFacts:
    """One OpInfo name: ``overloads`` maps dtype to what its samples dispatch, ``samples`` dtype to their number."""

    name: str
    family: str
    entries: int
    doc: str
    samples: dict[str, int] = field(default_factory=dict)
    overloads: dict[str, list[str]] = field(default_factory=dict)

    def all_overloads(self) -> list[str]:
        """Return the overloads over all dtypes, sorted."""
        return sorted({key for keys in self.overloads.values() for key in keys})


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func] += 1
        return func(*args, **(kwargs or {}))


def record(names: Iterable[str], on_name: Callable[[str], object] = lambda name: None) -> dict[str, Any]:
    """Run all samples of ``names`` on every CPU dtype; return {"operators": ..., "overloads": ...} as plain JSON."""
    operators: dict[str, Any] = {}
    overloads: dict[str, Any] = {}
    torch.set_num_threads(1)
    for name in names:
        on_name(name)
        entries = opinfo.database()[name]
        counts: dict[str, int] = {}
        dispatched: dict[str, list[str]] = {}
        for dtype in opinfo.dtype_names(name):
            recorder = _Recorder()
            made = list(_samples(name, dtype))
            for entry, sample in made:
                # Some entries cannot run on a CPU at all (jiterator); what they dispatched before that still counts.
                with warnings.catch_warnings(), contextlib.suppress(Exception):
                    warnings.simplefilter("ignore")
                    with recorder:
                        entry(sample.input, *sample.args, **sample.kwargs)
            counts[dtype] = len(made)
            dispatched[dtype] = sorted(overload_key(func) for func in recorder.seen)
            for func in recorder.seen:
                overloads.setdefault(overload_key(func), asdict(_facts(func)))
        doc = (getattr(entries[0].op, "__doc__", None) or "").strip()
        family = family_of(name, type(entries[0]).__name__)
        operators[name] = asdict(OperatorFacts(name, family, len(entries), doc, counts, dispatched))
    return {
        "schema_version": SCHEMA_VERSION,
        "torch": torch.__version__,
        "operators": operators,
        "overloads": dict(sorted(overloads.items())),
    }


def _samples(name: str, dtype: str) -> Iterable[tuple[Any, Any]]:
    with contextlib.suppress(NotImplementedError):
        yield from opinfo.samples(name, dtype)


def _facts(func: Any) -> OverloadFacts:
    from torch._decomp import decomposition_table

    return OverloadFacts(str(func._schema), kind_of(func), func in decomposition_table)
