"""An upper bound for fleets of any size, by prices on lanes' and groups' time in each window; it makes no schedule.

Lagrangian relaxation of the rows in ``relaxed``: for any prices that are not negative, no schedule is worth more than
the price of all there is plus, over all upgrades, what each is worth above the cheapest window open to it (M. L.
Fisher, Management Science 27, 1981). Prices go up where more is asked for than there is, and down where less. What is
asked for is smoothed, each upgrade being spread over windows by a logit choice, for with many alike all would ask for
the same window. Steps and smoothing shrink; the bound is taken at the best prices met, without smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuners.upgrade_sched.plan.model import Floats
from tuners.upgrade_sched.plan.relaxed import Cut, Kind, Relaxed

STEPS = 300
FEW = 100  # steps for a fleet with less than twice as many upgrades
WORK = 4e8  # steps times what one step reads; large fleets take fewer steps
FIRST, LAST = 0.3, 0.02  # the smoothing, in parts of an upgrade's weight
STRIDE = 0.3  # the first step, in parts of the price at which one window for all would clear
SAMPLE = 20_000


@dataclass
class Prices:
    """What a second costs: ``lanes[w]``, ``cuts[k]``, ``kinds[n][w, g]``. ``order[e]``: what the later of a pair pays
    to the one it waits for."""

    lanes: Floats
    cuts: Floats
    kinds: list[Floats]
    order: Floats

    def copy(self) -> Prices:
        return Prices(self.lanes.copy(), self.cuts.copy(), [one.copy() for one in self.kinds], self.order.copy())


def priced_bound(r: Relaxed, steps: int | None = None) -> float:
    """The bound after ``steps`` steps (None: as many as ``WORK`` allows)."""
    if not len(r.jobs) or not r.fits.any():
        return 0.0
    return priced(r, steps)[0] * (1 + 1e-9) + 1e-6


def priced(r: Relaxed, steps: int | None = None) -> tuple[float, Prices]:
    """The least bound met and its prices; at least one upgrade must fit somewhere."""
    cost = r.fits.size * (2 + len(r.kinds))
    count = int(np.clip(len(r.jobs) // 2, FEW, STEPS))
    count = steps if steps is not None else int(min(count, max(3, WORK / cost)))
    prices, stride = _start(r), STRIDE
    if len(r.jobs) > 2 * SAMPLE:
        # Lanes and large groups are priced on a part of the fleet first, with as large a part of the room.
        part, keep = _part(r)
        prices = _lift(r, keep, _improve(part, _start(part), STEPS, STRIDE)[1])
        stride = STRIDE / 10
    return _improve(r, prices, count, stride)


def least_costs(r: Relaxed, prices: Prices) -> Floats:
    """What each upgrade's time costs in the cheapest part open to it; infinite where none is."""
    least = np.full(len(r.jobs), np.inf)
    for w in range(len(r.lanes)):
        cost = _costs(r, prices, w)
        least = np.where(r.fits[w], np.minimum(least, cost), least)
    return least


def _costs(r: Relaxed, prices: Prices, w: int) -> Floats:
    """What each upgrade's time costs in part ``w``."""
    second = np.zeros(len(r.jobs))
    for kind, price in zip(r.kinds, prices.kinds, strict=True):
        second += np.append(price[w], 0.0)[kind.group]
    cost: Floats = prices.lanes[w] * r.size[w] + r.mean * second
    for cut, one in zip(r.cuts, prices.cuts.tolist(), strict=True):
        if one and cut.window == w:
            cost[cut.members] += one * cut.size
    return cost


def _start(r: Relaxed) -> Prices:
    zero = [np.zeros_like(kind.room) for kind in r.kinds]
    return Prices(np.full(len(r.lanes), _clearing(r)), np.zeros(len(r.cuts)), zero, np.zeros(len(r.order)))


def _clearing(r: Relaxed) -> float:
    """The price of a lane's second at which one window as large as all would be full, 0 if it never is."""
    able = r.fits.any(axis=0)
    size = np.where(r.fits, r.size, np.inf).min(axis=0)[able]
    worth = r.weight[able] / size
    order = np.argsort(-worth, kind="stable")
    last = int(np.searchsorted(np.cumsum(size[order]), r.lanes.sum()))
    return float(worth[order[last]]) if last < len(order) else 0.0


def _improve(r: Relaxed, prices: Prices, steps: int, stride: float) -> tuple[float, Prices]:
    """The least bound met in ``steps`` steps, and its prices."""
    able = r.fits.any(axis=0)
    typical = float(np.median(r.weight[able] / r.size.max(axis=0)[able]))
    scale = stride * max(_clearing(r), 0.2 * typical)
    best, kept = np.inf, prices
    for step in range(steps):
        smooth = FIRST * (LAST / FIRST) ** (step / max(1, steps - 1))
        value, chosen = _evaluate(r, prices, smooth)
        if value < best:
            best, kept = value, prices.copy()
        if step + 1 == steps:
            break
        _move(r, prices, chosen, scale * (1 - step / steps))
    return best, kept


