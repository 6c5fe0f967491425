"""What was known about an upgrade when it was decided on: statistics of what had ended, by key; it fits no model.

Every number is computed from records that ended strictly before the decision, so nothing that happens later can change
it. A key is a set of columns (server; type; server and type; ...); for each key the durations of the records that
share its value are summed up: how many, the last two, mean and spread of the logarithm, largest of the last ten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.types import Floats, History

RECENT = 10  # how many of the latest records the largest and the typical one are taken over
MOST_COLUMNS = 5  # of each kind that take part in keys, so that a wide history stays affordable
STATISTICS = ("count", "last", "before_last", "mean", "spread", "recent_mean", "recent_max", "cut_share", "age")
# Upgrades decided on together: by entity, by the finest key, due in the same minute (of any and of the same entity);
# how long after the decision this one is due, and how long after the last one of its entity.
CROWD = ("together_entity", "together_finest", "together_minute", "together_minute_entity", "due_in", "due_after")
_DAY = 86_400.0
_GRAIN = 2.0**20  # running sums are kept in units of one over this; a power of two, so that scaling is exact


def log_s(duration_s: Floats) -> Floats:
    """The natural logarithm of a duration in seconds, with one second as the shortest."""
    result: Floats = np.log(np.maximum(duration_s, 1.0))
    return result


@dataclass(frozen=True)
class Key:
    """Columns whose joint value is a key; ``entity`` and ``type`` name the history's own columns."""

    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return "+".join(self.columns) or "all"


@dataclass(frozen=True)
class FeaturePlan:
    """Which keys and plain columns become features; made once from the records a model may learn from.

    ``chain`` is the order of keys, finest first, in which history statistics fall back where records are few.
    """

    keys: tuple[Key, ...]
    numbers: tuple[str, ...]
    chain: tuple[Key, ...]

    @property
    def names(self) -> list[str]:
        """The features in the order of the matrix's columns."""
        by_key = [f"{key.name}:{statistic}" for key in self.keys for statistic in STATISTICS]
        return [*by_key, *(f"number:{name}" for name in self.numbers), "hour", "weekday", *CROWD]


