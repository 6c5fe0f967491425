"""What any schedule asks of lanes and groups in each window, as rows of a linear program; it solves nothing.

An upgrade may run in a window where it would fit alone: after its not_before and the earliest begin of its wave
(``waves``), before its deadline, outside its blackouts. There it takes its size (``Risk.sizes``) of the lanes' time and
its mean of each of its groups' time. Three kinds of row hold for every schedule:

    lanes    sum(size) <= lanes * (time of the window that is not dark for all)
    cuts     the same for the part of a window up to a deadline or blackout, or from a begin on, and the upgrades that
             lie inside that part wherever they run in the window
    groups   sum(mean) <= cap * (time of the window that is not dark for all)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled, light
from tuners.upgrade_sched.plan.model import NEVER, Bools, Floats, Ints
from tuners.upgrade_sched.plan.waves import first_starts, least_needs, least_z, releases

CUTS = 4  # at most so many parts from a begin on, and as many up to an end, in each window


@dataclass(frozen=True)
class Cut:
    """The upgrades ``members`` (positions in ``jobs``) in window ``window`` take ``size`` of at most ``room`` lane
    seconds."""

    window: int
    members: Ints
    size: Floats
    room: float


@dataclass(frozen=True)
class Kind:
    """One constraint's groups: ``group[i]`` of each upgrade (-1: none), ``room[w, g]`` their seconds in each window."""

    group: Ints
    room: Floats


@dataclass(frozen=True)
class Relaxed:
    """The rows for the possible upgrades ``jobs``. ``fits[w, i]``: whether i may run in w; ``size[w, i]`` is 0 where
    not. ``lanes[w]`` in seconds."""

    jobs: Ints
    weight: Floats
    mean: Floats
    fits: Bools
    size: Floats
    lanes: Floats
    cuts: tuple[Cut, ...]
    kinds: tuple[Kind, ...]


def relax(c: Compiled) -> Relaxed:
    """Work out all rows."""
    upgrades, windows = c.problem.upgrades, c.problem.windows
    jobs = np.nonzero(c.possible)[0]
    mean, variance = upgrades.mean_s[jobs].astype(float), upgrades.spread_s[jobs].astype(float) ** 2
    need, release, z = least_needs(c), releases(c), least_z(c)
    steps, place = np.unique(c.problem.step[jobs], return_inverse=True)
    begin = np.array([release[one] for one in steps.tolist()], np.int64)[place]
    fits = np.zeros((len(windows), len(jobs)), dtype=bool)
    size = np.zeros((len(windows), len(jobs)))
    opens, lanes = np.zeros(len(windows)), np.zeros(len(windows))
    cuts: list[Cut] = []
    for which, window in enumerate(windows):
        first = first_starts(c, jobs, which, begin, need)
        fits[which] = first < NEVER
        inside = np.nonzero(fits[which])[0]
        if not len(inside):
            continue
        codes = np.unique(c.signature[jobs[inside]]).tolist()
        parts = [part for code in codes for part in light(window.start, window.end, c.blackouts[code])]
        opens[which] = length = _length(parts)
        count = min(window.slots, len(jobs))
        lanes[which] = count * length
        size[which, inside] = c.problem.risk.sizes(mean[inside], variance[inside], length, z)
        last = _last_ends(c, jobs[inside], which)
        early = first[inside] > window.start
        for time in _few(first[inside][early]):
            rows, room = inside[first[inside] >= time], float(window.end - time)
            cuts.append(Cut(which, rows, c.problem.risk.sizes(mean[rows], variance[rows], room, z), count * room))
        for time in _few(last[last < window.end]):
            rows, room = inside[last <= time], float(time - window.start)
            cuts.append(Cut(which, rows, c.problem.risk.sizes(mean[rows], variance[rows], room, z), count * room))
    return Relaxed(jobs, upgrades.weight[jobs], mean, fits, size, lanes, tuple(cuts), _kinds(c, jobs, opens))


def _kinds(c: Compiled, jobs: Ints, opens: Floats) -> tuple[Kind, ...]:
    caps = np.array([group.cap for group in c.groups], float)
    found = []
    for column in range(c.membership.shape[1]):
        known, place = np.unique(c.membership[jobs, column], return_inverse=True)
        none = int(len(known) > 0 and known[0] < 0)
        known = known[none:]
        if len(known):
            found.append(Kind(place.reshape(-1) - none, caps[known][None, :] * opens[:, None]))
    return tuple(found)


def _length(parts: list[tuple[int, int]]) -> float:
    total, reach = 0, -NEVER
    for start, end in sorted(parts):
        total += max(0, end - max(start, reach))
        reach = max(reach, end)
    return float(total)


def _last_ends(c: Compiled, jobs: Ints, which: int) -> Ints:
    """By when each of ``jobs`` is over, reserve included, wherever it runs in the window."""
    window, code = c.problem.windows[which], c.signature[jobs]
    last = np.minimum(window.end, c.problem.upgrades.deadline[jobs])
    for one in np.unique(code).tolist():
        if c.blackouts[one]:
            parts = light(window.start, window.end, c.blackouts[one])
            last[code == one] = np.minimum(last[code == one], parts[-1][1] if parts else window.start)
    return last


def _few(times: Ints) -> list[int]:
    """At most ``CUTS`` of the distinct ``times``, evenly among them, the extremes included."""
    known = np.unique(times)
    if len(known) > CUTS:
        known = known[np.linspace(0, len(known) - 1, CUTS).round().astype(int)]
    chosen: list[int] = known.tolist()
    return chosen
