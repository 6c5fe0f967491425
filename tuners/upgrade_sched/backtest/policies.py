"""The two kinds of online policy: one that trusts a single number, and one that weighs a distribution.

Both admit in the same order, by ``chance * expected_hold ** (lean - 1)``, where the hold is how long the slot would be
taken: lean 0 gives the most completions for each minute (shortest first), 1 the surest, 2 the most minutes of finished
work (longest first). So a baseline and a learned model differ in what they predict and in nothing else. The chance of a
single number is 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.siblings import Evidence, Likeness
from tuners.upgrade_sched.types import Floats

SCORES = np.linspace(-3.3, 3.3, 34)  # normal scores at which durations are kept
_SCORE_STEP = float(SCORES[1] - SCORES[0])
CELLS = 60  # the time left is looked up in so many steps of a window, rounded down


@dataclass(frozen=True)
class PointPolicy:
    """Admits what is predicted to end in the time left. ``predicted_s`` and ``timeout_s`` are in seconds; the latter
    is when a running upgrade is given up, whatever was predicted (inf: never)."""

    predicted_s: Floats
    lean: float
    timeout_s: float = np.inf

    def begin(self) -> PointPolicy:
        return self

    def ended(self, positions: NDArray[np.int64]) -> None:
        """A number, once given, stays."""

    def score(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        predicted = self.predicted_s[positions]
        result: Floats = np.where(predicted <= left_s[:, None], np.maximum(predicted, 1.0) ** (self.lean - 1), -np.inf)
        return result

    def stop_after(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        return np.full(len(positions), self.timeout_s)


@dataclass(frozen=True)
class Chances:
    """Predictions for the upgrades of a demand, in the form a policy looks things up in.

    ``within[i, j]`` is the normal score (the inverse of the normal distribution function) of the chance that upgrade
    ``i`` ends within ``j`` steps of ``step_s`` seconds; ``lasts_s[i, k]`` is its duration at the normal score
    ``SCORES[k]``. ``truth`` is the normal score of its true duration, read only once it has ended. ``subgroup`` and
    ``group_of`` say which upgrades are siblings (see ``tuners.upgrade_sched.siblings``).
    """

    step_s: float
    within: NDArray[np.float32]
    lasts_s: NDArray[np.float32]
    truth: Floats
    likeness: Likeness
    subgroup: NDArray[np.int64]
    group_of: NDArray[np.int64]


def chances(
    levels: Floats,
    quantiles_s: Floats,
    window_s: float,
    truth: Floats,
    likeness: Likeness,
    groups: NDArray[np.int64],
    subgroups: NDArray[np.int64],
) -> Chances:
    """Prepare quantiles (levels x upgrades, seconds) for a policy; linear between them, and with a tail above the last
    level that ends at twice its quantile."""
    from scipy.special import ndtr, ndtri

    step = window_s / CELLS
    grid = np.arange(CELLS + 1) * step
    count = quantiles_s.shape[1]
    within = np.zeros((count, CELLS + 1), dtype=np.float32)
    knots = np.concatenate((np.zeros((1, count)), quantiles_s, 2 * np.maximum(quantiles_s[-1:], 0.5)))
    heights = np.concatenate(([0.0], levels, [1.0]))
    for low, high, below, above in zip(knots[:-1], knots[1:], heights[:-1], heights[1:], strict=True):
        width = np.maximum(high - low, 1e-9)[:, None]
        within += ((above - below) * np.clip((grid[None, :] - low[:, None]) / width, 0.0, 1.0)).astype(np.float32)
    wanted = ndtr(SCORES)
    lasts = np.empty((count, len(SCORES)), dtype=np.float32)
    for k, level in enumerate(wanted):
        above = int(np.clip(np.searchsorted(heights, level), 1, len(heights) - 1))
        share = (level - heights[above - 1]) / (heights[above] - heights[above - 1])
        lasts[:, k] = (1 - share) * knots[above - 1] + share * knots[above]
    group_of = np.zeros(int(subgroups.max(initial=-1)) + 1, dtype=np.int64)
    group_of[subgroups] = groups
    sure = ndtri(np.clip(within, 1e-4, 1 - 1e-4)).astype(np.float32)
    return Chances(step, sure, lasts, truth, likeness, subgroups, group_of)


@dataclass(frozen=True)
class RiskPolicy:
    """Admits what ends in the time left with a chance of at least ``risk``, the best ranked first.

    ``caution`` is the power of the chance in the ranking. With ``learn`` the waiting upgrades are predicted anew from
    what their siblings took in this window. While an upgrade runs, its chance is predicted anew from the time it has
    taken: (F(left) - F(taken)) / (1 - F(taken)). Where that falls below ``stop_below`` it is given up, and the slot
    goes to another (0: never).
    """

    chances: Chances
    risk: float
    lean: float
    caution: float = 1.0
    learn: bool = True
    stop_below: float = 0.0

    def begin(self) -> RiskSession:
        return RiskSession(self)


class RiskSession:
    """A ``RiskPolicy`` at work: its memory is what has ended in each window."""

    def __init__(self, policy: RiskPolicy) -> None:
        from scipy.special import ndtr

        self.policy, self.chances = policy, policy.chances
        self._cdf = ndtr
        self._learns = policy.learn and policy.chances.likeness.useful
        self._evidence = Evidence(policy.chances.likeness, policy.chances.group_of)
        # One more place, for position -1.
        self._subgroup = np.append(policy.chances.subgroup, 0)
        self._scores = None if self._learns else self._all_scores()

    def ended(self, positions: NDArray[np.int64]) -> None:
        if self._learns:
            self._evidence.add(self._subgroup[positions], self.chances.truth[positions])

    def score(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        cell = self._cell(left_s)[:, None]
        if self._scores is not None:
            found: Floats = self._scores[positions, cell]
            return found
        shift, spread = self._evidence.posterior(self._subgroup[positions])
        left = left_s[:, None].astype(np.float32)
        return self._score(positions, cell, left, shift.astype(np.float32), spread.astype(np.float32))

    def _score(self, positions: Any, cell: Any, left: Any, shift: Any, spread: Any) -> Floats:
        """Scores where z of the positions is normal with mean ``shift`` and standard deviation ``spread``."""
        chance = self._cdf((self.chances.within[positions, cell] - shift) / spread)
        # The expected hold by Gauss-Hermite quadrature with three nodes.
        hold: Any = np.float32(0)
        for node, weight in ((-1.7320508, 1 / 6), (0.0, 2 / 3), (1.7320508, 1 / 6)):
            place = (shift + np.float32(node) * spread - SCORES[0]) / _SCORE_STEP
            index = np.clip(np.rint(place), 0, len(SCORES) - 1).astype(np.int64)
            hold = hold + np.float32(weight) * np.minimum(self.chances.lasts_s[positions, index], left)
        score = chance**self.policy.caution * np.maximum(hold, 1.0) ** (self.policy.lean - 1)
        result: Floats = np.where(chance >= self.policy.risk, score, -np.inf)
        return result

    def _all_scores(self) -> Floats:
        """Scores of every position at every step of the grid, for a policy that does not learn."""
        positions = np.arange(len(self.chances.within))[:, None]
        cell = np.arange(CELLS + 1)[None, :]
        left = (cell * self.chances.step_s).astype(np.float32)
        scores = self._score(positions, cell, left, np.float32(0), np.float32(1))
        return np.concatenate((scores, np.full((1, CELLS + 1), -np.inf)))

    def stop_after(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        if self.policy.stop_below <= 0:
            return np.full(len(positions), np.inf)
        within = self._cdf(self.chances.within[positions])
        cell = self._cell(left_s)
        at_end = within[np.arange(len(positions)), cell][:, None]
        again = (at_end - within) / np.maximum(1 - within, 1e-6)
        step = np.arange(CELLS + 1)
        hopeless = (again < self.policy.stop_below) & (step[None, :] >= 1) & (step[None, :] < cell[:, None])
        first = np.where(hopeless.any(axis=1), hopeless.argmax(axis=1), -1)
        result: Floats = np.where(first >= 0, first * self.chances.step_s, np.inf)
        return result

    def _cell(self, left_s: Floats) -> NDArray[np.int64]:
        """The step of the grid that the time left reaches, rounded down."""
        return np.minimum((left_s / self.chances.step_s + 1e-9).astype(np.int64), CELLS)
