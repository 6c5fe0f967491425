"""Cuts a stretch of history into maintenance windows with a given load; it predicts and schedules nothing.

A *window* is ``window_s`` seconds during which ``slots`` upgrades may run side by side; its capacity is their product.
The *load* of a window is the true work offered to it over its capacity. An upgrade's work counts up to the length of
the window, since it could hold a slot for no longer; what is longer than the window is still offered, can only be
deferred or cancelled, and counts against every policy. Each window is offered the next records of the history in the
order in which they were due, until the load is reached, and all of them are known when it opens, at the first one's due
time: predictions for it use only what ended before that moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.types import Floats, History


@dataclass(frozen=True)
class Demand:
    """Windows of one stretch of history. ``rows`` are the records offered, window after window; window ``w`` is offered
    those from ``first[w]`` to before ``first[w + 1]``; ``at`` is when each record's window opens (Unix seconds)."""

    rows: NDArray[np.int64]
    first: NDArray[np.int64]
    at: Floats
    duration_s: Floats
    window_s: float
    slots: int

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.first) - 1

    @property
    def capacity_s(self) -> float:
        """Slot seconds in one window."""
        return self.window_s * self.slots

    def head(self, windows: int) -> Demand:
        """The first ``windows`` of them; positions stay as they are."""
        if windows >= len(self):
            return self
        stop = int(self.first[windows])
        first = self.first[: windows + 1]
        return Demand(self.rows[:stop], first, self.at[:stop], self.duration_s[:stop], self.window_s, self.slots)

    def padded(self) -> NDArray[np.int64]:
        """Positions in ``rows`` as a table of windows by places, -1 where a window is offered no more."""
        sizes = np.diff(self.first)
        place = np.arange(sizes.max(initial=0))
        table: NDArray[np.int64] = np.where(place[None, :] < sizes[:, None], self.first[:-1, None] + place, -1)
        return table


def cut_windows(
    history: History, rows: NDArray[np.int64], window_s: float, slots: int, load: float, *, most: int, seed: int
) -> Demand:
    """Offer ``rows`` (in order of due time) to windows of ``load``.

    Censored records are left out: how long they would have taken is not known. What is left over at the end, too
    little for a whole window, is left out too. Of more than ``most`` windows, ``most`` are drawn without replacement
    by ``seed`` and kept in their order.
    """
    rows = rows[~history.censored[rows]]
    number, whole = _number(history, rows, window_s, slots, load)
    bounds = np.concatenate((np.flatnonzero(np.diff(number, prepend=-1)), [len(rows)]))
    kept = np.arange(whole)
    if whole > most:
        kept = np.sort(np.random.default_rng(seed).choice(whole, most, replace=False))
    parts = [np.arange(bounds[w], bounds[w + 1]) for w in kept]
    places = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    opens = history.submit[rows[bounds[kept]]]
    chosen = rows[places]
    return Demand(
        chosen,
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        np.repeat(opens, sizes),
        history.duration_s[chosen],
        window_s,
        slots,
    )


def opening_times(
    history: History, rows: NDArray[np.int64], window_s: float, slots: int, load: float
) -> NDArray[np.float64]:
    """When the window opens that each of ``rows`` would be offered to (Unix seconds), censored records too: a model
    that learns from them then sees each as late as one it will be asked about."""
    number, _ = _number(history, rows, window_s, slots, load)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    sizes = np.diff(np.concatenate((first, [len(rows)])))
    return np.repeat(history.submit[rows[first]], sizes)


def _number(
    history: History, rows: NDArray[np.int64], window_s: float, slots: int, load: float
) -> tuple[NDArray[np.int64], int]:
    """The window of each record, and how many windows got their whole load."""
    offered = window_s * slots * load
    work = np.cumsum(np.minimum(history.duration_s[rows], window_s))
    begins = np.concatenate(([0.0], work))[:-1]  # a record belongs to the window in which its work begins
    number = np.floor(begins / offered + 1e-9).astype(np.int64)
    # Numbered without gaps: a record as long as several windows' loads leaves none of them empty.
    number = np.unique(number, return_inverse=True)[1].astype(np.int64)
    if not len(rows):
        return number, 0
    last = work[-1] - begins[np.searchsorted(number, number[-1])]
    return number, int(number[-1]) + (1 if last >= offered - 1e-6 else 0)
