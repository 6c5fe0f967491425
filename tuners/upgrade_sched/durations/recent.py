"""History statistics: the last durations of the finest key that has enough of them; no tree is grown."""

from __future__ import annotations

from typing import Any

import numpy as np

from tuners.upgrade_sched.durations.base import GRID, Query
from tuners.upgrade_sched.features import Key
from tuners.upgrade_sched.types import Floats

LAST = 40  # how many of the latest durations stand for a key
ENOUGH = 5  # with fewer a key is not trusted, and the next coarser one speaks
UNKNOWN = float(np.log(3600.0))  # with no history at all: an hour, which is what a bare timeout would say


class Recent:
    """Empirical quantiles of the last ``LAST`` durations, shrunk where they are few.

    With n durations the quantile of order ``p`` is read at ``p * (n + 1) / n``, as split conformal prediction does
    (Vovk et al. 2005), so that few records give wide answers.
    """

    name = "history"

    def learn(self, query: Query, held_back: Query) -> None:
        """Nothing is fitted: the index is the model."""

    def learn_again(self, query: Query) -> None:
        """Nothing is fitted."""

    def logs(self, query: Query) -> Floats:
        result = np.full((len(GRID), len(query.rows)), np.nan)
        open_ = np.ones(len(query.rows), dtype=bool)
        for key in query.index.plan.chain:
            if not open_.any():
                break
            places = np.flatnonzero(open_)
            latest = query.index.latest(key, query.rows[places], query.at[places], LAST)
            count = (~np.isnan(latest)).sum(axis=1)
            enough = count >= (ENOUGH if key.columns else 1)
            if enough.any():
                result[:, places[enough]] = _quantiles(latest[enough], count[enough])
                open_[places[enough]] = False
        result[:, open_] = UNKNOWN
        return result

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {}, {}

    def restore(self, state: dict[str, Any], boosters: dict[str, bytes]) -> None:
        """Nothing was kept."""


def _quantiles(latest: Floats, count: Floats) -> Floats:
    """Quantiles (levels x rows) of each row's numbers, NaN at its end; linear between order statistics."""
    ordered = np.sort(latest, axis=1)  # NaN sorts last
    rows = np.arange(len(ordered))
    result = np.empty((len(GRID), len(ordered)))
    for i, level in enumerate(GRID):
        place = np.clip(level * (count + 1) - 1, 0.0, count - 1.0)
        low = place.astype(np.int64)
        high = np.minimum(low + 1, count - 1).astype(np.int64)
        share = place - low
        result[i] = (1 - share) * ordered[rows, low] + share * ordered[rows, high]
    return result


def point_history(query: Query, statistic: str, last: int | None = None) -> Floats:
    """A single number for each upgrade, in seconds, from the finest key with any record: ``median`` or ``mean`` of the
    ``last`` ones (None: ``LAST``), or ``p95``. An hour where nothing is known."""
    result = np.full(len(query.rows), 3600.0)
    open_ = np.ones(len(query.rows), dtype=bool)
    for key in query.index.plan.chain:
        places = np.flatnonzero(open_)
        if not len(places):
            break
        latest = np.exp(query.index.latest(key, query.rows[places], query.at[places], last or LAST))
        some = ~np.isnan(latest).all(axis=1)
        if some.any():
            values = latest[some]
            if statistic == "mean":
                found = np.nanmean(values, axis=1)
            else:
                found = np.nanquantile(values, 0.95 if statistic == "p95" else 0.5, axis=1)
            result[places[some]] = found
            open_[places[some]] = False
    return result


def type_mean(query: Query) -> Floats:
    """The mean of all durations of the upgrade's type that ended before, in seconds; of all types where it has none."""
    result = np.full(len(query.rows), 3600.0)
    for key in (Key(()), Key(("type",))):
        mean = query.index.mean_s(key, query.rows, query.at)
        result = np.where(np.isnan(mean), result, mean)
    return result
