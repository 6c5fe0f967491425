"""What any schedule asks of lanes and groups in each window, as rows of a linear program; it solves nothing.

A window that is dark for all in between is taken as several parts: what ends before the dark leaves its lane's buffer
there as well. An upgrade may run in a part where it would fit alone: after its not_before and the earliest begin of
its wave (``waves``), before its deadline, outside its blackouts. There it takes its size (``Risk.sizes``) of the lanes'
time and its mean of each of its groups' time. Five kinds of row hold for every schedule:

    lanes    sum(size) <= lanes * length
    cuts     the same for what lies before a deadline or blackout or from a begin on, wherever it runs in the part
    tails    sum(min(size, mean + size * d / length)) <= caps * (length - d) + lanes * d, for any d from 0 to length
    groups   sum(mean) <= cap * length
    order    nothing runs without what it comes after

Tails say that lanes' buffers and a limit on what runs at once add up. In the last d seconds a lane runs no more than d
less its buffer, so of its total mean M and buffer b the part M - max(0, d - b) runs before, and no more than caps run
then. That part plus d is at least M + min(b, d), and with sum(size) <= M + b and sum(size) <= length (``risk``) no less
than the left side. With d = 0 it is the groups' row, with d = length the lanes'; in between it is tighter than both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled, light
from tuners.upgrade_sched.plan.model import NEVER, Bools, Floats, Ints
from tuners.upgrade_sched.plan.waves import first_starts, least_needs, least_z, releases

CUTS = 4  # at most so many parts from a begin on, and as many up to an end, in each part
TAILS = (0.25, 0.5, 0.75)  # the buffers at which tails are taken, as quantiles


@dataclass(frozen=True)
class Cut:
    """The upgrades ``members`` (positions in ``jobs``) in part ``window`` take ``size`` of at most ``room`` lane
    seconds."""

    window: int
    members: Ints
    size: Floats
    room: float


@dataclass(frozen=True)
class Kind:
    """One constraint's groups: ``group[i]`` of each upgrade (-1: none), ``room[w, g]`` their seconds in each part."""

    group: Ints
    room: Floats


@dataclass(frozen=True)
class Relaxed:
    """The rows for the possible upgrades ``jobs``. ``fits[w, i]``: whether i may run in part w; ``size[w, i]`` is 0
    where not. ``lanes[w]`` in seconds. ``window[w]`` and ``begin[w]``: the window of each part, and when it opens. Of
    ``cuts`` the last are the tails. ``order``: pairs of positions, what comes after and what it waits for."""

    jobs: Ints
    weight: Floats
    mean: Floats
    fits: Bools
    size: Floats
    lanes: Floats
    cuts: tuple[Cut, ...]
    kinds: tuple[Kind, ...]
    window: Ints
    begin: Ints
    order: Ints


def relax(c: Compiled, begins: Mapping[int, int] | None = None) -> Relaxed:
    """Work out all rows. ``begins``: when each step of the order begins; None: the earliest that any schedule has."""
    upgrades, windows = c.problem.upgrades, c.problem.windows
    jobs = np.nonzero(c.possible)[0]
    mean, variance = upgrades.mean_s[jobs].astype(float), upgrades.spread_s[jobs].astype(float) ** 2
    need, release, z = least_needs(c), releases(c) if begins is None else begins, least_z(c)
    steps, place = np.unique(c.problem.step[jobs], return_inverse=True)
    begin = np.array([release[one] for one in steps.tolist()], np.int64)[place]
    parts = _parts(c, jobs)
    fits = np.zeros((len(parts), len(jobs)), dtype=bool)
    size = np.zeros((len(parts), len(jobs)))
    opens, lanes = np.zeros(len(parts)), np.zeros(len(parts))
    cuts: list[Cut] = []
    for n, (which, *span) in enumerate(parts):
        opened, closed = span
        first = first_starts(c, jobs, which, begin, need, (opened, closed))
        fits[n] = first < NEVER
        inside = np.nonzero(fits[n])[0]
        if not len(inside):
            continue
        count = min(windows[which].slots, len(jobs))
        opens[n] = closed - opened
        lanes[n] = count * opens[n]
        size[n, inside] = c.problem.risk.sizes(mean[inside], variance[inside], opens[n], z)
        last = _last_ends(c, jobs[inside], opened, closed)
        early = first[inside] > opened
        for time in _few(first[inside][early]):
            rows, room = inside[first[inside] >= time], float(closed - time)
            cuts.append(Cut(n, rows, c.problem.risk.sizes(mean[rows], variance[rows], room, z), count * room))
        for time in _few(last[last < closed]):
            rows, room = inside[last <= time], float(time - opened)
            cuts.append(Cut(n, rows, c.problem.risk.sizes(mean[rows], variance[rows], room, z), count * room))
    kinds = _kinds(c, jobs, opens)
    for n in np.nonzero(opens)[0].tolist():
        cuts += _tails(n, fits[n], mean, size[n], float(lanes[n]), float(opens[n]), kinds)
    where, opening = (np.array([part[n] for part in parts], np.int64) for n in (0, 1))
    weight, order = upgrades.weight[jobs], _order(c, jobs)
    return Relaxed(jobs, weight, mean, fits, size, lanes, tuple(cuts), kinds, where, opening, order)


