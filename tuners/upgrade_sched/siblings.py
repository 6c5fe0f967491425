"""What upgrades that ended in this window say about their siblings that still wait; it predicts no upgrade alone.

Each upgrade's duration sits at some level u of its own predicted distribution; z is that level on the normal scale.
Siblings' z are alike: z = a + b + e, with ``a`` shared by the members of a group (a server's upgrades, say), ``b`` by
those of a subgroup within it (the same kind on the same server), and ``e`` of one's own, all normal, with variances
that add up to 1. What has ended in the window gives the posterior of a + b in closed form (the nested random-effects
model; Searle, Casella, McCulloch 1992, ch. 3), and the waiting siblings' distributions shift by it:
P(D <= r) = Phi((z(r) - m) / s).
Groups live in one window, so nothing is carried from later ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.features import HistoryIndex, Key
from tuners.upgrade_sched.types import Floats

FARTHEST = 2.5  # one outcome counts for no more than this many standard deviations
MOST_SHARED = 0.9  # however alike siblings look, some of the spread is each one's own


@dataclass(frozen=True)
class Likeness:
    """How alike siblings are: ``group`` is the share of the variance of z that the members of a group have in common,
    ``subgroup`` the (larger) one within a subgroup; ``group_key`` and ``subgroup_key`` say what makes them siblings."""

    group_key: tuple[str, ...] = ()
    subgroup_key: tuple[str, ...] = ()
    group: float = 0.0
    subgroup: float = 0.0

    @property
    def useful(self) -> bool:
        return self.subgroup > 0


def normal_scores(levels: Floats, quantiles: Floats, truth: Floats) -> Floats:
    """z of each outcome: its level in its predicted distribution (quantiles: levels x upgrades) on the normal scale."""
    from scipy.special import ndtri

    columns = np.arange(len(truth))
    above = np.clip((quantiles < truth).sum(axis=0), 1, len(levels) - 1)
    low, high = quantiles[above - 1, columns], quantiles[above, columns]
    share = np.clip((truth - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    z = (1 - share) * ndtri(levels[above - 1]) + share * ndtri(levels[above])
    # Outside the outermost quantiles there is no more to read than that it was far out.
    z = np.where(truth < quantiles[0], ndtri(levels[0] / 2), z)
    z = np.where(truth > quantiles[-1], ndtri((1 + levels[-1]) / 2), z)
    result: Floats = np.clip(z, -FARTHEST, FARTHEST)
    return result


def group_codes(index: HistoryIndex, key: tuple[str, ...], rows: NDArray[np.int64], at: Floats) -> NDArray[np.int64]:
    """A number for each of ``rows``, equal for those of one key that are decided on at the same moment."""
    code = index.codes(Key(key))[rows]
    _, moment = np.unique(at, return_inverse=True)
    numbered: NDArray[np.int64] = np.unique(moment * (code.max(initial=0) + 1) + code, return_inverse=True)[1]
    return numbered


def measure_likeness(index: HistoryIndex, rows: NDArray[np.int64], at: Floats, z: Floats) -> Likeness:
    """Estimate the likeness from outcomes: the mean product of two members' z, over pairs, each member counting once.

    The group key is that of ``entity``, ``type`` or both that explains most; the subgroup key is the finest there is.
    """
    spread = max(float((z**2).mean()), 1e-9) if len(z) else 1.0

    def alike(key: tuple[str, ...]) -> tuple[float, float]:
        code = group_codes(index, key, rows, at)
        count = np.bincount(code)
        total, squares = np.bincount(code, z), np.bincount(code, z * z)
        several = count > 1
        members = int(count[several].sum())
        if members < 30:
            return 0.0, 0.0
        product = ((total**2 - squares)[several] / (count[several] - 1)).sum() / members
        return float(np.clip(product / spread, 0.0, MOST_SHARED)), members / len(z)

    finest = index.plan.chain[0].columns
    best, group = 0.0, Likeness()
    for key in (("entity",), ("type",), ("entity", "type")):
        shared, covered = alike(key)
        if shared**2 * covered > best:
            best, group = shared**2 * covered, Likeness(key, key, shared, shared)
    if not best:
        return Likeness()
    joint = tuple(dict.fromkeys((*group.group_key, *finest)))
    within, _ = alike(joint)
    return Likeness(group.group_key, joint, group.group, max(within, group.group))


@dataclass
class Evidence:
    """What has ended so far, for groups numbered 0.. and the subgroups within them. ``group_of`` names each subgroup's
    group. All updates of one call must be of different groups."""

    likeness: Likeness
    group_of: NDArray[np.int64]
    count: Floats = field(init=False)
    total: Floats = field(init=False)
    precision: Floats = field(init=False)
    weighted: Floats = field(init=False)

    def __post_init__(self) -> None:
        groups = int(self.group_of.max(initial=-1)) + 1
        self.count, self.total = np.zeros(len(self.group_of)), np.zeros(len(self.group_of))
        self.precision, self.weighted = np.zeros(groups), np.zeros(groups)

    def _parts(self, subgroup: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """For each subgroup the precision with which it speaks of its group, and that times its mean; 0 if empty."""
        count = np.maximum(self.count[subgroup], 1)
        like = self.likeness
        variance = (like.subgroup - like.group) + (1 - like.subgroup) / count
        precision = np.where(self.count[subgroup] > 0, 1 / variance, 0.0)
        return precision, precision * self.total[subgroup] / count

    def add(self, subgroup: NDArray[np.int64], z: Floats) -> None:
        """Take in outcomes ``z``, one for each of ``subgroup``."""
        group = self.group_of[subgroup]
        precision, weighted = self._parts(subgroup)
        self.precision[group] -= precision
        self.weighted[group] -= weighted
        self.count[subgroup] += 1
        self.total[subgroup] += z
        precision, weighted = self._parts(subgroup)
        self.precision[group] += precision
        self.weighted[group] += weighted

    def posterior(self, subgroup: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of z for an upgrade of each subgroup that still waits."""
        like = self.likeness
        if like.group <= 0:
            share, mean = np.zeros(subgroup.shape), np.zeros(subgroup.shape)
            variance = share
        else:
            group = self.group_of[subgroup]
            variance = 1 / (1 / like.group + self.precision[group])
            mean = variance * self.weighted[group]
        count = self.count[subgroup]
        own = like.subgroup - like.group
        noise = (1 - like.subgroup) / np.maximum(count, 1)
        share = np.where(count > 0, own / (own + noise), 0.0)
        shifted = mean + share * (self.total[subgroup] / np.maximum(count, 1) - mean)
        # a is known up to ``variance``; b, given a, up to its own; what b takes from a's error cancels in part.
        spread = (1 - share) ** 2 * variance + own * (1 - share) + (1 - like.subgroup)
        return shifted, np.sqrt(spread)
