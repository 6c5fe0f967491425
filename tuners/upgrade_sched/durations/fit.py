"""Fits the families on a history, calibrates them on its latest part and picks one for each type; it reads no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.durations.base import GRID, Family, Query, critical_level, pinball, rising, to_prediction
from tuners.upgrade_sched.durations.boosted import Asymmetric, Bins, Quantiles, Squared, Survival
from tuners.upgrade_sched.durations.recent import Recent
from tuners.upgrade_sched.features import HistoryIndex
from tuners.upgrade_sched.siblings import Likeness, measure_likeness, normal_scores
from tuners.upgrade_sched.types import Floats, Prediction

FAMILIES = ("history", "squared", "asymmetric", "survival", "quantiles", "bins")  # cheapest first
CHOSEN = "chosen"  # the family that costs least, for each type
MOST_RECORDS = 30_000  # a fit takes no more: the latest two thirds of them as they are, the rest drawn from before
HELD_BACK = 0.15  # the latest share of the records, to calibrate with and to choose on
FEWEST_TO_GROW = 60  # with fewer records only history statistics speak
FEWEST_TO_JUDGE = 30  # a type with fewer outcomes held back is judged together with all such types
_REST = "\0rest"  # those types; no type of a user's begins so


def new_family(name: str, *, cost_ratio: float, threads: int) -> Family:
    """A family by name. Raises KeyError for one that does not exist."""
    if name == "asymmetric":
        return Asymmetric(critical_level(cost_ratio), threads=threads)
    if name == "history":
        return Recent()
    kinds: dict[str, Callable[..., Family]] = {
        "squared": Squared,
        "survival": Survival,
        "quantiles": Quantiles,
        "bins": Bins,
    }
    return kinds[name](threads=threads)


def learnable(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """At most ``MOST_RECORDS`` of ``rows`` (oldest first): the latest two thirds, and a sample of the others."""
    if len(rows) <= MOST_RECORDS:
        return rows
    latest = MOST_RECORDS * 2 // 3
    older = np.random.default_rng(seed).choice(rows[:-latest], MOST_RECORDS - latest, replace=False)
    return np.concatenate((np.sort(older), rows[-latest:]))


@dataclass
class Durations:
    """Fitted families over one index.

    ``levels[name]`` says at which level of the family's own quantiles each of ``LEVELS`` is read (see ``_calibrate``);
    ``choice`` names the family for each type, ``_REST`` for the others; ``losses`` is the mean cost behind the choice.
    """

    index: HistoryIndex
    cost_ratio: float
    families: dict[str, Family] = field(default_factory=dict)
    levels: dict[str, Floats] = field(default_factory=dict)
    choice: dict[str, str] = field(default_factory=dict)
    losses: dict[str, dict[str, float]] = field(default_factory=dict)
    likeness: dict[str, Likeness] = field(default_factory=dict)

    def logs(self, query: Query, name: str) -> Floats:
        """Calibrated quantiles of the logarithm (levels x upgrades) by the family ``name``, or by ``chosen``."""
        if name != CHOSEN:
            return at_levels(self.families[name].logs(query), self.levels[name])
        types = query.index.history.type[query.rows]
        family = np.array([self.choice.get(kind, self.choice[_REST]) for kind in types.tolist()], dtype=object)
        result = np.empty((len(GRID), len(query.rows)))
        for one in set(family.tolist()):
            where = family == one
            result[:, where] = self.logs(query.part(where), one)
        return result

    def predict_rows(self, rows: NDArray[np.int64], at: Floats, name: str = CHOSEN) -> Prediction:
        """Predict ``rows`` of the index's history as seen at ``at`` (Unix seconds)."""
        return to_prediction(self.logs(Query.of(self.index, rows, at), name))


