"""Exports of synthesised kernels, and processes that can use them but cannot import Sysmith; it asserts nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernelgen.export import export
from kernelgen.outcome import OperatorOutcome
from kernelgen.synthesis.registry import entries, sources

# What the registration tests call; the in-place and ``out=`` forms follow from these.
FEW = ("_softmax.default", "add.Tensor", "addmm.default", "copy_.default", "mm.default", "mul.Tensor", "relu.default")

_PRELUDE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"kernelgen", "harness", "agents", "knowledge", "sysmith_errors", "jinja2"}:
            raise ModuleNotFoundError(f"{name} is not part of an export", name=name)
sys.meta_path.insert(0, Absent())
"""


def outcome(name: str, overloads: Sequence[str], *, passed: bool = True, **more: Any) -> OperatorOutcome:
    """An operator with five float32 samples that ran the given kernels; one sample fails where ``passed`` is False."""
    scores = {"float32": (5, 5 if passed else 4)}
    return OperatorOutcome(name, "any", passed, scores, "synthesis", overloads=tuple(overloads), **more)


def write_backend(folder: Path, overloads: Sequence[str], layout: str = "package") -> Path:
    """Export the kernels of ``overloads`` to ``folder`` as if one operator had passed with all of them."""
    unknown = set(overloads) - set(entries())
    assert not unknown, f"synthesis has no kernel of {sorted(unknown)}"
    library = {key: sources(key) for key in overloads}
    assert export(folder, layout, [outcome("everything", overloads)], library, {"run": "r1"}) == len(overloads)
    return folder


def run_alone(
    code: str, *arguments: object, cwd: Path, interpret: bool = True, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh isolated Python that cannot import Sysmith; warnings are errors there.

    ``path`` goes on its ``sys.path``. The process's ``TRITON_INTERPRET`` is 1 if ``interpret``, else unset.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TRITON_", "PYTHON"))}
    environment["OMP_NUM_THREADS"] = "1"
    if interpret:
        environment["TRITON_INTERPRET"] = "1"
    first = f"sys.path.insert(0, {str(path)!r})\n" if path else ""
    command = [sys.executable, "-I", "-W", "error", "-c", _PRELUDE + first + code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
