"""The report of a backtest: one row a policy and load, ratios against the published claims; it renders no text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.score import CUTOFF_GOALS, SQUARED_GOALS, Resampled, meets, ratios, resample, row
from tuners.upgrade_sched.backtest.tradeoff import OURS, idle
from tuners.upgrade_sched.types import Floats

SCHEMA_VERSION = 1
# Squared error in the order that suits it best, whatever order was selected: information, and no claim of anyone's.
REACH = "\0oracle "  # the oracle in other orders: no rows of a report, but what says whether a goal can be reached
SHORTEST_SQUARED = "squared-error shortest-first"


@dataclass
class Cell:
    """Counts of the test windows of one policy at one load, split after split."""

    load: float
    policy: str
    windows: list[Floats] = field(default_factory=list)


def document(
    cells: Mapping[tuple[float, str], Cell],
    selections: Sequence[Mapping[str, Any]],
    blocks: Blocks,
    baselines: Sequence[str],
    *,
    run_id: str,
) -> dict[str, Any]:
    """The report as plain JSON. ``met`` is whether every claim that could be checked holds."""
    setup, history = blocks.setup, blocks.history
    sums = {key: resample(np.concatenate(cell.windows), setup.seed) for key, cell in cells.items()}
    rows = [
        {
            "load": load,
            "policy": policy,
            "windows": sum(len(part) for part in cell.windows),
            "offered": int(sums[load, policy].once[0, 0]),
            "longer_than_window": int(sums[load, policy].once[0, 6]),
        }
        | row(sums[load, policy])
        | {"idle_minutes": idle(sums[load, policy])}
        for (load, policy), cell in cells.items()
        if not policy.startswith(REACH)
    ]
    claims = []
    for load in setup.loads:
        oracles = [sums[key] for key in sums if key[0] == load and (key[1] == "oracle" or key[1].startswith(REACH))]
        for name, goals in _goals(baselines):
            claims += _claims(load, name, goals, sums[load, OURS], sums[load, name], oracles)
    informative = [claim for claim in claims if claim["against"] == SHORTEST_SQUARED]
    claims = [claim for claim in claims if claim["against"] != SHORTEST_SQUARED]
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run_id,
        "history": {
            "source": history.source,
            "records": len(history),
            "censored": int(history.censored.sum()),
            "types": len(np.unique(history.type)),
            "entities": len(np.unique(history.entity)),
        },
        "setup": {
            "window_minutes": setup.window_s / 60,
            "slots": setup.slots,
            "loads": list(setup.loads),
            "splits": setup.splits,
            "cost_ratio": setup.cost_ratio,
            "most_windows": setup.most_windows,
            "seed": setup.seed,
        },
        "rows": rows,
        "claims": claims,
        "beyond_claims": informative,
        "met": bool(claims) and all(claim["met"] for claim in claims),
        "selections": list(selections),
    }


def _goals(baselines: Sequence[str]) -> list[tuple[str, dict[str, float]]]:
    goals = [(name, CUTOFF_GOALS) for name in baselines if name.startswith(("cutoff:", "timeout:"))]
    if "squared-error" in baselines:
        goals += [("squared-error", SQUARED_GOALS), (SHORTEST_SQUARED, SQUARED_GOALS)]
    return goals


def _claims(
    load: float, name: str, goals: dict[str, float], ours: Resampled, other: Resampled, oracles: Sequence[Resampled]
) -> list[dict[str, Any]]:
    """One line for each goal: the ratio, whether it is met, and what the oracle reaches in its best order."""
    found = ratios(ours, other, tuple(goals))
    best = [ratios(oracle, other, tuple(goals)) for oracle in oracles]
    result = []
    for figure, goal in goals.items():
        ratio = found[figure]
        reached = [one[figure]["value"] for one in best]
        reach = (min(reached) if figure == "cancelled_share" else max(reached)) if reached else None
        met = meets(figure, ratio["value"], goal)
        why = ""
        if not met and reach is not None and not meets(figure, reach, goal):
            why = f"out of reach: knowing every duration gives {reach:.2f}"
        elif not met and _contains(ratio, goal):
            why = "within the interval"
        elif not met:
            why = "short"
        result.append(
            {
                "load": load,
                "against": name,
                "figure": figure,
                "goal": goal,
                "ratio": ratio,
                "oracle_ratio": reach,
                "met": met,
                "why_not": why,
            }
        )
    return result


def _contains(ratio: Mapping[str, float], goal: float) -> bool:
    return ratio["low"] <= goal <= ratio["high"]