def fit(
    index: HistoryIndex,
    rows: NDArray[np.int64],
    at: Floats,
    *,
    cost_ratio: float,
    longest_s: float,
    names: Sequence[str] = FAMILIES,
    threads: int = 1,
    seed: int = 0,
) -> Durations:
    """Fit the families ``names`` to ``rows`` (oldest first), each decided on at ``at`` (Unix seconds); of more than
    ``MOST_RECORDS`` to those that ``learnable`` picks by ``seed``.

    The families are calibrated and chosen on the latest records, which they have not seen, and then fitted to these as
    well. Durations are judged up to ``longest_s``: beyond it an upgrade is lost however much longer it takes.
    """
    crowd = index.crowd(rows, at)  # of all rows: what is decided on together must not be thinned out
    kept = learnable(np.arange(len(rows)), seed)
    query = Query.of(index, rows[kept], at[kept], crowd[kept])
    cut = max(1, round(len(query.rows) * (1 - HELD_BACK)))
    older, latest = query.part(slice(0, cut)), query.part(slice(cut, None))
    fitted = Durations(index, cost_ratio)
    for name in names if (~older.censored).sum() >= FEWEST_TO_GROW else ("history",):
        family = new_family(name, cost_ratio=cost_ratio, threads=threads)
        family.learn(older, latest)
        fitted.families[name] = family
        fitted.levels[name] = _calibrate(family, latest)
    judged = latest.part(~latest.censored)
    _choose(fitted, judged, longest_s)
    for name in (*fitted.families, CHOSEN):
        z = normal_scores(GRID, fitted.logs(judged, name), judged.log)
        fitted.likeness[name] = measure_likeness(index, judged.rows, judged.at, z)
    for family in fitted.families.values():
        family.learn_again(query)
    return fitted


def _calibrate(family: Family, latest: Query) -> Floats:
    """The level of the family's quantiles at which each of ``LEVELS`` was met by the records held back.

    With u the predicted level of each outcome, a fraction p of the outcomes lies below the quantile at the empirical
    p-quantile of u: split conformal prediction for whole distributions (Vovk et al. 2019). Done again at each fit, on
    the latest records, it follows drift. Too few records leave the levels as they are.
    """
    latest = latest.part(~latest.censored)
    if len(latest.rows) < FEWEST_TO_GROW:
        return GRID.copy()
    quantiles, truth = family.logs(latest), latest.log
    # Of equal quantiles the middle one is taken, as a tie says nothing about which it is.
    below, upto = (quantiles < truth).sum(axis=0), (quantiles <= truth).sum(axis=0)
    padded = np.concatenate(([0.0], GRID, [1.0]))
    met = np.sort((padded[below] + padded[upto] + padded[below + 1] + padded[upto + 1]) / 4)
    place = np.clip(GRID * (len(met) + 1) / len(met), 0.0, 1.0)
    return np.maximum.accumulate(np.clip(np.quantile(met, place), GRID[0], GRID[-1]))


def at_levels(logs: Floats, levels: Floats) -> Floats:
    """Quantiles at ``levels`` instead of ``LEVELS``: linear between those given."""
    if np.array_equal(levels, GRID):
        return logs
    place = np.clip(np.searchsorted(GRID, levels) - 1, 0, len(GRID) - 2)
    share = ((levels - GRID[place]) / (GRID[place + 1] - GRID[place]))[:, None]
    return rising((1 - share) * logs[place] + share * logs[place + 1])


def _choose(fitted: Durations, judged: Query, longest_s: float) -> None:
    """Pick the family of least cost for each type with enough outcomes, and one for all other types together.

    The cost is the pinball loss averaged over all levels, which is half the continuous ranked probability score
    (Gneiting and Raftery 2007): schedulers and policies read the whole distribution, not one quantile of it.
    """
    truth = np.minimum(np.exp(judged.log), longest_s)
    cost = {}
    for name in fitted.families:
        quantiles = np.minimum(np.exp(fitted.logs(judged, name)), longest_s)
        cost[name] = np.mean([pinball(truth, row, level) for row, level in zip(quantiles, GRID, strict=True)], axis=0)
    types, number, count = np.unique(judged.index.history.type[judged.rows], return_inverse=True, return_counts=True)
    thick = count >= FEWEST_TO_JUDGE
    groups = {str(kind): number == i for i, kind in enumerate(types) if thick[i]}
    rest = ~thick[number] if len(number) else np.zeros(0, dtype=bool)
    groups[_REST] = rest if rest.sum() >= FEWEST_TO_JUDGE else np.ones(len(number), dtype=bool)
    for kind, members in groups.items():
        if members.sum() < FEWEST_TO_JUDGE:
            fitted.choice[kind] = "history" if "history" in fitted.families else next(iter(fitted.families))
            continue
        losses = {name: float(values[members].mean()) for name, values in cost.items()}
        fitted.losses[kind] = losses
        fitted.choice[kind] = min(losses, key=lambda name: losses[name])
