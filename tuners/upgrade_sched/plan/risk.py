"""Risk on a lane's total: how much time a row of upgrades must be given; it predicts no duration.

Durations of a lane's upgrades are taken as independent, so means and variances add up. Two rules turn the sums into
reserved time:

    spread      mean + z * sqrt(variance)                                    (a normal sum)
    lognormal   the level's quantile of the lognormal with that mean and variance (Fenton-Wilkinson moment matching,
                L. F. Fenton, IRE Trans. Commun. Syst. 8, 1960)              (a sum of few, skewed durations)

The bound needs each upgrade's size as one number. For the rule ``spread`` a lane of length L holds any upgrades with
sum(size) <= L at most, where size = m * phi(v / (m * L)) and phi(x) = ((z sqrt(x) + sqrt(z^2 x + 4)) / 2)^2: L / phi is
the total mean that fits when all upgrades have the variance-to-mean ratio v/m, and m * phi(v / (m * L)) is concave in v
for a given m, so that a mixed lane holds no more than its parts would in lanes of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sysmith_errors import InputError

Rule = Literal["spread", "lognormal"]
EPSILON = 1e-6  # seconds: sums of floats must not miss a limit by rounding


@dataclass(frozen=True)
class Risk:
    """``level`` is the probability with which a full lane ends within its window, ``z`` its normal quantile."""

    rule: Rule = "spread"
    level: float = 0.9

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1:
            raise InputError(
                f"the risk level is {self.level:g}", mend="Give a probability from 0.5 up to, not including, 1."
            )

    @property
    def z(self) -> float:
        return NormalDist().inv_cdf(self.level)

    def reserve(self, mean: float, variance: float) -> float:
        """Seconds that upgrades with this total mean (s) and variance (s^2) must be given."""
        if variance <= 0 or mean <= 0:
            return mean
        if self.rule == "spread":
            return mean + self.z * math.sqrt(variance)
        ratio = math.log1p(variance / (mean * mean))
        # At low levels a skewed quantile lies below the mean; a lane is never given less than its mean.
        return max(mean, mean * math.exp(self.z * math.sqrt(ratio) - ratio / 2))

    def reserves(self, mean: NDArray[Any], variance: NDArray[Any]) -> NDArray[np.float64]:
        """``reserve`` for arrays."""
        mean, variance = np.asarray(mean, float), np.asarray(variance, float)
        if self.rule == "spread":
            return mean + self.z * np.sqrt(variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log1p(np.where(mean > 0, variance / (mean * mean), 0.0))
        result: NDArray[np.float64] = np.maximum(mean, mean * np.exp(self.z * np.sqrt(ratio) - ratio / 2))
        return result

    def sizes(
        self, mean: NDArray[Any], variance: NDArray[Any], length: float, z: float | None = None
    ) -> NDArray[np.float64]:
        """Each upgrade's part of a lane ``length`` seconds long, in seconds, such that no lane holds more than
        ``length`` of them (see the module's formula). For ``lognormal`` z is replaced by the smallest factor that the
        rule gives for any ratio of spread to mean up to the largest here, so the sizes stay a lower bound; give ``z``
        where lanes hold others beside these."""
        mean, variance = np.asarray(mean, float), np.asarray(variance, float)
        z = self.optimistic_z(mean, variance) if z is None else z
        x = z * z * variance / (mean * length)
        result: NDArray[np.float64] = mean * ((np.sqrt(x) + np.sqrt(x + 4.0)) / 2.0) ** 2
        return result

    def optimistic_z(self, mean: NDArray[Any], variance: NDArray[Any]) -> float:
        """The largest z for which mean + z * sqrt(variance) never exceeds what the rule reserves for these upgrades."""
        if self.rule == "spread":
            return self.z
        ratios = np.asarray(variance, float) / np.asarray(mean, float) ** 2
        return self._least_factor(float(ratios.max(initial=0.0)))

    def _least_factor(self, largest: float) -> float:
        """The least (reserve - mean) / spread over squared ratios of spread to mean up to ``largest``.

        A lane's ratio is at most the largest of its upgrades', since variances add up and squared sums exceed sums of
        squares.
        """
        if largest <= 0:
            return 0.0
        squared = np.geomspace(min(1e-8, largest / 2), largest, 4000)
        factor = (self.reserves(np.ones_like(squared), squared) - 1.0) / np.sqrt(squared)
        # The grid is fine and the function smooth; the margin covers what lies between two points.
        return max(0.0, float(factor.min()) * (1 - 1e-4))


def level_of_cost_ratio(ratio: float) -> float:
    """The level at which overrun and idle time balance: ratio / (ratio + 1), the newsvendor's critical fractile.

    ``ratio`` is the cost of a minute of overrun over that of an idle minute. Raises InputError unless it is finite and
    at least 1.
    """
    if not math.isfinite(ratio) or ratio < 1:
        raise InputError(f"the cost ratio is {ratio:g}", mend="Give a finite number of at least 1, such as 9.")
    return min(ratio / (ratio + 1), 1 - 1e-9)
