"""Evaluate operators in this very process, without a sandbox: for developing kernels; never for untrusted ones.

``python -m kernelgen.evaluate.inprocess add sum --dtypes float32,int64 --trace``
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import Any


def main(arguments: list[str]) -> int:
    """Print a line for each operator: tests passed, overloads that lack a kernel, the first difference."""
    os.environ["TRITON_INTERPRET"] = "1"
    import torch

    from kernelgen.evaluate import opinfo
    from kernelgen.evaluate.compare import difference
    from kernelgen.evaluate.loader import LazyKernels
    from kernelgen.evaluate.observe import observe
    from kernelgen.runtime import interpreter
    from kernelgen.runtime.compositions import COMPOSITES, decompositions
    from kernelgen.runtime.router import RoutingMode
    from kernelgen.synthesis.registry import entries, sources

    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+", help="OpInfo names, or 'all'")
    parser.add_argument("--dtypes", default=",".join(opinfo.REFERENCE_DTYPES))
    parser.add_argument("--trace", action="store_true", help="print the traceback of the first failure")
    parser.add_argument("--quiet", action="store_true", help="failures only")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    interpreter.install()
    kernels = LazyKernels({key: sources(key)[0].text for key in entries()})
    rules = decompositions()
    names = list(opinfo.database()) if options.names == ["all"] else options.names
    names = [line.strip() for line in open(names[0][1:])] if names[0].startswith("@") else names
    passed_names, blockers = 0, Counter[str]()
    for name in names:
        total = passed = 0
        first, missing, began = "", Counter[str](), time.perf_counter()
        for dtype in options.dtypes.split(","):
            for (entry, sample), (_, twin) in zip(
                opinfo.samples(name, dtype), opinfo.samples(name, dtype), strict=True
            ):
                total += 1
                label = f"{dtype} sample {total}"
                opinfo.seed_everything(label)
                want = observe(lambda e=entry, s=sample: e(s.input, *s.args, **s.kwargs), sample)
                mode = RoutingMode(
                    kernels,
                    composites=COMPOSITES,
                    decompositions=rules,
                    launch_count=lambda: interpreter.LAUNCHES.count,
                )

                def call(e: Any = entry, s: Any = twin, m: Any = mode) -> Any:
                    try:
                        with m:
                            return e(s.input, *s.args, **s.kwargs)
                    except Exception:
                        if options.trace and not first:
                            traceback.print_exc()
                        raise

                opinfo.seed_everything(label)
                got = observe(call, twin)
                missing.update(mode.stats.missing)
                text = difference(
                    got,
                    want,
                    opinfo.tolerance(entry, getattr(torch, dtype)),
                    check_values=name not in opinfo.UNDEFINED_VALUES,
                )
                passed += not text
                if text and not first:
                    first = f"{label}: {twin.summary() if hasattr(twin, 'summary') else ''} {text}"[:700]
        passed_names += passed == total
        if passed == total and options.quiet:
            continue
        blockers.update(missing.keys())
        state = "ok  " if passed == total else "FAIL"
        print(
            f"{state} {name}: {passed}/{total} {time.perf_counter() - began:.1f}s",
            f"missing {sorted(missing)}" if missing else "",
            first,
            flush=True,
        )
    print(f"{passed_names} of {len(names)} names pass")
    if len(names) > 20:
        print("overloads without a kernel:", blockers.most_common(40))
    return 0 if passed_names == len(names) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