def _evaluate(r: Relaxed, prices: Prices, smooth: float) -> tuple[float, Floats]:
    """The bound at some prices, and how upgrades (columns) choose among windows (rows)."""
    gain = np.empty(r.fits.shape)
    worth = _passed_on(r, prices)
    for w in range(len(r.lanes)):
        gain[w] = worth - _costs(r, prices, w)
    gain[~r.fits] = -np.inf
    top = np.maximum(gain.max(axis=0), 0.0)
    value = float(top.sum() + prices.lanes @ r.lanes)
    value += sum(float(price * cut.room) for cut, price in zip(r.cuts, prices.cuts.tolist(), strict=True))
    value += sum(float((price * kind.room).sum()) for kind, price in zip(r.kinds, prices.kinds, strict=True))
    heat = smooth * r.weight
    gain -= top
    gain /= heat
    np.exp(gain, out=gain)
    gain /= gain.sum(axis=0) + np.exp(-top / heat)
    return value, gain


def _passed_on(r: Relaxed, prices: Prices) -> Floats:
    """What each upgrade is worth when those that wait pay those that they wait for."""
    worth = r.weight.copy()
    np.subtract.at(worth, r.order[:, 0], prices.order)
    np.add.at(worth, r.order[:, 1], prices.order)
    return worth


def _move(r: Relaxed, prices: Prices, chosen: Floats, step: float) -> None:
    """Move each price by up to ``step``, in proportion to how much too much or too little is asked for."""
    prices.lanes += step * _excess((chosen * r.size).sum(axis=1), r.lanes)
    np.maximum(prices.lanes, 0.0, out=prices.lanes)
    for n, cut in enumerate(r.cuts):
        asked = np.array(float(chosen[cut.window].take(cut.members) @ cut.size))
        prices.cuts[n] = max(0.0, prices.cuts[n] + step * float(_excess(asked, np.array(cut.room))))
    for kind, price in zip(r.kinds, prices.kinds, strict=True):
        many = kind.room.shape[1]
        for w in range(len(r.lanes)):
            load: Floats = np.bincount(kind.group + 1, r.mean * chosen[w], many + 1)[1:].astype(float)
            price[w] += step * _excess(load, kind.room[w])
        np.maximum(price, 0.0, out=price)
    if len(r.order):
        share = chosen.sum(axis=0)
        prices.order += step * float(np.median(r.mean)) * (share[r.order[:, 0]] - share[r.order[:, 1]])
        np.maximum(prices.order, 0.0, out=prices.order)


def _excess(asked: Floats, room: Floats) -> Floats:
    share = np.divide(asked, room, out=np.zeros_like(asked), where=room > 0)
    result: Floats = np.clip(share - 1.0, -1.0, 1.0)
    return result


def _part(r: Relaxed) -> tuple[Relaxed, list[int]]:
    """Some of the upgrades with as large a part of the room; ``keep``: the kinds that are left, whose groups are large
    enough to be priced from a part."""
    picked = np.sort(np.random.default_rng(0).choice(len(r.jobs), SAMPLE, replace=False))
    share = SAMPLE / len(r.jobs)
    place = np.full(len(r.jobs), -1)
    place[picked] = np.arange(SAMPLE)
    cuts = []
    for cut in r.cuts:
        mine = place[cut.members] >= 0
        cuts.append(Cut(cut.window, place[cut.members[mine]], cut.size[mine], cut.room * share))
    keep = [n for n, kind in enumerate(r.kinds) if len(r.jobs) * share / kind.room.shape[1] >= 50]
    kinds = tuple(Kind(r.kinds[n].group[picked], r.kinds[n].room * share) for n in keep)
    order = place[r.order][np.all(place[r.order] >= 0, axis=1)]
    columns = (r.jobs[picked], r.weight[picked], r.mean[picked], r.fits[:, picked], r.size[:, picked])
    return Relaxed(*columns, r.lanes * share, tuple(cuts), kinds, r.window, r.begin, order), keep


def _lift(r: Relaxed, keep: list[int], small: Prices) -> Prices:
    """The prices of a part for the whole; groups that were too small for it cost nothing yet."""
    kinds = [np.zeros_like(kind.room) for kind in r.kinds]
    for n, price in zip(keep, small.kinds, strict=True):
        kinds[n] = price
    return Prices(small.lanes, small.cuts, kinds, np.zeros(len(r.order)))
