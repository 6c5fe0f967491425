"""What a policy of the backtest may be: its parameters, their ranges, and a check of one that comes from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.policies import RiskPolicy
from tuners.upgrade_sched.durations.fit import CHOSEN, FAMILIES

# What the search draws from: the lowest and the highest value, or all there are.
RANGES: dict[str, tuple[float, float]] = {"risk": (0.2, 0.92), "lean": (0.0, 1.8), "caution": (0.5, 6.0)}
VALUES: dict[str, tuple[Any, ...]] = {"learn": (True, False), "stop_below": (0.0, 0.05, 0.15)}
# What is a policy at all, wherever it comes from.
_SOUND: dict[str, tuple[float, float]] = {"risk": (0, 1), "lean": (0, 10), "caution": (0, 100), "stop_below": (0, 1)}


@dataclass(frozen=True)
class Choice:
    """A policy as a proposal says it: the duration model and the parameters of ``RiskPolicy``."""

    model: str = CHOSEN
    risk: float = 0.6
    lean: float = 0.5
    caution: float = 1.0
    learn: bool = False
    stop_below: float = 0.0

    @property
    def key(self) -> str:
        text = f"{self.model} risk {self.risk:.2f} lean {self.lean:.2f} caution {self.caution:.1f}"
        return text + (" siblings" if self.learn else "") + (f" stop {self.stop_below:g}" if self.stop_below else "")

    def policy(self, blocks: Blocks, block: int, load: float) -> RiskPolicy:
        """The policy on one block and load. A model that this block has no fit of is replaced by the chosen one."""
        model = self.model if self.model in (CHOSEN, *blocks.fitted(block).families) else CHOSEN
        known = blocks.chances(block, load, model)
        return RiskPolicy(known, self.risk, self.lean, self.caution, self.learn, self.stop_below)


def choice_of(payload: Mapping[str, Any]) -> Choice:
    return Choice(**payload)


def checked_choice(payload: Mapping[str, Any]) -> Choice:
    """The policy that a payload from outside (a rule, say) describes; what it leaves out has its default.

    Raises ValueError naming the field for anything that is no policy.
    """
    unknown = set(payload) - {one.name for one in fields(Choice)}
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]!r} is no parameter of a policy")
    for name, (low, high) in _SOUND.items():
        value = payload.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is no number")
        if not low <= value <= high:
            raise ValueError(f"{name} is {value:g}, not from {low:g} to {high:g}")
    if not isinstance(payload.get("learn", False), bool):
        raise ValueError("learn is neither true nor false")
    if payload.get("model", CHOSEN) not in (CHOSEN, *FAMILIES):
        raise ValueError(f"model {payload['model']!r} does not exist")
    return Choice(**payload)
