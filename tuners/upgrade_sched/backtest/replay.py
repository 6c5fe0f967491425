"""Replays a history under one policy, window by window and admission by admission; it selects nothing.

The windows, the models and the simulation are those of the backtest: what it says of a policy can be read here upgrade
by upgrade. Windows are those of the test blocks (see ``tuners.upgrade_sched.backtest.blocks``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.demand import Demand
from tuners.upgrade_sched.backtest.score import resample, row
from tuners.upgrade_sched.backtest.simulate import COUNTS, Policy, Session, play
from tuners.upgrade_sched.backtest.tradeoff import idle
from tuners.upgrade_sched.types import Floats, History

SAME_TIME_S = 1e-6  # slots free and starts closer than this are the same moment
PolicyOf = Callable[[Blocks, int, float], Policy]  # the policy for a block and load


@dataclass(frozen=True)
class Admissions:
    """What one play admitted, one entry each, window by window in order of start: positions in the demand's ``rows``,
    the window and slot, seconds after the window's opening and seconds held, and how it ended."""

    position: NDArray[np.int64]
    window: NDArray[np.int64]
    slot: NDArray[np.int64]
    start_s: Floats
    held_s: Floats
    outcome: NDArray[np.str_]


@dataclass
class Recorder:
    """Another policy, and everything it admits. ``play`` asks how long an upgrade may run once, as it admits it."""

    policy: Policy
    positions: list[NDArray[np.int64]] = field(default_factory=list)
    left_s: list[Floats] = field(default_factory=list)
    limit_s: list[Floats] = field(default_factory=list)

    def begin(self) -> Session:
        return _Recording(self, self.policy.begin())

    def admissions(self, demand: Demand) -> Admissions:
        """The record as outcomes, after ``demand`` was played."""
        if not self.positions:
            nothing = np.zeros(0, dtype=np.int64)
            return Admissions(nothing, nothing, nothing, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.str_))
        position = np.concatenate(self.positions)
        left, limit = np.concatenate(self.left_s), np.concatenate(self.limit_s)
        window = np.searchsorted(demand.first, position, side="right") - 1
        order = np.lexsort((np.arange(len(position)), window))
        position, left, limit, window = position[order], left[order], limit[order], window[order]
        needs = demand.duration_s[position]
        done = (needs <= left) & (needs <= limit)
        held = np.where(done, needs, np.minimum(limit, left))
        outcome = np.where(done, "completed", np.where(limit < left, "stopped", "cancelled"))
        start = np.maximum(demand.window_s - left, 0.0)
        return Admissions(position, window, _slots(window, start, held, demand.slots), start, held, outcome)


