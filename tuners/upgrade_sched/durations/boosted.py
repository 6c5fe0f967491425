"""Boosted trees under five losses, through xgboost; it chooses nothing among them.

``squared``      squared error of seconds: the mean, which long upgrades pull up
``quantiles``    pinball loss of the logarithm at several levels at once
``asymmetric``   pinball loss at the critical fractile of the cost ratio alone
``bins``         the chance of each interval of duration (a discrete distribution); censored records count in every
                 later interval, in proportion (Efron 1967, redistribution to the right)
``survival``     accelerated failure time with censored records (xgboost's ``survival:aft``)

What gives a single number is turned into a distribution by the outcomes of like predictions on the latest part of the
records, which the trees have not seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sysmith_errors import InputError
from tuners.upgrade_sched.durations.base import GRID, LONGEST_S, Query, rising
from tuners.upgrade_sched.types import Floats

_TREES: dict[str, Any] = {
    "tree_method": "hist",
    "max_bin": 64,
    "max_depth": 6,
    "eta": 0.1,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "seed": 1,
    "verbosity": 0,
}
_GROUPS = 20  # predictions are grouped into so many, by size, to read their outcomes


def _train(matrix: NDArray[np.float32], rounds: int, threads: int, **more: Any) -> Any:
    import xgboost

    labels = {
        name: more.pop(name) for name in ("label", "weight", "label_lower_bound", "label_upper_bound") if name in more
    }
    data = xgboost.QuantileDMatrix(matrix, max_bin=64, nthread=threads, **labels)
    return xgboost.train(_TREES | {"nthread": threads} | more, data, rounds)


class _Boosted:
    """The part that all share: one booster, kept as UBJSON."""

    name = ""
    rounds = 80

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads
        self.booster: Any = None

    def _raw(self, query: Query) -> Any:
        import xgboost

        if not len(query.rows):
            return np.zeros(0)
        return self.booster.predict(xgboost.DMatrix(query.matrix, nthread=self.threads))

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {}, {"booster": bytes(self.booster.save_raw("ubj"))}

    def restore(self, state: dict[str, Any], boosters: dict[str, bytes]) -> None:
        import xgboost

        self.booster = xgboost.Booster({"nthread": self.threads})
        try:
            self.booster.load_model(bytearray(boosters["booster"]))
        except (KeyError, xgboost.core.XGBoostError) as error:
            raise InputError("the model's booster is damaged", mend="Fit the model again.") from error


class _Score(_Boosted, ABC):
    """A family that gives one number; its distribution is that of the outcomes of like numbers."""

    def __init__(self, *, threads: int = 1) -> None:
        super().__init__(threads=threads)
        self.edges = np.zeros(0)
        self.table = np.zeros((len(GRID), 1))

    @abstractmethod
    def grow(self, query: Query) -> None:
        """Fit the booster."""

    @abstractmethod
    def scores(self, query: Query) -> Floats:
        """The predicted duration in seconds."""

    def learn(self, query: Query, held_back: Query) -> None:
        self.grow(query)
        seen = held_back.part(~held_back.censored)
        if len(seen.rows) < 2 * len(GRID):  # too few outcomes held back: better those the trees know than none
            seen = query.part(~query.censored)
        score, truth = np.log(np.maximum(self.scores(seen), 1.0)), seen.log
        groups = int(np.clip(len(seen.rows) // 50, 1, _GROUPS))
        self.edges = np.unique(np.quantile(score, np.linspace(0, 1, groups + 1)[1:-1])) if len(score) else np.zeros(0)
        group = np.searchsorted(self.edges, score)
        columns = []
        for i in range(len(self.edges) + 1):
            inside = truth[group == i] if (group == i).any() else truth
            columns.append(np.quantile(inside, GRID) if len(inside) else np.full(len(GRID), np.log(3600.0)))
        self.table = np.column_stack(columns)

    def learn_again(self, query: Query) -> None:
        self.grow(query)

    def logs(self, query: Query) -> Floats:
        score = np.log(np.maximum(self.scores(query), 1.0))
        result: Floats = self.table[:, np.searchsorted(self.edges, score)]
        return result

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        plain, boosters = super().state()
        return plain | {"edges": self.edges.tolist(), "table": self.table.tolist()}, boosters

    def restore(self, state: dict[str, Any], boosters: dict[str, bytes]) -> None:
        super().restore(state, boosters)
        self.edges, self.table = np.array(state["edges"]), np.array(state["table"])


class Squared(_Score):
    """Squared error of seconds."""

    name = "squared"

    def grow(self, query: Query) -> None:
        label = np.exp(query.log)
        self.booster = _train(query.matrix, self.rounds, self.threads, objective="reg:squarederror", label=label)

    def scores(self, query: Query) -> Floats:
        return np.asarray(self._raw(query), dtype=float)


class Asymmetric(_Score):
    """Pinball loss of the logarithm at one level: the critical fractile of the cost ratio."""

    name = "asymmetric"

    def __init__(self, level: float, *, threads: int = 1) -> None:
        super().__init__(threads=threads)
        self.level = level

    def grow(self, query: Query) -> None:
        objective = {"objective": "reg:quantileerror", "quantile_alpha": self.level}
        self.booster = _train(query.matrix, self.rounds, self.threads, label=query.log, **objective)

    def scores(self, query: Query) -> Floats:
        return np.exp(np.clip(np.asarray(self._raw(query), dtype=float), 0.0, np.log(LONGEST_S)))

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        plain, boosters = super().state()
        return plain | {"level": self.level}, boosters

    def restore(self, state: dict[str, Any], boosters: dict[str, bytes]) -> None:
        super().restore(state, boosters)
        self.level = state["level"]


class Survival(_Score):
    """Accelerated failure time: the logarithm of the duration plus logistic noise, censored records from below."""

    name = "survival"

    def grow(self, query: Query) -> None:
        seconds = np.exp(query.log)
        self.booster = _train(
            query.matrix,
            self.rounds,
            self.threads,
            objective="survival:aft",
            aft_loss_distribution="logistic",
            aft_loss_distribution_scale=0.7,
            # Far from the truth this loss has next to no curvature, and no split would be heavy enough: start near it.
            base_score=float(np.median(seconds)),
            min_child_weight=2,
            label_lower_bound=seconds,
            label_upper_bound=np.where(query.censored, np.inf, seconds),
        )

    def scores(self, query: Query) -> Floats:
        return np.clip(np.asarray(self._raw(query), dtype=float), 1.0, LONGEST_S)


class _Whole(_Boosted, ABC):
    """A family whose trees give a distribution themselves: nothing is read off the records held back."""

    @abstractmethod
    def learn(self, query: Query, held_back: Query) -> None: ...

    def learn_again(self, query: Query) -> None:
        self.learn(query, query)


class Quantiles(_Whole):
    """Pinball loss at ``levels`` at once; the other levels lie on straight lines of the logarithm between them."""

    name = "quantiles"
    rounds = 60
    levels = np.array((0.1, 0.3, 0.5, 0.7, 0.85, 0.95))

    def learn(self, query: Query, held_back: Query) -> None:
        objective = {"objective": "reg:quantileerror", "quantile_alpha": self.levels}
        self.booster = _train(query.matrix, self.rounds, self.threads, label=query.log, **objective)

    def logs(self, query: Query) -> Floats:
        return spread_levels(self.levels, rising(np.asarray(self._raw(query), dtype=float).reshape(-1, 6).T))


class Bins(_Whole):
    """The chance of each of ``intervals`` intervals of duration, cut at quantiles of the records."""

    name = "bins"
    rounds = 40
    intervals = 16

    def __init__(self, *, threads: int = 1) -> None:
        super().__init__(threads=threads)
        self.edges = np.zeros(0)

    def learn(self, query: Query, held_back: Query) -> None:
        seen = query.log[~query.censored]
        if not len(seen):
            seen = query.log
        inner = np.quantile(seen, np.linspace(0, 1, self.intervals + 1))
        self.edges = np.unique(np.concatenate((inner, [inner[-1] + np.log(2.0)])))
        if self.edges[0] > 0:
            self.edges = np.concatenate(([0.0], self.edges))
        label, rows, weight = self._redistribute(query)
        self.booster = _train(
            query.matrix[rows],
            self.rounds,
            self.threads,
            objective="multi:softprob",
            num_class=len(self.edges) - 1,
            label=label,
            weight=weight,
            eta=0.15,
            min_child_weight=30,
        )

    def _place(self, log: Floats) -> NDArray[np.int64]:
        return np.clip(np.searchsorted(self.edges, log, side="right") - 1, 0, len(self.edges) - 2)

    def _redistribute(self, query: Query) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Labels, rows and weights: a censored record is spread over the later intervals as uncensored ones are."""
        place, cut = self._place(query.log), query.censored
        share = np.bincount(place[~cut], minlength=len(self.edges) - 1).astype(float) + 1e-3
        labels, rows, weights = [place[~cut]], [np.flatnonzero(~cut)], [np.ones((~cut).sum())]
        for interval in np.unique(place[cut]):
            members = np.flatnonzero(cut & (place == interval))
            later = np.arange(interval, len(share))
            labels.append(np.tile(later, len(members)))
            rows.append(np.repeat(members, len(later)))
            weights.append(np.tile(share[later] / share[later].sum(), len(members)))
        return np.concatenate(labels), np.concatenate(rows), np.concatenate(weights)

    def logs(self, query: Query) -> Floats:
        chance = np.asarray(self._raw(query), dtype=float).reshape(len(query.rows), -1)
        below = np.concatenate((np.zeros((len(chance), 1)), np.cumsum(chance, axis=1)), axis=1)
        below /= np.maximum(below[:, -1:], 1e-12)
        result = np.empty((len(GRID), len(chance)))
        rows = np.arange(len(chance))
        for i, level in enumerate(GRID):
            high = np.clip((below < level).sum(axis=1), 1, len(self.edges) - 1)
            low = high - 1
            width = np.maximum(below[rows, high] - below[rows, low], 1e-12)
            share = np.clip((level - below[rows, low]) / width, 0.0, 1.0)
            result[i] = (1 - share) * self.edges[low] + share * self.edges[high]
        return rising(result)

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        plain, boosters = super().state()
        return plain | {"edges": self.edges.tolist()}, boosters

    def restore(self, state: dict[str, Any], boosters: dict[str, bytes]) -> None:
        super().restore(state, boosters)
        self.edges = np.array(state["edges"])


def spread_levels(levels: Floats, logs: Floats) -> Floats:
    """Quantiles at ``LEVELS`` from those at fewer ``levels``: linear in the normal score between them and beyond."""
    from scipy.special import ndtri

    score, wanted = ndtri(levels), ndtri(GRID)
    place = np.clip(np.searchsorted(score, wanted) - 1, 0, len(score) - 2)
    share = ((wanted - score[place]) / (score[place + 1] - score[place]))[:, None]
    return rising((1 - share) * logs[place] + share * logs[place + 1])
