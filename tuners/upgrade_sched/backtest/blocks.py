"""The rolling splits of a backtest: what is fitted on which records, and what is asked about them; it judges nothing.

The history is cut in order of due time: the first ``FIRST_SHARE`` only trains; the rest is cut into ``splits + 1``
equal blocks. Split ``k`` is tested on block ``k`` and selects on the blocks before it. For each block the models are
fitted on records that ended before it began. So the fit that serves a test also serves the selection of later splits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sysmith_errors import InputError
from tuners.upgrade_sched.backtest.demand import Demand, cut_windows, opening_times
from tuners.upgrade_sched.backtest.policies import Chances, chances
from tuners.upgrade_sched.durations.base import GRID, Query
from tuners.upgrade_sched.durations.fit import FAMILIES, Durations, fit
from tuners.upgrade_sched.features import HistoryIndex, plan_features
from tuners.upgrade_sched.siblings import group_codes, normal_scores
from tuners.upgrade_sched.types import Floats, History

FIRST_SHARE = 0.4
FEWEST_WINDOWS = 4  # in a block: fewer say nothing
MOST_CARRIED = 2  # dear families that are fitted for every block
SLOTS_TRIED = (10, 8, 6, 5, 4, 3, 2, 1)


@dataclass(frozen=True)
class Setup:
    """What is asked of a backtest. ``cost_ratio`` is the cost of a minute of overrun over that of an idle one;
    ``most_windows`` limits the windows of one block and load."""

    window_s: float = 7200.0
    slots: int = 10
    loads: tuple[float, ...] = (1.2, 2.0, 3.0)
    splits: int = 5
    cost_ratio: float = 4.0
    most_windows: int = 120
    seed: int = 0
    families: tuple[str, ...] = FAMILIES
    threads: int = 1  # xgboost waits by spinning: on busy machines more threads take many times longer


def choose_slots(history: History, window_s: float, load: float, splits: int) -> int:
    """The most of ``SLOTS_TRIED`` with which each block still has ``3 * FEWEST_WINDOWS`` windows at ``load``."""
    work = np.minimum(history.duration_s[~history.censored], window_s).sum() * (1 - FIRST_SHARE) / (splits + 1)
    for slots in SLOTS_TRIED:
        if work / (window_s * slots * load) >= 3 * FEWEST_WINDOWS:
            return slots
    return SLOTS_TRIED[-1]


@dataclass
class Blocks:
    """The blocks of one history, with what was fitted and asked so far kept at hand.

    Raises InputError where the history is too short for the setup.
    """

    history: History
    setup: Setup
    index: HistoryIndex = field(init=False)
    bounds: NDArray[np.int64] = field(init=False)
    _fits: dict[int, Durations] = field(init=False, default_factory=dict)
    _demands: dict[tuple[int, float], Demand] = field(init=False, default_factory=dict)
    _queries: dict[tuple[int, float], Query] = field(init=False, default_factory=dict)
    _chances: dict[tuple[int, float, str], Chances] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.history)
        first = int(count * FIRST_SHARE)
        self.bounds = np.linspace(first, count, self.setup.splits + 2).astype(np.int64)
        self.index = HistoryIndex(self.history, plan_features(self.history.take(slice(0, max(first, 1)))))
        for block in range(self.setup.splits + 1):
            for load in self.setup.loads:
                found = len(self.demand(block, load))
                if found < FEWEST_WINDOWS:
                    raise InputError(
                        f"{self.history.source or 'the history'}: {count} records give {found} windows of "
                        f"{self.setup.window_s / 60:g} minutes x {self.setup.slots} slots at load {load:g} in block "
                        f"{block + 1} of {self.setup.splits + 1}, and {FEWEST_WINDOWS} is the least that says anything",
                        mend="Take a smaller --slots, --window, --loads or --splits, or a longer history.",
                    )

    def rows(self, block: int) -> NDArray[np.int64]:
        return np.arange(self.bounds[block], self.bounds[block + 1])

    def until(self, block: int) -> float:
        """When the first record after a block was due (Unix seconds): what selects on the block knows nothing later."""
        return float(self.history.submit[self.bounds[block + 1]])

    def demand(self, block: int, load: float) -> Demand:
        """The windows of one block at one load."""
        key = (block, load)
        if key not in self._demands:
            s = self.setup
            seed = s.seed * 1000 + block
            self._demands[key] = cut_windows(
                self.history, self.rows(block), s.window_s, s.slots, load, most=s.most_windows, seed=seed
            )
        return self._demands[key]

    def query(self, block: int, load: float) -> Query:
        """What is known of the upgrades offered, each when its window opens."""
        key = (block, load)
        if key not in self._queries:
            demand = self.demand(block, load)
            self._queries[key] = Query.of(self.index, demand.rows, demand.at)
        return self._queries[key]

    def training(self, block: int) -> tuple[NDArray[np.int64], Floats]:
        """The records that ended before a block began, oldest first, and when each was decided on (Unix seconds)."""
        s, history = self.setup, self.history
        rows = np.arange(self.bounds[block])
        rows = rows[history.end[rows] < history.submit[self.bounds[block]]]
        middle = sorted(s.loads)[len(s.loads) // 2]
        return rows, opening_times(history, rows, s.window_s, s.slots, middle)

    def fitted(self, block: int) -> Durations:
        """The models as of the beginning of a block."""
        if block not in self._fits:
            s = self.setup
            rows, at = self.training(block)
            self._fits[block] = fit(
                self.index,
                rows,
                at,
                cost_ratio=s.cost_ratio,
                longest_s=s.window_s,
                names=s.families if block == 0 else self.carried(),
                threads=s.threads,
                seed=s.seed,
            )
        return self._fits[block]

    def carried(self) -> tuple[str, ...]:
        """The families fitted again for later blocks: those the first block chose for a type, at most ``MOST_CARRIED``
        by what they cost, and the two that baselines and thin types need."""
        first = self.fitted(0)
        cost = {name: np.mean([losses[name] for losses in first.losses.values()]) for name in first.families}
        wanted = sorted(set(first.choice.values()), key=lambda name: cost.get(name, 0.0))[:MOST_CARRIED]
        return tuple(name for name in self.setup.families if name in {"history", "squared", *wanted})

    def chances(self, block: int, load: float, family: str) -> Chances:
        """A family's predictions for the upgrades offered, as chances of ending in the time left."""
        key = (block, load, family)
        if key not in self._chances:
            fitted, query = self.fitted(block), self.query(block, load)
            logs = fitted.logs(query, family)
            like = fitted.likeness[family]
            self._chances[key] = chances(
                GRID,
                np.exp(logs),
                self.setup.window_s,
                normal_scores(GRID, logs, query.log),
                like,
                group_codes(self.index, like.group_key, query.rows, query.at),
                group_codes(self.index, like.subgroup_key, query.rows, query.at),
            )
        return self._chances[key]

    def forget(self, block: int) -> None:
        """Let go of what a block holds, for memory."""
        if block:  # the first says which families are fitted again
            self._fits.pop(block, None)
        self._queries = {key: query for key, query in self._queries.items() if key[0] != block}
        self._chances = {key: known for key, known in self._chances.items() if key[0] != block}