class _Recording:
    def __init__(self, recorder: Recorder, session: Session) -> None:
        self.recorder, self.session = recorder, session

    def score(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        return self.session.score(positions, left_s)

    def stop_after(self, positions: NDArray[np.int64], left_s: Floats) -> Floats:
        limit = self.session.stop_after(positions, left_s)
        self.recorder.positions.append(positions.copy())
        self.recorder.left_s.append(left_s.copy())
        self.recorder.limit_s.append(np.broadcast_to(limit, positions.shape).copy())
        return limit

    def ended(self, positions: NDArray[np.int64]) -> None:
        self.session.ended(positions)


def _slots(window: NDArray[np.int64], start: Floats, held: Floats, slots: int) -> NDArray[np.int64]:
    """The slot of each admission (in order of start within each window): the one that became free just then."""
    result = np.zeros(len(window), dtype=np.int64)
    free, current = np.zeros(slots), -1
    for i, (number, begin, taken) in enumerate(zip(window.tolist(), start.tolist(), held.tolist(), strict=True)):
        if number != current:
            free, current = np.zeros(slots), number
        # Slots that stand empty became free earlier; of those, the latest fits best.
        slot = int(np.where(free <= begin + SAME_TIME_S, free, -np.inf).argmax())
        result[i] = slot
        free[slot] = begin + taken
    return result


@dataclass(frozen=True)
class Played:
    """A policy's replay: its name, counts of each window (windows x ``COUNTS``), when each opens (Unix seconds), in
    which split it lies, and its admissions as plain JSON rows."""

    policy: str
    counts: Floats
    opens: Floats
    split: NDArray[np.int64]
    events: list[dict[str, Any]]


def replay(
    blocks: Blocks, policies: Mapping[str, PolicyOf], load: float, say: Callable[[str], None] = lambda text: None
) -> list[Played]:
    """Play every test block at ``load`` under each of ``policies``. What is fitted for a block serves all of them."""
    made: dict[str, list[tuple[Demand, Floats, Admissions]]] = {name: [] for name in policies}
    for block in range(1, blocks.setup.splits + 1):
        demand = blocks.demand(block, load)
        for name, policy_of in policies.items():
            recorder = Recorder(policy_of(blocks, block, load))
            counts = play(demand, recorder).counts
            made[name].append((demand, counts, recorder.admissions(demand)))
        say(f"split {block} of {blocks.setup.splits}, {len(demand)} windows")
        blocks.forget(block)
    return [_joined(name, parts, blocks.history) for name, parts in made.items()]


def _joined(name: str, parts: Sequence[tuple[Demand, Floats, Admissions]], history: History) -> Played:
    events, before = [], 0
    for split, (demand, _, admissions) in enumerate(parts, start=1):
        events += _events(history, demand, admissions, name, split, before)
        before += len(demand)
    opens = np.concatenate([demand.at[demand.first[:-1]] for demand, _, _ in parts])
    split_of = np.concatenate([np.full(len(demand), split) for split, (demand, _, _) in enumerate(parts, start=1)])
    return Played(name, np.concatenate([counts for _, counts, _ in parts]), opens, split_of, events)


def _events(
    history: History, demand: Demand, made: Admissions, policy: str, split: int, before: int
) -> list[dict[str, Any]]:
    """Times are Unix seconds; ``record`` counts the history's records in order of due time, from 1."""
    opens = demand.at[made.position]
    records = demand.rows[made.position]
    return [
        {
            "policy": policy,
            "split": split,
            "window": before + int(made.window[i]) + 1,
            "slot": int(made.slot[i]) + 1,
            "record": int(records[i]) + 1,
            "entity": str(history.entity[records[i]]),
            "type": str(history.type[records[i]]),
            "start": round(float(opens[i] + made.start_s[i]), 3),
            "end": round(float(opens[i] + made.start_s[i] + made.held_s[i]), 3),
            "held_s": round(float(made.held_s[i]), 3),
            "needs_s": round(float(demand.duration_s[made.position[i]]), 3),
            "outcome": str(made.outcome[i]),
        }
        for i in range(len(made.position))
    ]


def document(played: Sequence[Played], blocks: Blocks, load: float) -> dict[str, Any]:
    """All replays as plain JSON: each window, and the totals with their 95 % intervals."""
    setup, history = blocks.setup, blocks.history
    return {
        "schema_version": 1,
        "history": {"source": history.source, "records": len(history)},
        "setup": {
            "window_minutes": setup.window_s / 60,
            "slots": setup.slots,
            "load": load,
            "splits": setup.splits,
            "most_windows": setup.most_windows,
            "seed": setup.seed,
        },
        "policies": [
            {"policy": one.policy, "windows": _windows(one), "total": _total(one, setup.seed)} for one in played
        ],
    }


def _windows(one: Played) -> list[dict[str, Any]]:
    rows = []
    for number, counts in enumerate(one.counts.tolist()):
        c = dict(zip(COUNTS, counts, strict=True))
        empty = c["capacity_s"] - c["useful_s"] - c["wasted_s"]
        rows.append(
            {
                "window": number + 1,
                "split": int(one.split[number]),
                "opens": float(one.opens[number]),
                "offered": int(c["offered"]),
                "admitted": int(c["scheduled"]),
                "completed": int(c["completed"]),
                "cancelled": int(c["cancelled"]),
                "stopped": int(c["stopped_early"]),
                "deferred": int(c["offered"] - c["scheduled"]),
                "longer_than_window": int(c["long"]),
                "idle_minutes": round(empty / 60, 3),
                "wasted_minutes": round(c["wasted_s"] / 60, 3),
                "utilisation": round(c["useful_s"] / c["capacity_s"], 5),
            }
        )
    return rows


def _total(one: Played, seed: int) -> dict[str, Any]:
    sums = resample(one.counts, seed)
    c = dict(zip(COUNTS, sums.once[0].tolist(), strict=True))
    counts = {"windows": len(one.counts), "offered": int(c["offered"]), "longer_than_window": int(c["long"])}
    counts |= {"cancelled": int(c["cancelled"]), "stopped": int(c["stopped_early"])}
    return counts | {"deferred": int(c["offered"] - c["scheduled"])} | row(sums) | {"idle_minutes": idle(sums)}
