"""The words shared by history, duration models and scheduler, as frozen types; it reads no file and fits no model.

Times are Unix seconds (UTC), durations are seconds. Arrays run along upgrades, in the order of the sequence or history
they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Feature = float | str | bool | None
Outcome = Literal["completed", "failed", "cancelled", "timeout"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

# The levels at which every model gives quantiles; dense where risk is decided.
LEVELS: tuple[float, ...] = (
    *(0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
    *(0.9, 0.925, 0.95, 0.97, 0.98, 0.99),
)


@dataclass(frozen=True)
class HistoryRecord:
    """One upgrade that ran.

    ``entity`` is what it ran on or for (server, user, host), ``type`` what kind of upgrade it was (package, cause,
    queue). A ``censored`` one was cut off: it would have taken longer than ``duration_s``. ``submit`` is when it was
    known to be due (equal to ``start`` where the history does not say).
    """

    entity: str
    type: str
    start: float
    duration_s: float
    censored: bool = False
    outcome: Outcome = "completed"
    submit: float | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)

    @property
    def end(self) -> float:
        return self.start + self.duration_s


@dataclass(frozen=True)
class History:
    """Records as columns, in the order in which they were due (``submit``); ``len`` is the number of records.

    ``numbers`` holds features that are numbers (NaN: not given), ``texts`` those that are words ("" : not given).
    Build it with ``tuners.upgrade_sched.history.build.from_records`` or by reading a file.
    """

    entity: NDArray[np.str_]
    type: NDArray[np.str_]
    start: Floats
    duration_s: Floats
    censored: NDArray[np.bool_]
    outcome: NDArray[np.str_]
    submit: Floats
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    texts: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    source: str = ""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def end(self) -> Floats:
        """When each record ended, Unix seconds."""
        return self.start + self.duration_s

    def take(self, rows: Any) -> History:
        """The records of ``rows`` (indices, a slice or a mask), in that order."""
        return History(
            self.entity[rows],
            self.type[rows],
            self.start[rows],
            self.duration_s[rows],
            self.censored[rows],
            self.outcome[rows],
            self.submit[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            {name: column[rows] for name, column in self.texts.items()},
            self.source,
        )


@dataclass(frozen=True)
class Upgrade:
    """One upgrade that is still to run: ``id`` is its own name, ``server`` the history's entity, ``type`` as there.

    ``at`` is when it is decided on (Unix seconds; None: now, after all of the history).
    """

    id: str
    server: str
    type: str = ""
    at: float | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """Predicted durations of n upgrades, in seconds.

    ``quantiles[i, j]`` is the duration that upgrade ``j`` stays below with probability ``levels[i]``; levels rise, and
    quantiles never cross (each column rises too). ``spread_s`` is the standard deviation.
    """

    mean_s: Floats
    levels: Floats
    quantiles: Floats
    spread_s: Floats

    def __post_init__(self) -> None:
        n = len(self.mean_s)
        if self.quantiles.shape != (len(self.levels), n) or self.spread_s.shape != (n,):
            raise ValueError("a prediction needs one mean, spread and column of quantiles for each upgrade")
        if np.any(np.diff(self.levels) <= 0) or np.any(np.diff(self.quantiles, axis=0) < 0):
            raise ValueError("levels must rise and quantiles must not cross")

    def __len__(self) -> int:
        return len(self.mean_s)

    def quantile(self, level: float) -> Floats:
        """The duration at ``level`` for each upgrade, linear between the levels and flat outside them."""
        return self.at_levels(np.full(len(self), level))

    def at_levels(self, level: Floats) -> Floats:
        """As ``quantile``, with a level of its own for each upgrade."""
        columns = np.arange(len(self))
        above = np.clip(np.searchsorted(self.levels, level), 1, len(self.levels) - 1)
        low, high = self.levels[above - 1], self.levels[above]
        share = np.clip((level - low) / (high - low), 0.0, 1.0)
        result: Floats = (1 - share) * self.quantiles[above - 1, columns] + share * self.quantiles[above, columns]
        return result

    def level_of(self, duration_s: Floats | float) -> Floats:
        """The predicted probability of ending within ``duration_s``: linear between the quantiles, and past the last
        one the exponential tail of ``remaining``."""
        return 1 - np.exp(self._log_survival(duration_s))

    def _tail_s(self) -> Floats:
        """The scale of an exponential tail with the slope between the last two levels, at least a second."""
        steps = np.log((1 - self.levels[-2]) / (1 - self.levels[-1]))
        result: Floats = np.maximum(self.quantiles[-1] - self.quantiles[-2], 1.0) / steps
        return result

    def _log_survival(self, duration_s: Floats | float) -> Floats:
        """The logarithm of the probability of lasting longer than ``duration_s``; logarithms do not run out."""
        limit = np.broadcast_to(np.asarray(duration_s, dtype=float), (len(self),))
        passed = np.zeros(len(self))
        low, below = np.zeros(len(self)), 0.0
        for level, high in zip(self.levels, self.quantiles, strict=True):
            share = np.clip((limit - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
            passed += (level - below) * np.where(limit >= high, 1.0, share)
            low, below = high, level
        beyond = np.maximum(limit - self.quantiles[-1], 0.0) / self._tail_s()
        result: Floats = np.log1p(-np.minimum(passed, self.levels[-1])) - beyond
        return result

    def remaining(self, elapsed_s: Floats | float) -> Prediction:
        """The prediction of what is left, given that each upgrade has run for ``elapsed_s`` and is not done.

        P(D - e > x | D > e) = S(e + x) / S(e), with S the probability of lasting longer. Past the last level the tail
        is taken as exponential with the slope between the last two levels.
        """
        elapsed = np.broadcast_to(np.asarray(elapsed_s, dtype=float), (len(self),))
        survival = self._log_survival(elapsed)
        last = self.levels[-1]
        rows = []
        for level in self.levels:
            wanted = survival + np.log1p(-level)
            inside = self.at_levels(np.minimum(-np.expm1(wanted), last))
            beyond = self.quantiles[-1] + self._tail_s() * np.maximum(np.log1p(-last) - wanted, 0.0)
            rows.append(np.where(wanted >= np.log1p(-last), inside, beyond) - elapsed)
        quantiles = np.maximum.accumulate(np.maximum(np.array(rows), 0.0), axis=0)
        mean = np.trapezoid(quantiles, self.levels, axis=0) + self.levels[0] * quantiles[0] + (1 - last) * quantiles[-1]
        square = np.trapezoid(quantiles**2, self.levels, axis=0)
        square = square + self.levels[0] * quantiles[0] ** 2 + (1 - last) * quantiles[-1] ** 2
        return Prediction(mean, self.levels, quantiles, np.sqrt(np.maximum(square - mean**2, 0.0)))


class DurationModel(Protocol):
    """Predicts durations of upgrades from what ended before each was decided on."""

    name: str

    def predict(self, upgrades: Sequence[Upgrade]) -> Prediction: ...
