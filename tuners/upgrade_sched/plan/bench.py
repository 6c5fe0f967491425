"""Seeded random fleets of any size, and how fast, lean and close to the bound they are planned; it reads no file.

The fleet: racks of 40 servers, power feeds of 10 racks, 4 zones and services of about 100 servers spread over racks;
five types of upgrade with lognormal means and spreads of 15 to 60 %; priorities 1 to 5; 5 % with a deadline. Windows
are four hours long, one each night, with so many slots that ``load`` times their time is asked for.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

import numpy as np

from sysmith_errors import InternalFault
from tuners.upgrade_sched.plan.bound import upper_bound
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import Policy, build
from tuners.upgrade_sched.plan.model import (
    NEVER,
    Constraints,
    Fleet,
    FleetProblem,
    Floor,
    Labels,
    Limit,
    Upgrades,
    Window,
)
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.verify import violations

DAY, NIGHT = 86_400, 4 * 3600
BEGIN = 1_772_402_400  # 2026-03-01T22:00:00Z
TYPES = (("kernel", 25, 0.25), ("firmware", 45, 0.4), ("bios", 35, 0.3), ("os", 70, 0.6), ("agent", 8, 0.5))


def random_fleet(
    servers: int, *, seed: int = 0, load: float = 1.2, nights: int = 20, risk: Risk | None = None
) -> FleetProblem:
    """A fleet of ``servers`` with one upgrade each; ``load`` is the mean work asked for over the windows' time."""
    rng = np.random.default_rng(seed)
    number = np.arange(servers)
    rack = number // 40
    fleet = Fleet(
        tuple(f"s{n:07d}" for n in range(servers)),
        {
            "rack": _labels(rack, "r"),
            "power": _labels(rack // 10, "p"),
            "zone": _labels(rack % 4, "z"),
            "service": _labels(rng.permutation(servers) // 100, "svc"),
        },
        rng.random(servers) < 0.002,
    )
    kind = rng.choice(len(TYPES), servers, p=(0.3, 0.15, 0.15, 0.15, 0.25))
    minutes = np.array([row[1] for row in TYPES], float)[kind] * rng.lognormal(0.0, 0.35, servers)
    mean = np.clip(np.ceil(minutes * 60), 60, NIGHT // 2).astype(np.int64)
    spread = np.ceil(mean * np.array([row[2] for row in TYPES])[kind] * rng.uniform(0.6, 1.0, servers)).astype(np.int64)
    deadline = np.full(servers, NEVER)
    hurried = rng.random(servers) < 0.05
    deadline[hurried] = BEGIN + DAY * rng.integers(nights // 3, nights, int(hurried.sum()))
    upgrades = Upgrades(
        ids=fleet.names,
        server=number,
        type=tuple(TYPES[k][0] for k in kind),
        weight=rng.integers(1, 6, servers).astype(float),
        mean_s=mean,
        spread_s=spread,
        not_before=np.zeros(servers, np.int64),
        deadline=deadline,
        wave=np.full(servers, -1),
    )
    slots = max(1, round(float(mean.sum()) / load / (nights * NIGHT)))
    windows = tuple(Window(f"night-{n + 1}", BEGIN + n * DAY, BEGIN + n * DAY + NIGHT, slots) for n in range(nights))
    rules = Constraints(
        max_running=slots,
        limits=(Limit("rack", max_down=4), Limit("power", max_down=30)),
        floors=(Floor("service", share=0.9), Floor("zone", share=0.5)),
    )
    return FleetProblem(fleet, upgrades, windows, rules, risk or Risk())


def _labels(codes: np.ndarray, prefix: str) -> Labels:
    return Labels(codes.astype(np.int64), tuple(f"{prefix}{n}" for n in range(int(codes.max(initial=0)) + 1)))


def bench(
    servers: int, *, seed: int = 0, load: float = 1.2, policy: Policy | None = None, check: bool = True
) -> dict[str, Any]:
    """Plan one random fleet: seconds of each part, peak memory of the process (MiB), gap to the bound.

    ``seconds`` counts all from the problem in memory to the schedule and its bound; the independent check is apart.
    """
    problem = random_fleet(servers, seed=seed, load=load)
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
        "peak_memory_mib": round(_peak_mib(), 1),
        "scheduled": int(schedule.placed.sum()),
        "value": float(weight[schedule.placed].sum()),
        "bound": round(bound.value, 3),
        "gap_percent": round(100 * bound.gap(schedule, weight), 3),
        "violations": len(found) if check else None,
    }


def _peak_mib() -> float:
    """Peak memory of this process so far, MiB; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def bench_apart(servers: int, *, seed: int, load: float, check: bool) -> dict[str, Any]:
    """``bench`` in a process of its own, so that its peak memory is its own. Raises InternalFault where it breaks."""
    import json
    import subprocess

    call = f"bench({servers}, seed={seed}, load={load!r}, check={check})"
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
