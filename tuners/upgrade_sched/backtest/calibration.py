"""Predicted against actual durations of the upgrades that test blocks offer; it fits and selects nothing.

*Coverage* at a level is the share of upgrades that took no longer than the quantile predicted for that level: equal to
the level where the model is calibrated (Gneiting, Balabdaoui, Raftery 2007, probabilistic calibration). Every upgrade
offered counts, whether a policy admitted it or not, so that no policy's choice bends the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.score import INTERVAL, resample
from tuners.upgrade_sched.durations.base import GRID
from tuners.upgrade_sched.durations.fit import CHOSEN
from tuners.upgrade_sched.types import Floats

SHOWN = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
BOX = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles of the actual durations in each group of like predictions
MOST_GROUPS = 12
FEWEST_IN_GROUP = 30


@dataclass(frozen=True)
class Observed:
    """The upgrades offered by one test block at one load: ``window`` numbers each one's window, ``within`` says for
    each level of ``SHOWN`` whether it took no longer than predicted (levels x upgrades), ``median`` and ``truth`` are
    natural logarithms of seconds."""

    split: int
    load: float
    model: str
    window: NDArray[np.int64]
    within: NDArray[np.bool_]
    median: Floats
    truth: Floats


def observe(blocks: Blocks, split: int, load: float, model: str) -> Observed:
    """What ``model`` foretold for test block ``split``; where it is not fitted there, the chosen one, as a policy
    does."""
    fitted, query = blocks.fitted(split), blocks.query(split, load)
    name = model if model in fitted.families else CHOSEN
    logs, truth = fitted.logs(query, name), query.log
    places = [int(np.abs(GRID - level).argmin()) for level in SHOWN]
    sizes = np.diff(blocks.demand(split, load).first)
    middle = logs[int(np.abs(GRID - 0.5).argmin())]
    window = np.repeat(np.arange(len(sizes)), sizes)
    return Observed(split, load, name, window, truth <= logs[places], middle, truth)


def calibration(parts: Sequence[Observed], seed: int) -> dict[str, Any]:
    """Coverage by split, pooled for each load with an interval (windows drawn with replacement by ``seed``), and actual
    durations by groups of like predictions; plain JSON, durations in seconds."""
    loads = list(dict.fromkeys(part.load for part in parts))
    return {
        "levels": list(SHOWN),
        "by_split": [
            {
                "split": part.split,
                "load": part.load,
                "model": part.model,
                "upgrades": len(part.truth),
                "windows": int(part.window.max(initial=-1)) + 1,
                "observed": [round(float(share), 5) for share in part.within.mean(axis=1)],
            }
            for part in parts
        ],
        "by_load": [_pooled(load, [part for part in parts if part.load == load], seed) for load in loads],
    }


def _pooled(load: float, parts: Sequence[Observed], seed: int) -> dict[str, Any]:
    counts = resample(np.concatenate([_by_window(part) for part in parts]), seed)
    share = counts.once[0, 1:] / counts.once[0, 0]
    often = counts.often[:, 1:] / np.maximum(counts.often[:, :1], 1)
    low, high = np.quantile(often, INTERVAL, axis=0)
    median, truth = (np.concatenate([getattr(part, name) for part in parts]) for name in ("median", "truth"))
    error = truth - median
    return {
        "load": load,
        "upgrades": len(truth),
        "observed": [
            {"level": level, "value": round(float(v), 5), "low": round(float(lo), 5), "high": round(float(hi), 5)}
            for level, v, lo, hi in zip(SHOWN, share, low, high, strict=True)
        ],
        # As factors: 1.3 is 30 % longer than the predicted median.
        "typical_factor": round(float(np.exp(np.median(np.abs(error)))), 4),
        "bias_factor": round(float(np.exp(np.median(error))), 4),
        "groups": _groups(median, truth),
    }


def _by_window(part: Observed) -> Floats:
    """For each window the number of upgrades, then of those within each level."""
    windows = int(part.window.max(initial=-1)) + 1
    columns = [np.bincount(part.window, minlength=windows)]
    columns += [np.bincount(part.window, row, minlength=windows) for row in part.within]
    return np.column_stack(columns).astype(float)


def _groups(median: Floats, truth: Floats) -> list[dict[str, Any]]:
    """Upgrades grouped by predicted median into equal numbers: quantiles of what they took."""
    count = int(np.clip(len(median) // FEWEST_IN_GROUP, 1, MOST_GROUPS))
    edges = np.unique(np.quantile(median, np.linspace(0, 1, count + 1)[1:-1]))
    group = np.searchsorted(edges, median, side="right")
    rows = []
    for number in range(len(edges) + 1):
        members = group == number
        if members.any():
            box = np.exp(np.quantile(truth[members], BOX))
            rows.append(
                {
                    "upgrades": int(members.sum()),
                    "predicted_s": round(float(np.exp(np.median(median[members]))), 2),
                    "actual_s": {f"q{100 * q:.0f}": round(float(v), 2) for q, v in zip(BOX, box, strict=True)},
                }
            )
    return rows
