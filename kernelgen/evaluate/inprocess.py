"""Evaluate operators in this very process, without a sandbox: for developing kernels, never for untrusted ones.

``python -m kernelgen.evaluate.inprocess add sum --dtypes float32,int64 --trace``
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernelgen.selection import REFERENCE_DTYPES


@dataclass
class _Result:
    """What came of one operator: samples, those that passed, overloads without a kernel, the first difference."""

    total: int = 0
    passed: int = 0
    missing: set[str] = field(default_factory=set)
    first: str = ""


def _library() -> dict[str, str]:
    from kernelgen.synthesis.registry import entries, sources

    texts = {}
    for key in entries():
        try:
            texts[key] = sources(key)[0].text
        except Exception as error:  # one entry that is being worked on must not stop work on the others
            print(f"cannot render {key}: {type(error).__name__}: {error}", file=sys.stderr)
    return texts


def _evaluate(name: str, dtypes: Sequence[str], kernels: Mapping[str, Any], trace: bool) -> _Result:
    import torch

    from kernelgen.evaluate import opinfo, sampling
    from kernelgen.evaluate.compare import difference
    from kernelgen.runtime import interpreter
    from kernelgen.runtime.compositions import COMPOSITES, decompositions
    from kernelgen.runtime.router import RoutingMode

    result = _Result()

    @contextlib.contextmanager
    def around(case: sampling.Case) -> Iterator[None]:
        mode = RoutingMode(
            kernels,
            composites=COMPOSITES,
            decompositions=decompositions(),
            launch_count=lambda: interpreter.LAUNCHES.count,
        )
        try:
            with mode:
                yield
        except Exception:  # printed for the developer, and raised again
            if trace and not result.first:
                traceback.print_exc()
            raise
        finally:
            result.missing.update(mode.stats.missing)

    ours, theirs = sampling.cases(name, dtypes), sampling.cases(name, dtypes)
    for (case, got), (_, want) in zip(sampling.run(ours, around), sampling.run(theirs), strict=True):
        if case.replay and want.error:
            continue  # reversed values are not valid for every operator
        tolerance = opinfo.tolerance(case.entry, getattr(torch, case.dtype))
        text = difference(got, want, tolerance, check_values=name not in opinfo.UNDEFINED_VALUES)
        result.total += 1
        result.passed += not text
        if text and not result.first:
            result.first = f"{case.label}: {case.sample.summary()} {text}"[:700]
    return result


def main(arguments: list[str]) -> int:
    """Print a line for each operator: calls passed (second calls included), overloads missing, the first difference."""
    os.environ["TRITON_INTERPRET"] = "1"
    import torch

    from kernelgen.evaluate import opinfo
    from kernelgen.evaluate.loader import LazyKernels
    from kernelgen.runtime import interpreter

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="OpInfo names, @FILE with names, or 'all'")
    parser.add_argument("--dtypes", default=",".join(REFERENCE_DTYPES))
    parser.add_argument("--trace", action="store_true", help="print the traceback of the first failure")
    parser.add_argument("--quiet", action="store_true", help="failures only")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    interpreter.install()
    kernels = LazyKernels(_library())
    names = list(opinfo.database()) if options.names == ["all"] else options.names
    if names[0].startswith("@"):
        names = Path(names[0][1:]).read_text().split()
    passed, blockers = 0, Counter[str]()
    for name in names:
        began = time.perf_counter()
        result = _evaluate(name, options.dtypes.split(","), kernels, options.trace)
        good = result.passed == result.total
        passed += good
        if not good:
            blockers.update(result.missing)
        if not (good and options.quiet):
            missing = f"missing {sorted(result.missing)} " if result.missing else ""
            seconds = time.perf_counter() - began
            state = "ok  " if good else "FAIL"
            print(f"{state} {name}: {result.passed}/{result.total} {seconds:.1f}s {missing}{result.first}", flush=True)
    print(f"{passed} of {len(names)} names pass")
    if blockers and len(names) > 20:
        print("overloads without a kernel:", blockers.most_common(40))
    return 0 if passed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
