"""Plays maintenance windows under an online policy, all windows side by side; it predicts nothing itself.

The policy: whenever a slot is free, admit the best of the waiting upgrades that may still start, judged by its
prediction and the time that is left; where none may start, the slot stays empty for the rest of the window. An upgrade
that still runs when the window closes is cancelled, and the time it held the slot is wasted. ``Scheduled`` upgrades
are those admitted, ``completed`` those that ended inside the window, ``cancelled`` the other admitted ones,
``deferred`` those never admitted. One that is cancelled is not tried again in the same window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.backtest.demand import Demand
from tuners.upgrade_sched.types import Floats

# What is counted for each window, in the order of the columns of ``Played.counts``; times are in seconds.
COUNTS = (
    "offered",
    "scheduled",
    "completed",
    "cancelled",
    "useful_s",
    "wasted_s",
    "long",
    "long_deferred",
    "stopped_early",
    "capacity_s",
)


_COMPACT = 24


class Session(Protocol):
    """A policy at work on one demand. Positions are those of the demand's ``rows``."""

    def score(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        """How good it is to start each of ``positions`` (windows x places; -1: none, its score is not read) with
        ``left_s`` (one for each window) to go; -inf: may not start. Equal scores go by order of due time."""
        ...

    def stop_after(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        """After how many seconds each upgrade would be given up, if it has not ended (inf: never)."""
        ...

    def ended(self, positions: NDArray[np.int64]) -> None:
        """These upgrades, at most one of each window, have just been completed."""
        ...


class Policy(Protocol):
    """A rule for free slots; ``begin`` gives it a fresh memory."""

    def begin(self) -> Session: ...


@dataclass(frozen=True)
class Played:
    """``counts`` is windows x ``COUNTS``; ``started`` says, for each position, whether it was admitted."""

    counts: Floats
    started: NDArray[np.bool_]


def play(demand: Demand, policy: Policy) -> Played:
    """Play every window of ``demand`` from its opening to its end."""
    windows, length = len(demand), demand.window_s
    session = policy.begin()
    table = demand.padded()
    duration = np.append(demand.duration_s, 0.0)  # position -1 reads the last one and is never chosen
    waiting = table >= 0
    free = np.zeros((windows, demand.slots))  # when each slot is next free; inf: closed
    counts = np.zeros((windows, len(COUNTS)))
    column = {name: i for i, name in enumerate(COUNTS)}
    started = np.zeros(len(demand.rows), dtype=bool)
    finishing = np.full((windows, demand.slots), -1)  # what each slot is busy completing
    counts[:, column["offered"]] = waiting.sum(axis=1)
    counts[:, column["capacity_s"]] = demand.capacity_s
    counts[:, column["long"]] = (waiting & (duration[table] > length)).sum(axis=1)
    alive = np.arange(windows)
    # Tables shrink as upgrades leave them: every so many steps what waits moves to the front, in order.
    steps = 0
    while len(alive):
        steps += 1
        if steps % _COMPACT == 0:
            keep = np.argsort(~waiting, axis=1, kind="stable")[:, : max(int(waiting[alive].sum(axis=1).max()), 1)]
            table, waiting = np.take_along_axis(table, keep, 1), np.take_along_axis(waiting, keep, 1)
        slot = free[alive].argmin(axis=1)
        now = free[alive, slot]
        going = np.isfinite(now) & (now < length) & waiting[alive].any(axis=1)
        alive, slot, now = alive[going], slot[going], now[going]
        if not len(alive):
            break
        just = finishing[alive, slot]
        finishing[alive, slot] = -1
        if (just >= 0).any():
            session.ended(just[just >= 0])
        left = length - now
        positions = table[alive]
        score = np.where(waiting[alive], session.score(positions, left), -np.inf)
        place = score.argmax(axis=1)
        may = score[np.arange(len(alive)), place] > -np.inf
        free[alive[~may], slot[~may]] = np.inf
        who, place, left, now, slot = alive[may], place[may], left[may], now[may], slot[may]
        if not len(who):
            continue
        chosen = table[who, place]
        waiting[who, place] = False
        started[chosen] = True
        needs = duration[chosen]
        given_up = session.stop_after(chosen, left)
        done = (needs <= left) & (needs <= given_up)
        held = np.where(done, needs, np.minimum(given_up, left))
        counts[who, column["scheduled"]] += 1
        counts[who, column["completed"]] += done
        counts[who, column["cancelled"]] += ~done
        counts[who, column["stopped_early"]] += ~done & (given_up < left)
        counts[who, column["useful_s"]] += np.where(done, needs, 0.0)
        counts[who, column["wasted_s"]] += np.where(done, 0.0, held)
        free[who, slot] = now + held
        finishing[who, slot] = np.where(done, chosen, -1)
    everything = demand.padded()
    left_over = (everything >= 0) & ~np.append(started, True)[everything] & (duration[everything] > length)
    counts[:, column["long_deferred"]] = left_over.sum(axis=1)
    return Played(counts, started)
