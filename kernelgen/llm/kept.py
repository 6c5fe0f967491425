"""Kernels of models that passed, kept beside the runs, and a proposer that offers them before a model is asked again.

They are judged like any other candidate. One JSON file each, named by its content: {"schema_version", "overload",
"source", "author", "operator", "run"}; what does not read as that is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agents.protocols import Analysis, Proposal, Trial
from kernelgen.llm.situation import situation
from kernelgen.synthesis.entry import KernelSource
from sysmith_files import write_atomic

SCHEMA_VERSION = 1
FOLDER = "kernels"


@dataclass(frozen=True)
class KeptKernel:
    """``author`` is ``llm:<model>``; ``operator`` and ``run`` say where it passed first."""

    overload: str
    source: str
    author: str
    operator: str
    run: str

    @property
    def variant(self) -> str:
        """The name it has among the variants of its overload."""
        return f"{self.author}@{hashlib.sha256(self.source.encode()).hexdigest()[:8]}"

    def kernel_source(self) -> KernelSource:
        """As a variant of the library, for an export."""
        return KernelSource(self.overload, self.variant, "llm", self.source)


class KeptKernels:
    """The kernels in ``state``/kernels as they were when the run began, and those that this run adds."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER
        self._lock = threading.Lock()
        self._kernels: dict[str, list[KeptKernel]] = {}
        for path in sorted(self.folder.glob("*.json")):
            kernel = _read(path)
            if kernel is not None:
                self._kernels.setdefault(kernel.overload, []).append(kernel)

    def of(self, overload: str) -> list[KeptKernel]:
        """The kernels of an overload, oldest run first."""
        with self._lock:
            return sorted(self._kernels.get(overload, ()), key=lambda kernel: (kernel.run, kernel.variant))

    def sources(self) -> list[KernelSource]:
        """All of them as variants of the library."""
        with self._lock:
            return [kernel.kernel_source() for found in self._kernels.values() for kernel in found]

    def keep(self, kernels: Mapping[str, str], author: str, operator: str, run: str) -> None:
        """Keep kernels (overload -> text) that passed; one that is there already stays as it is. Raises OSError."""
        for overload, text in sorted(kernels.items()):
            with self._lock:
                known = self._kernels.setdefault(overload, [])
                if any(kernel.source == text for kernel in known):
                    continue
                kernel = KeptKernel(overload, text, author, operator, run)
                self.folder.mkdir(parents=True, exist_ok=True)
                content = json.dumps({"schema_version": SCHEMA_VERSION} | asdict(kernel), indent=1).encode() + b"\n"
                stem = "".join(c if c.isalnum() else "_" for c in overload)
                write_atomic(self.folder / f"{stem}-{kernel.variant.rpartition('@')[2]}.json", content)
                known.append(kernel)


def _read(path: Path) -> KeptKernel | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        data = json.loads(path.read_bytes())
        if data.pop("schema_version") == SCHEMA_VERSION and all(isinstance(value, str) for value in data.values()):
            return KeptKernel(**data)
    return None


class KeptProposer:
    """Offers, to an operator that no proposal passed, the kept kernels of the overloads at fault, one at a time."""

    name = "kept"

    def __init__(self, kept: KeptKernels, library_hash: str) -> None:
        self._kept, self._hash = kept, library_hash

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        """Yield one proposal for each kept kernel of an overload that is missing or failing."""
        if not history or any(trial.passed for trial in history):
            return
        found = situation(history, improve=False)
        base: Mapping[str, Any] = found.base.proposal.payload if found.base is not None else {}
        for overload in found.wanted:
            for kernel in self._kept.of(overload):
                if base.get("kernels", {}).get(overload) == kernel.source:
                    continue
                payload = {
                    "library": self._hash,
                    "variants": dict(base.get("variants", {})),
                    "kernels": dict(base.get("kernels", {})) | {overload: kernel.source},
                }
                why = f"it passed for {kernel.operator} in run {kernel.run}"
                yield Proposal(f"kept-{kernel.variant.rpartition('@')[2]}", kernel.author, why, (), payload)
