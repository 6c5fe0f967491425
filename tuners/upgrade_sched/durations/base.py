"""What every family of duration models has in common: what it learns from and what it gives; it learns nothing itself.

Inside the models durations are natural logarithms of seconds, with one second as the shortest; quantiles carry over
from logarithms to seconds unchanged, and heavy tails fit in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.features import HistoryIndex, log_s
from tuners.upgrade_sched.types import LEVELS, Floats, Prediction

GRID = np.array(LEVELS)
LONGEST_S = 400 * 86_400.0  # no prediction is longer; it keeps a wild model's exponentials finite


@dataclass(frozen=True)
class Query:
    """Which upgrades are asked about: ``rows`` of the index's history, each as seen at ``at`` (Unix seconds).
    ``matrix`` holds their features."""

    index: HistoryIndex
    rows: NDArray[np.int64]
    at: Floats
    matrix: NDArray[np.float32]

    @classmethod
    def of(cls, index: HistoryIndex, rows: NDArray[np.int64], at: Floats, crowd: Floats | None = None) -> Query:
        """``crowd``: see ``HistoryIndex.matrix``."""
        return cls(index, rows, at, index.matrix(rows, at, crowd))

    def part(self, where: Any) -> Query:
        """The upgrades of ``where`` (a slice, a mask or positions)."""
        return Query(self.index, self.rows[where], self.at[where], self.matrix[where])

    @property
    def log(self) -> Floats:
        """The true logarithms: for learning and judging only."""
        return log_s(self.index.history.duration_s[self.rows])

    @property
    def censored(self) -> NDArray[np.bool_]:
        return self.index.history.censored[self.rows]


class Family(Protocol):
    """One kind of model. ``learn`` fits it to a query whose outcomes are known; ``held_back`` are later records, for
    what must not be read off records that were fitted. ``learn_again`` then fits it to both, and keeps what was read.
    ``logs`` gives quantiles of the logarithm at ``LEVELS`` (levels x upgrades), rising along levels. ``state`` and
    ``restore`` carry what was learned as plain JSON and booster files (UBJSON)."""

    name: str

    def learn(self, query: Query, held_back: Query) -> None: ...

    def learn_again(self, query: Query) -> None: ...

    def logs(self, query: Query) -> Floats: ...

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]: ...

    def restore(self, state: dict[str, Any], boosters: dict[str, bytes]) -> None: ...


def rising(quantiles: Floats) -> Floats:
    """Quantiles (levels x upgrades) put in order, so that they never cross (Chernozhukov et al. 2010: sorting never
    makes them worse)."""
    result: Floats = np.sort(quantiles, axis=0)
    return result


def to_prediction(logs: Floats) -> Prediction:
    """A prediction in seconds from quantiles of the logarithm. Mean and spread are those of the distribution that is
    linear between the quantiles and constant outside them."""
    quantiles = np.exp(np.clip(logs, 0.0, np.log(LONGEST_S)))
    return Prediction(*_moments(quantiles))


def _moments(quantiles: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    first, last = GRID[0], 1 - GRID[-1]
    mean = np.trapezoid(quantiles, GRID, axis=0) + first * quantiles[0] + last * quantiles[-1]
    square = np.trapezoid(quantiles**2, GRID, axis=0) + first * quantiles[0] ** 2 + last * quantiles[-1] ** 2
    return mean, GRID, quantiles, np.sqrt(np.maximum(square - mean**2, 0.0))


def pinball(truth: Floats, predicted: Floats, level: Floats | float) -> Floats:
    """The pinball loss: ``level`` for each unit predicted too short, ``1 - level`` for each too long (Koenker 2005)."""
    error = truth - predicted
    result: Floats = np.maximum(level * error, (level - 1) * error)
    return result


def critical_level(cost_ratio: float) -> float:
    """The quantile that costs least where a unit too short costs ``cost_ratio`` units too long (the newsvendor's
    critical fractile)."""
    return cost_ratio / (cost_ratio + 1)
