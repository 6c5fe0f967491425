"""Write a run's kernels as a backend that stands alone, or as a folder for evaluation harnesses; evaluates nothing.

``enabling.py``, ``kernel_files.py`` and ``registering.py`` are copied into the export, beside ``kernelgen/runtime``;
they reach it by relative imports that hold in both places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelgen.export.folder import check_replaceable, write_folder
from kernelgen.export.layouts import LAYOUTS, check_name, contents, paths
from kernelgen.export.manifest import NAME, exportable, manifest
from kernelgen.outcome import OperatorOutcome
from kernelgen.synthesis.entry import KernelSource

__all__ = ["LAYOUTS", "check_destination", "export"]


def check_destination(out: Path, layout: str) -> None:
    """Raise InputError when :func:`export` would refuse ``out``; call it before a long run."""
    check_name(out, layout)
    check_replaceable(out)


def export(
    out: Path,
    layout: str,
    outcomes: Sequence[OperatorOutcome],
    library: Mapping[str, Sequence[KernelSource]],
    report: Mapping[str, Any],
) -> int:
    """Write the kernel of every overload that ran in an operator that passed; returns the number of kernel files.

    ``layout`` is ``package`` (a backend to import, named after the folder) or ``directory``
    (``<op>__<overload>/<op>__<overload>_implementation_v1.py``); both carry ``manifest.json``. ``report`` is the run's
    JSON document. An earlier export at ``out`` is replaced whole. Raises InputError when ``out`` cannot be used.
    """
    check_destination(out, layout)
    kernels = exportable(outcomes, library)
    files = contents(out, layout, kernels, outcomes)
    described = manifest(layout, kernels, paths(layout, kernels), files, outcomes, report)
    files[NAME] = (json.dumps(described, indent=1) + "\n").encode()
    write_folder(out, files)
    return len(kernels)
