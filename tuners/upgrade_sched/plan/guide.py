"""Which upgrades are worth their time where constraints press, by the prices of a relaxation; it places nothing.

``select`` weighs each upgrade against all lanes there are. Where waves, blackouts, scopes or groups take a part of
these, what is worth its time is decided by the time that is left, and by how dear an upgrade's groups are: its weight
over the least price at which any window open to it has lanes and groups for it (``prices``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Floats
from tuners.upgrade_sched.plan.prices import least_costs, priced
from tuners.upgrade_sched.plan.relaxed import relax
from tuners.upgrade_sched.plan.select import Choice, inherited, latest_windows

TIER = 1.3  # returns within this factor count as equal
TIERS = 4  # returns above TIER ** TIERS do as well


def returns(c: Compiled, begins: Mapping[int, int] | None = None) -> Floats:
    """What each upgrade is worth over what its time costs; 0 where none is open to it. ``begins``: when each step of
    the order begins; None: the earliest that any schedule has."""
    r = relax(c, begins)
    found = np.zeros(len(c.problem.upgrades))
    if len(r.jobs) and r.fits.any():
        worth, _ = inherited(c)
        found[r.jobs] = worth[r.jobs] / np.maximum(least_costs(r, priced(r)[1]), 1e-9)
    return found


def guided(c: Compiled, choice: Choice, gain: Floats, seed: int, *, mixed: bool) -> Choice:
    """``choice`` with another order: by wave, then by ``gain`` (``returns``). ``mixed``: what is worth its time is
    mixed within tiers, so that short and long upgrades come together and lanes fill well."""
    step = c.problem.step
    early = c.possible & (step >= 0) & (step < step.max(initial=0))
    chosen = (gain >= 1.0) & (choice.due >= 0) | early
    lot = np.random.default_rng(seed).permutation(len(gain))
    if mixed:
        tier = np.clip(np.floor(np.log(np.maximum(gain, 1e-9)) / np.log(TIER)), 0, TIERS)
        keys = (np.where(chosen, lot, -gain), np.where(chosen, -tier, 0.0), ~chosen, np.maximum(step, 0))
    else:
        keys = (lot, -gain, ~chosen, np.maximum(step, 0))
    rank = np.empty(len(gain), np.int64)
    rank[np.lexsort(keys)] = np.arange(len(gain))
    latest = latest_windows(rank, chosen, choice.due, choice.size, c)
    return Choice(rank, chosen, choice.due, latest, choice.size)
