"""How fast, lean and close to the bound random fleets are planned; it reads no file.

``fleets`` says what the fleets are like.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sysmith_errors import InternalFault
from tuners.upgrade_sched.plan.bound import combinatorial_bound, upper_bound
from tuners.upgrade_sched.plan.fleets import KINDS, constrained_fleet, only, random_fleet
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import Policy, build
from tuners.upgrade_sched.plan.reading import reading
from tuners.upgrade_sched.plan.verify import violations


def bench(
    servers: int,
    *,
    seed: int = 0,
    load: float = 1.2,
    policy: Policy | None = None,
    check: bool = True,
    constrained: bool = False,
    kinds: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Plan one random fleet: seconds of each part, peak memory of the process (MiB), gap to the bound.

    ``seconds`` counts all from the problem in memory to the schedule and its bound; the independent check is apart.
    ``operations`` counts the scheduler's steps, the same on any machine. ``gap_loose_percent`` is the gap to the bound
    that knows lanes, deadlines and one constraint at a time. ``kinds``: the constrained fleet with these kinds of
    constraints only (``fleets.KINDS``).
    """
    if kinds is not None:
        problem = only(constrained_fleet(servers, seed=seed, load=load), kinds)
    else:
        problem = (constrained_fleet if constrained else random_fleet)(servers, seed=seed, load=load)
    began, processor = time.perf_counter(), time.process_time()
    compiled = compile_problem(problem)
    ready = time.perf_counter()
    schedule = build(compiled, policy)
    built = time.perf_counter()
    bound = upper_bound(compiled)
    ended, processor = time.perf_counter(), time.process_time() - processor
    found = violations(problem, schedule) if check else []
    checked = time.perf_counter()
    weight = problem.upgrades.weight
    return {
        "servers": servers,
        "constrained": constrained or kinds is not None,
        "kinds": list(kinds) if kinds is not None else list(KINDS) if constrained else None,
        "upgrades": len(problem.upgrades),
        "windows": len(problem.windows),
        "slots": problem.windows[0].slots,
        "load": load,
        "seed": seed,
        "seconds": round(ended - began, 3),
        "cpu_seconds": round(processor, 3),
        "seconds_prepare": round(ready - began, 3),
        "seconds_schedule": round(built - ready, 3),
        "seconds_bound": round(ended - built, 3),
        "seconds_verify": round(checked - ended, 3),
        "operations": schedule.facts["operations"],
        "peak_memory_mib": round(_peak_mib(), 1),
        "scheduled": int(schedule.placed.sum()),
        "value": float(weight[schedule.placed].sum()),
        "bound": round(bound.value, 3),
        "bound_method": bound.method,
        "gap_percent": round(100 * bound.gap(schedule, weight), 3),
        "gap_loose_percent": round(100 * combinatorial_bound(compiled).gap(schedule, weight), 3),
        "gap_reading": reading(compiled, schedule, bound),
        "violations": len(found) if check else None,
    }


def growth(rows: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """The exponents with which the scheduler's operations and the processor's seconds grow with the fleet: the slope of
    a line through their logarithms (least squares); 1 is linear. None for fewer than two sizes."""
    sizes = np.log([row["servers"] for row in rows])
    if len(np.unique(sizes)) < 2:
        return None
    found = {}
    for name in ("operations", "cpu_seconds"):
        found[name] = round(float(np.polyfit(sizes, np.log([max(row[name], 1e-3) for row in rows]), 1)[0]), 3)
    return found


def _peak_mib() -> float:
    """Peak memory of this process so far, MiB; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def bench_apart(
    servers: int,
    *,
    seed: int,
    load: float,
    check: bool,
    constrained: bool = False,
    kinds: Sequence[str] | None = None,
) -> dict[str, Any]:
    """``bench`` in a process of its own, so that its peak memory is its own. Raises InternalFault where it breaks."""
    import json
    import subprocess

    some = list(kinds) if kinds is not None else None
    call = f"bench({servers}, seed={seed}, load={load!r}, check={check}, constrained={constrained}, kinds={some!r})"
    code = f"import json; from tuners.upgrade_sched.plan.bench import bench; print(json.dumps({call}))"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise InternalFault(f"planning {servers} servers broke: {last[0]}")
    row: dict[str, Any] = json.loads(done.stdout)
    return row
