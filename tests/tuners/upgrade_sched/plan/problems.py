"""Random planning problems with every kind of constraint, for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tuners.upgrade_sched.plan.model import (
    NEVER,
    Blackout,
    Constraints,
    Fleet,
    FleetProblem,
    Floor,
    Labels,
    Limit,
    Upgrades,
    Wave,
    Window,
)
from tuners.upgrade_sched.plan.risk import Risk

START = 1_700_000_000
HOUR = 3600


@st.composite
def problems(draw: st.DrawFn, most: int = 40) -> FleetProblem:
    """A small fleet; the random part comes from one seed, so that shrinking stays quick."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    servers = draw(st.integers(1, most))
    return make(
        rng,
        servers,
        twice=draw(st.booleans()),
        waves=draw(st.integers(0, 3)),
        chains=draw(st.booleans()),
        blackouts=draw(st.integers(0, 2)),
        overlapping=draw(st.booleans()),
        rule=draw(st.sampled_from(["spread", "lognormal"])),
    )


def make(
    rng: np.random.Generator,
    servers: int,
    *,
    twice: bool = False,
    waves: int = 0,
    chains: bool = False,
    blackouts: int = 0,
    overlapping: bool = False,
    rule: str = "spread",
) -> FleetProblem:
    def labels(values: int, holes: float = 0.1) -> Labels:
        codes = rng.integers(0, values, servers)
        return Labels.of(["" if rng.random() < holes else f"v{code}" for code in codes])

    names = tuple(f"s{n}" for n in range(servers))
    domains = {"rack": labels(max(1, servers // 5)), "zone": labels(2, 0.0), "service": labels(3)}
    fleet = Fleet(names, domains, rng.random(servers) < 0.1)
    place = (
        np.concatenate((np.arange(servers), rng.integers(0, servers, servers // 3))) if twice else np.arange(servers)
    )
    count = len(place)
    mean = rng.integers(60, 2 * HOUR, count)
    mean[rng.random(count) < 0.03] = 9 * HOUR  # longer than any window
    windows = []
    for n in range(int(rng.integers(1, 6))):
        begin = START + n * (2 * HOUR if overlapping else 6 * HOUR) + int(rng.integers(0, HOUR))
        where = {"zone": (str(rng.choice(list(domains["zone"].values))),)} if rng.random() < 0.3 else {}
        windows.append(Window(f"w{n}", begin, begin + int(rng.integers(1, 5)) * HOUR, int(rng.integers(1, 5)), where))
    windows.sort(key=lambda one: one.start)
    horizon = max(one.end for one in windows)
    early = np.where(rng.random(count) < 0.2, rng.integers(START, horizon, count), 0)
    late = np.where(rng.random(count) < 0.2, rng.integers(START + HOUR, horizon + HOUR, count), NEVER)
    late = np.where(late <= early, NEVER, late)
    steps = np.where(rng.random(count) < 0.5, rng.integers(0, waves, count), -1) if waves else np.full(count, -1)
    after: dict[int, tuple[int, ...]] = {}
    if chains:
        step = np.where(steps < 0, 0, steps)
        for job in range(1, count):
            if rng.random() < 0.2:
                options = [n for n in range(job) if step[n] <= step[job]]
                if options:
                    after[job] = tuple(sorted({int(rng.choice(options)) for _ in range(2)}))
    dark = []
    for n in range(blackouts):
        begin = int(rng.integers(START, horizon))
        where = {"zone": (domains["zone"].values[0],)} if rng.random() < 0.5 else {}
        dark.append(Blackout(f"b{n}", begin, begin + int(rng.integers(600, 3 * HOUR)), where))
    limits = [Limit("rack", max_down=int(rng.integers(0, 3)))] if rng.random() < 0.7 else []
    if rng.random() < 0.3:
        limits.append(Limit("zone", share=float(rng.uniform(0.05, 0.5))))
    floors = [Floor("service", share=float(rng.uniform(0.3, 1.0)))] if rng.random() < 0.5 else []
    if rng.random() < 0.2:
        floors.append(Floor("zone", min_up=int(rng.integers(0, servers)), values=domains["zone"].values[:1]))
    rules = Constraints(
        max_running=int(rng.integers(1, 8)) if rng.random() < 0.5 else None,
        limits=tuple(limits),
        floors=tuple(floors),
        waves=tuple(Wave(f"wave{n}", int(rng.integers(0, 2)) * HOUR) for n in range(waves)),
        blackouts=tuple(dark),
        rest_is_free=bool(rng.random() < 0.3),
    )
    upgrades = Upgrades(
        ids=tuple(f"u{n}" for n in range(count)),
        server=place.astype(np.int64),
        type=tuple(str(rng.choice(["os", "bios"])) for _ in range(count)),
        weight=rng.integers(1, 5, count).astype(float),
        mean_s=mean.astype(np.int64),
        spread_s=(mean * rng.uniform(0, 0.8, count)).astype(np.int64),
        not_before=early.astype(np.int64),
        deadline=late.astype(np.int64),
        wave=steps.astype(np.int64),
        after=after,
    )
    return FleetProblem(fleet, upgrades, tuple(windows), rules, Risk(rule, float(rng.uniform(0.5, 0.97))))  # type: ignore[arg-type]  # drawn from the two rules
