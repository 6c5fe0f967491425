"""The blocks of a backtest at another cost ratio: what the ratio changes is done again, the rest is shared.

The ratio is the level at which the asymmetric loss is grown, and so it bears on which family is chosen for each type.
Windows, features and all other fits do not depend on it.
"""

from __future__ import annotations

from dataclasses import replace

from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.demand import Demand
from tuners.upgrade_sched.backtest.policies import Chances
from tuners.upgrade_sched.durations.base import Query
from tuners.upgrade_sched.durations.fit import CHOSEN, Durations, fit

DEPENDS = "asymmetric"  # the only family that is fitted to the ratio


class RatioBlocks(Blocks):
    """``base`` at ``cost_ratio``; what is not the ratio's own is kept, and forgotten, by ``base``."""

    def __init__(self, base: Blocks, cost_ratio: float) -> None:
        self.base = base
        self.history, self.index, self.bounds = base.history, base.index, base.bounds
        self.setup = replace(base.setup, cost_ratio=cost_ratio)
        self._fits: dict[int, Durations] = {}
        self._chances: dict[tuple[int, float, str], Chances] = {}

    def demand(self, block: int, load: float) -> Demand:
        return self.base.demand(block, load)

    def query(self, block: int, load: float) -> Query:
        return self.base.query(block, load)

    def carried(self) -> tuple[str, ...]:
        return self.base.carried()

    def fitted(self, block: int) -> Durations:
        if block not in self._fits:
            base, s = self.base.fitted(block), self.setup
            if s.cost_ratio == self.base.setup.cost_ratio or DEPENDS not in base.families:
                self._fits[block] = base
            else:
                rows, at = self.training(block)
                self._fits[block] = fit(
                    *(self.index, rows, at),
                    cost_ratio=s.cost_ratio,
                    longest_s=s.window_s,
                    names=tuple(base.families),
                    threads=s.threads,
                    seed=s.seed,
                )
        return self._fits[block]

    def chances(self, block: int, load: float, family: str) -> Chances:
        shared = self._shares(block, family)
        return self.base.chances(block, load, family) if shared else super().chances(block, load, family)

    def _shares(self, block: int, family: str) -> bool:
        """Whether a family predicts here as it does in ``base``."""
        mine, base = self.fitted(block), self.base.fitted(block)
        if mine is base or family not in (CHOSEN, DEPENDS):
            return True
        return family == CHOSEN and mine.choice == base.choice and DEPENDS not in mine.choice.values()

    def forget(self, block: int) -> None:
        self._fits.pop(block, None)
        self._chances = {key: known for key, known in self._chances.items() if key[0] != block}