def plan_features(history: History) -> FeaturePlan:
    """Choose keys for the columns of ``history``: those that hold more than one value and repeat."""
    numbers = [name for name, column in history.numbers.items() if len(np.unique(column[~np.isnan(column)])) > 1]
    texts = [name for name, column in history.texts.items() if 1 < len(np.unique(column)) <= max(2, len(history) // 3)]
    numbers, texts = sorted(numbers), sorted(texts)[:MOST_COLUMNS]
    several_types = len(np.unique(history.type)) > 1
    own = ("entity", "type") if several_types else ("entity",)
    repeats = [name for name in numbers if len(np.unique(history.numbers[name])) <= max(2, len(history) // 10)]
    repeats = repeats[:MOST_COLUMNS]
    exact = (*own, *texts, *repeats)
    keys = [(), ("entity",), own, exact]
    if several_types:
        keys += [("type",)] + [("type", name) for name in (*texts, *repeats)]
    keys += [(name,) for name in texts] + [("entity", name) for name in (*texts, *repeats)]
    chain = [exact, own, ("entity",), *([("type",)] if several_types else []), ()]
    if several_types:  # a type says more about an upgrade than the server it runs on
        chain = [exact, own, ("type",), ()]
    return FeaturePlan(
        tuple(Key(columns) for columns in _distinct(history, keys)),
        tuple(numbers),
        tuple(Key(columns) for columns in dict.fromkeys(chain)),
    )


def _distinct(history: History, keys: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """``keys`` without those that group the records as an earlier one does."""
    codes = {name: np.unique(_column(history, name), return_inverse=True)[1] for name in {n for k in keys for n in k}}
    kept: dict[bytes, tuple[str, ...]] = {}
    for columns in dict.fromkeys(keys):
        joint = np.zeros(len(history), dtype=np.int64)
        for name in columns:
            joint = np.unique(joint * (codes[name].max(initial=0) + 1) + codes[name], return_inverse=True)[1]
        # Numbered by first appearance, equal groupings give equal arrays.
        _, first, inverse = np.unique(joint, return_index=True, return_inverse=True)
        kept.setdefault(np.argsort(np.argsort(first))[inverse].astype(np.int64).tobytes(), columns)
    return list(kept.values())


def _column(history: History, name: str) -> NDArray[np.str_] | Floats:
    if name == "entity":
        return history.entity
    if name == "type":
        return history.type
    return history.texts[name] if name in history.texts else history.numbers[name]


@dataclass(frozen=True)
class _Ended:
    """One key's records in the order (value, end): the place of each value's records, and running sums over them."""

    code: NDArray[np.int64]  # of each record of the history
    place: NDArray[np.int64]  # first position of each value's records in the order
    rank: NDArray[np.int64]  # value * (n + 1) + rank of end, rising
    log: Floats
    sums: Floats
    squares: Floats
    cut: Floats
    end: Floats
    order: NDArray[np.int64]


@dataclass
class HistoryIndex:
    """Answers what had ended by when, for each key. Built over all records; queries look only at the past."""

    history: History
    plan: FeaturePlan
    _ends: Floats = field(init=False)
    _by_key: dict[Key, _Ended] = field(init=False, default_factory=dict)
    _codes: dict[str, tuple[int, NDArray[np.int64]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._ends = np.sort(self.history.end)

    def _ended(self, key: Key) -> _Ended:
        if key not in self._by_key:
            self._by_key[key] = self._sort(key)
        return self._by_key[key]

    def _sort(self, key: Key) -> _Ended:
        history, n = self.history, len(self.history)
        code = np.zeros(n, dtype=np.int64)
        for name in key.columns:
            if name not in self._codes:
                values, numbered = np.unique(_column(history, name), return_inverse=True)
                self._codes[name] = (len(values), numbered)
            many, part = self._codes[name]
            # Joint values are numbered again at each column, so that the product never overflows.
            _, code = np.unique(code * many + part, return_inverse=True)
        rank = np.searchsorted(self._ends, history.end, side="left")
        joint = code * (n + 1) + rank
        order = np.argsort(joint, kind="stable")
        log = log_s(history.duration_s)[order]
        counts = np.bincount(code, minlength=1) if n else np.zeros(1, dtype=np.int64)

        def running(values: Floats) -> Floats:
            # Sums of whole numbers are exact: differences do not depend, not even in the last bit, on what other keys
            # or later records add to the sums. Below 2**53 they are exact as floats too.
            exact = np.concatenate(([0], np.cumsum(np.rint(values * _GRAIN).astype(np.int64))))
            return exact.astype(float) / _GRAIN

        return _Ended(
            code,
            np.concatenate(([0], np.cumsum(counts))),
            joint[order],
            log,
            running(log),
            running(log**2),
            running(history.censored[order].astype(float)),
            history.end[order],
            order,
        )

    def codes(self, key: Key) -> NDArray[np.int64]:
        """A number for each record of the history, equal where the key's columns are equal."""
        return self._ended(key).code

    def reach(self, key: Key, rows: NDArray[np.int64], at: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each of ``rows``: where its key's records begin in the key's order, and where those that ended before
        ``at`` (Unix seconds) stop."""
        ended = self._ended(key)
        code = ended.code[rows]
        rank = np.searchsorted(self._ends, at, side="left")
        stop = np.searchsorted(ended.rank, code * (len(self.history) + 1) + rank, side="left")
        first = ended.place[code]
        return first, np.maximum(stop, first)

    def latest(self, key: Key, rows: NDArray[np.int64], at: Floats, count: int) -> Floats:
        """The logarithms of the last ``count`` durations of each row's key, newest first, NaN where there are none."""
        first, stop = self.reach(key, rows, at)
        place = stop[:, None] - 1 - np.arange(count)[None, :]
        log = self._ended(key).log
        inside = place >= first[:, None]
        result: Floats = np.where(inside, log[np.maximum(place, 0)] if len(log) else np.nan, np.nan)
        return result

    def mean_s(self, key: Key, rows: NDArray[np.int64], at: Floats) -> Floats:
        """The mean duration of each row's key, in seconds; NaN where nothing has ended yet."""
        ended = self._ended(key)
        first, stop = self.reach(key, rows, at)
        total = (
            np.concatenate(([0], np.cumsum(np.rint(self.history.duration_s[ended.order] * 64).astype(np.int64)))) / 64
        )
        result: Floats = (total[stop] - total[first]) / np.where(stop > first, stop - first, np.nan)
        return result

    def statistics(self, key: Key, rows: NDArray[np.int64], at: Floats) -> Floats:
        """The ``STATISTICS`` of each row's key as columns; NaN where nothing has ended yet."""
        ended = self._ended(key)
        first, stop = self.reach(key, rows, at)
        count = (stop - first).astype(float)
        some = np.where(count > 0, count, np.nan)
        mean = (ended.sums[stop] - ended.sums[first]) / some
        square = (ended.squares[stop] - ended.squares[first]) / some
        latest = self.latest(key, rows, at, RECENT)
        known = ~np.isnan(latest)
        filled = known.sum(axis=1)
        recent_mean = np.where(known, latest, 0.0).sum(axis=1) / np.where(filled > 0, filled, np.nan)
        recent_max = np.where(filled > 0, np.where(known, latest, -np.inf).max(axis=1), np.nan)
        age = np.where(count > 0, at - ended.end[np.maximum(stop - 1, 0)], np.nan)
        return np.column_stack(
            (
                np.log1p(count),
                latest[:, 0],
                latest[:, 1],
                mean,
                np.sqrt(np.maximum(square - mean**2, 0.0)),
                recent_mean,
                recent_max,
                (ended.cut[stop] - ended.cut[first]) / some,
                np.log1p(np.maximum(age, 0.0)),
            )
        )

    def crowd(self, rows: NDArray[np.int64], at: Floats) -> Floats:
        """The ``CROWD`` of each row: what is decided on at the same moment, as a batch of equal upgrades is rarely like
        a single one. Counts are of ``rows`` alone, so give all that are decided on together."""
        _, moment = np.unique(at, return_inverse=True)
        minute = (self.history.submit[rows] // 60).astype(np.int64)
        entity = self.codes(Key(("entity",)))[rows]
        finest = self.codes(self.plan.chain[0])[rows]
        counts = []
        for groups in ((moment, entity), (moment, finest), (minute,), (minute, entity)):
            joint = np.zeros(len(rows), dtype=np.int64)
            for part in groups:
                joint = np.unique(joint * (part.max(initial=0) + 1) + part, return_inverse=True)[1]
            counts.append(np.bincount(joint)[joint] if len(rows) else np.zeros(0))
        due = self.history.submit[rows]
        order = np.lexsort((due, entity))
        same = entity[order][1:] == entity[order][:-1]
        gap = np.full(len(rows), _DAY * 30)
        gap[order[1:][same]] = np.diff(due[order])[same]
        return np.log1p(np.column_stack((*counts, np.maximum(due - at, 0.0), np.maximum(gap, 0.0))))

    def matrix(self, rows: NDArray[np.int64], at: Floats, crowd: Floats | None = None) -> NDArray[np.float32]:
        """The features of ``rows`` as known at ``at``, one row each, columns as ``plan.names``; NaN: not known.
        ``crowd`` is that of ``rows``, where they are not all that are decided on together."""
        if crowd is None:
            crowd = self.crowd(rows, at)
        blocks = [self.statistics(key, rows, at) for key in self.plan.keys]
        numbers = [self.history.numbers[name][rows] for name in self.plan.numbers]
        # When the upgrade is due is part of the question, not of the answer; only a start is not known before.
        clock = [(at % _DAY) / 3600.0, (at // _DAY + 4) % 7]
        return np.column_stack((*blocks, *numbers, *clock, crowd)).astype(np.float32)