def _parts(c: Compiled, jobs: Ints) -> list[tuple[int, int, int]]:
    """The parts (window, start, end) in which at least one upgrade may run, each window without what is dark for all;
    a window that is dark throughout is kept as one part, so that every window has one."""
    found: list[tuple[int, int, int]] = []
    codes = np.unique(c.signature[jobs])
    for which, window in enumerate(c.problem.windows):
        open_to = [code for code in codes.tolist() if c.eligible[code, which]]
        light_parts = [part for code in open_to for part in light(window.start, window.end, c.blackouts[code])]
        apart: list[tuple[int, int]] = []
        for first, last in sorted(light_parts):
            if apart and first <= apart[-1][1]:
                apart[-1] = apart[-1][0], max(last, apart[-1][1])
            else:
                apart.append((first, last))
        found += [(which, first, last) for first, last in apart or [(window.start, window.end)]]
    return found


def _order(c: Compiled, jobs: Ints) -> Ints:
    place = {job: n for n, job in enumerate(jobs.tolist())} if c.problem.upgrades.after else {}
    pairs = [
        (place[job], place[one]) for job, names in c.problem.upgrades.after.items() if job in place for one in names
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _tails(
    which: int, fits: Bools, mean: Floats, size: Floats, lanes: Floats | float, length: float, kinds: tuple[Kind, ...]
) -> list[Cut]:
    """The rows in which buffers and one constraint's caps add up, where the caps are fewer than the lanes."""
    found = []
    for kind in kinds:
        rows = np.nonzero(fits & (kind.group >= 0))[0]
        if not len(rows):
            continue
        caps = float(kind.room[which, np.unique(kind.group[rows])].sum())
        count = min(float(lanes), len(rows) * length)
        if caps >= count:
            continue
        # Where tails pay is about where full lanes end: at the buffers of lanes filled with each kind of upgrade.
        buffers = length * (1.0 - mean[rows] / size[rows])
        for d in np.unique(np.quantile(buffers, TAILS).round()).tolist():
            if d > 0:
                row = np.minimum(size[rows], mean[rows] + size[rows] * (d / length))
                found.append(Cut(which, rows, row, (caps * (length - d) + count * d) / length))
    return found


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


def _last_ends(c: Compiled, jobs: Ints, opened: int, closed: int) -> Ints:
    """By when each of ``jobs`` is over, reserve included, wherever it runs in the part."""
    code = c.signature[jobs]
    last = np.minimum(closed, c.problem.upgrades.deadline[jobs])
    for one in np.unique(code).tolist():
        if c.blackouts[one]:
            parts = light(opened, closed, c.blackouts[one])
            last[code == one] = np.minimum(last[code == one], parts[-1][1] if parts else opened)
    return last


def _few(times: Ints) -> list[int]:
    """At most ``CUTS`` of the distinct ``times``, evenly among them, the extremes included."""
    known = np.unique(times)
    if len(known) > CUTS:
        known = known[np.linspace(0, len(known) - 1, CUTS).round().astype(int)]
    chosen: list[int] = known.tolist()
    return chosen
