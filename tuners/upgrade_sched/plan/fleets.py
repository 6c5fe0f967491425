"""Seeded random fleets of any size, open and constrained, for benchmarks and tests; it plans nothing and reads no file.

Both kinds: racks of 40 servers, power feeds of 10 racks, 4 zones and services of about 100 servers spread over racks;
five types of upgrade with lognormal means and spreads of 15 to 60 %; priorities 1 to 5. Windows are four hours long,
one each night, with so many slots that ``load`` times their time is asked for.

``random_fleet`` has limits and floors that seldom bind and 5 % deadlines. ``constrained_fleet`` has every kind of
constraint there is, each so tight that lifting it changes the schedule; ``only`` leaves some kinds of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

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


KINDS = (
    "max-running",
    "rack",
    "power",
    "service",
    "zone",
    "waves",
    "blackouts",
    "deadlines",
    "not-before",
    "dependencies",
    "scopes",
)


def only(problem: FleetProblem, kinds: Collection[str]) -> FleetProblem:
    """The problem with no constraints but those of ``kinds`` (of ``KINDS``). Risk on lanes stays."""
    upgrades, rules, windows = problem.upgrades, problem.constraints, problem.windows
    count = len(upgrades)
    if "deadlines" not in kinds:
        upgrades = replace(upgrades, deadline=np.full(count, NEVER))
    if "not-before" not in kinds:
        upgrades = replace(upgrades, not_before=np.zeros(count, np.int64))
    if "dependencies" not in kinds:
        upgrades = replace(upgrades, after={})
    if "waves" not in kinds:
        upgrades, rules = replace(upgrades, wave=np.full(count, -1)), replace(rules, waves=())
    if "scopes" not in kinds:
        windows = tuple(replace(window, where={}) for window in windows)
    rules = replace(
        rules,
        max_running=rules.max_running if "max-running" in kinds else None,
        limits=tuple(limit for limit in rules.limits if limit.domain in kinds),
        floors=tuple(floor for floor in rules.floors if floor.domain in kinds),
        blackouts=rules.blackouts if "blackouts" in kinds else (),
    )
    return replace(problem, upgrades=upgrades, constraints=rules, windows=windows)


def constrained_fleet(
    servers: int, *, seed: int = 0, load: float = 1.2, nights: int = 8, risk: Risk | None = None
) -> FleetProblem:
    """A fleet of ``servers`` with one upgrade each, and firmware before it on every twelfth.

    A canary of 1 % soaks for 18 hours, a tenth for 12; a third of the nights are for two zones only; some services are
    dark for a night and everything for an hour of another; 15 % have deadlines; 10 % may not begin before some night.
    """
    rng = np.random.default_rng(seed)
    plain = random_fleet(servers, seed=seed, load=load, nights=nights, risk=risk)
    base, fleet = plain.upgrades, plain.fleet
    first = np.nonzero(rng.random(servers) < 1 / 12)[0]
    count = servers + len(first)
    firmware = np.clip(np.ceil(45 * 60 * rng.lognormal(0.0, 0.35, len(first))), 60, NIGHT // 2).astype(np.int64)
    mean = np.concatenate((base.mean_s, firmware))
    spread = np.concatenate((base.spread_s, np.ceil(firmware * 0.3).astype(np.int64)))
    deadline, early = np.full(count, NEVER), np.zeros(count, np.int64)
    hurried = rng.random(count) < 0.15
    deadline[hurried] = BEGIN + DAY * rng.integers(nights // 2, nights, int(hurried.sum())) + NIGHT // 2
    waiting = ~hurried & (rng.random(count) < 0.10)
    early[waiting] = BEGIN + DAY * rng.integers(0, nights // 2 + 1, int(waiting.sum())) + NIGHT // 4
    # Early waves come from servers with nothing to wait for, no blackout of their own and short upgrades, as an
    # operator would choose.
    billing = fleet.domains["service"].values[::10]
    calm = (early[:servers] == 0) & (base.mean_s <= 3600) & ~fleet.domains["service"].mask(billing)
    calm[first] = False
    mixed = rng.permutation(np.nonzero(calm)[0])
    canary, tenth = max(1, servers // 100), max(1, servers // 10)
    wave = np.full(count, -1)
    wave[mixed[:canary]], wave[mixed[canary : canary + tenth]] = 0, 1
    weight = np.concatenate((base.weight, base.weight[first]))
    upgrades = Upgrades(
        ids=base.ids + tuple(f"{base.ids[n]}:firmware" for n in first.tolist()),
        server=np.concatenate((base.server, first)),
        type=base.type + ("firmware",) * len(first),
        weight=weight,
        mean_s=mean,
        spread_s=spread,
        not_before=early,
        deadline=deadline,
        wave=wave,
        after={int(server): (servers + n,) for n, server in enumerate(first)},
    )
    slots = max(1, round(float(mean.sum()) / load / (nights * NIGHT)))
    windows = tuple(
        Window(w.name, w.start, w.end, slots, {"zone": ("z0", "z1")} if n % 3 == 2 else {})
        for n, w in enumerate(plain.windows)
    )
    third, fifth = windows[min(3, nights - 1)], windows[min(4, nights - 1)]
    # Two or three of a small domain may be down, or nothing could run at all.
    power, service, zone = (
        max(share, 3 / min(size, servers)) for share, size in ((0.025, 400), (0.03, 100), (0.02, max(1, servers // 4)))
    )
    rules = Constraints(
        max_running=max(1, round(slots * 0.9)),
        limits=(Limit("rack", max_down=2), Limit("power", share=min(1.0, power))),
        floors=(Floor("service", share=max(0.0, 1 - service)), Floor("zone", share=max(0.0, 1 - zone))),
        waves=(Wave("canary", DAY * 3 // 4), Wave("tenth", DAY // 2)),
        blackouts=(
            Blackout("billing run", third.start, third.end, {"service": billing}),
            Blackout("network change", fifth.start + NIGHT // 2, fifth.start + NIGHT * 3 // 4),
        ),
    )
    return FleetProblem(fleet, upgrades, windows, rules, risk or Risk())
