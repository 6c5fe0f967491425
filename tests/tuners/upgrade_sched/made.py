"""Histories made by a seeded rule, for tests; nothing is read from anywhere."""

from __future__ import annotations

import numpy as np

from tuners.upgrade_sched.types import History

BEGIN = 1_700_000_000.0


def history(count: int = 1200, *, seed: int = 0, servers: int = 20, censored: float = 0.0) -> History:
    """``servers`` servers with two types of upgrade; each server has its own pace, each type its own length."""
    rng = np.random.default_rng(seed)
    server = rng.integers(servers, size=count)
    kind = rng.integers(2, size=count)
    pace = np.random.default_rng(99).normal(0, 0.8, size=servers)
    log = np.log(1200.0) + pace[server] + 1.2 * kind + rng.normal(0, 0.4, size=count)
    submit = BEGIN + np.cumsum(rng.exponential(300.0, size=count))
    cut = rng.random(count) < censored
    return History(
        np.array([f"server-{n}" for n in server], dtype=np.str_),
        np.array(["bios" if k else "kernel" for k in kind], dtype=np.str_),
        submit + 1.0,
        np.exp(log) * np.where(cut, 0.5, 1.0),
        cut,
        np.where(cut, "cancelled", "completed").astype(np.str_),
        submit,
        {"memory": rng.choice([64.0, 128.0], size=count)},
        {"rack": np.array([f"r{n % 4}" for n in server], dtype=np.str_)},
        "made",
    )
