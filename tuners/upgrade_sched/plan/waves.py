"""How soon a wave of the fixed order can be over, and which of its upgrades must not wait for that; it places nothing.

Nothing of a later wave begins before all of an earlier one are over, so within a wave it is not weight that counts but
the end of the last upgrade. ``last_chances`` serves the heuristic: it takes the first window by which all that is left
of a wave could be over, and gives each upgrade the last window up to that one in which it still fits. ``releases``
serves the bounds: no schedule begins a wave before them.
"""

from __future__ import annotations

import math

import numpy as np

from tuners.upgrade_sched.plan.groups import Compiled, light
from tuners.upgrade_sched.plan.model import NEVER, Bools, Floats, Ints, Schedule

BUSIEST = 40  # groups of each constraint that are looked at as the one that ends last
CROWDED = 0.7  # a group's work in parts of the time from which on its upgrades go first
FEW = 0.25
TAILS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85)  # the buffers at which tails are taken, as quantiles
FULL = 0.9  # a wave's share of the lanes' time at which it needs one window more


def reserves_alone(c: Compiled) -> Floats:
    """Seconds that each upgrade needs in an empty lane."""
    upgrades = c.problem.upgrades
    return c.problem.risk.reserves(upgrades.mean_s, upgrades.spread_s.astype(float) ** 2)


def least_z(c: Compiled) -> float:
    """The largest factor on the spread that no lane's buffer goes below, whichever possible upgrades it holds."""
    upgrades = c.problem.upgrades
    mean, spread = upgrades.mean_s[c.possible], upgrades.spread_s[c.possible].astype(float)
    return c.problem.risk.optimistic_z(mean, spread**2)


def least_needs(c: Compiled) -> Floats:
    """Seconds that each upgrade needs at least, from its begin to the end of its lane's reserve, wherever it is. With
    the rule ``lognormal`` that is less than alone: behind others it is less skewed."""
    upgrades = c.problem.upgrades
    needs: Floats = upgrades.mean_s + least_z(c) * upgrades.spread_s
    return needs


def first_starts(
    c: Compiled, jobs: Ints, which: int, after: Ints, need: Floats, span: tuple[int, int] | None = None
) -> Ints:
    """The earliest start of each of ``jobs`` in a window, from the times ``after`` on and with ``need`` seconds for it
    and its buffer; NEVER if none. ``span``: the part of the window that is looked at (Unix seconds)."""
    window, upgrades = c.problem.windows[which], c.problem.upgrades
    opens, closes = span or (window.start, window.end)
    code = c.signature[jobs]
    begin = np.maximum(after, upgrades.not_before[jobs])
    found = np.full(len(jobs), NEVER)
    for one in np.unique(code).tolist():
        if not c.eligible[one, which]:
            continue
        mine = np.nonzero(code == one)[0]
        for start, end in light(opens, closes, c.blackouts[one]):
            first = np.maximum(start, begin[mine])
            fits = first + need[jobs[mine]] <= np.minimum(end, upgrades.deadline[jobs[mine]]) + 1e-6
            better = fits & (first < found[mine])
            found[mine[better]] = first[better]
    return found


def last_chances(c: Compiled, jobs: Ints, need: Floats, now: int, least: int = 0) -> Ints:
    """For each of a wave's ``jobs`` the last window in which it fits, of those by which the wave could be over, and of
    all up to window ``least``.

    The position after the last window stands for those that fit nowhere any more.
    """
    windows = c.problem.windows
    late = len(windows)
    after = np.full(len(jobs), now)
    table = np.zeros((len(jobs), late), dtype=bool)
    for which, window in enumerate(windows):
        if window.end > now:
            table[:, which] = first_starts(c, jobs, which, after, need) < NEVER
    some = table.any(axis=1)
    if not some.any():
        return np.full(len(jobs), late)
    target = max(int(np.argmax(table[some], axis=1).max()), min(least, late - 1))
    asked = float(need[jobs[some]].sum())
    room = np.cumsum([window.slots * max(0, window.end - max(window.start, now)) for window in windows])
    while target + 1 < late and asked > FULL * room[target]:
        target += 1
    inside = table[:, : target + 1]
    last = target - np.argmax(inside[:, ::-1], axis=1)
    return np.where(inside.any(axis=1), last, late)


def on_crowded_groups(c: Compiled, jobs: Ints, counted: Bools, room: float) -> Bools:
    """Which of ``jobs`` are in a group that the ``counted`` ones keep busy for most of the next ``room`` seconds."""
    crowded = np.zeros(len(jobs), dtype=bool)
    mean = c.problem.upgrades.mean_s[jobs]
    caps = np.array([group.cap for group in c.groups])
    for column in range(c.membership.shape[1]) if counted.any() else ():
        group = c.membership[jobs, column]
        load = np.bincount(group[counted & (group >= 0)], mean[counted & (group >= 0)], len(c.groups))
        crowded |= (group >= 0) & (load > CROWDED * caps * room)[group]
    return crowded


def stragglers(c: Compiled, schedule: Schedule) -> Bools:
    """The upgrades for whose sake a wave ends late: those in the last window of their wave, where they are few, and
    those of a wave that found no place while others of it did."""
    late = np.zeros(len(c.problem.upgrades), dtype=bool)
    for number in range(len(c.problem.constraints.waves)):
        members = c.possible & (c.problem.step == number)
        placed = members & schedule.placed
        if not placed.any():
            break
        late |= members & ~placed
        last = placed & (schedule.window == schedule.window[placed].max())
        if last.sum() <= FEW * members.sum():
            late |= last
    return late


def releases(c: Compiled) -> dict[int, int]:
    """A time before which no schedule begins each step of the order (-1: what no order concerns): all upgrades of the
    steps before must be over by then, one by one, and their soak.

    Times count from the first window. An upgrade that cannot run at all holds nobody up.
    """
    return _timeline(c)[0]


def least_ends(c: Compiled) -> list[int]:
    """For each wave a time before which it is not over in any schedule; 0 for one without upgrades."""
    return _timeline(c)[1]


def _timeline(c: Compiled) -> tuple[dict[int, int], list[int]]:
    problem, step, waves = c.problem, c.problem.step, c.problem.constraints.waves
    begin = min((window.start for window in problem.windows), default=0)
    found, need = {-1: begin, 0: begin}, least_needs(c)
    ends: list[int] = []
    for number, wave in enumerate(waves):
        members = np.nonzero(c.possible & (step == number))[0]
        ends.append(_over(c, members, found[number], need))
        over = max(ends, default=0)
        found[number + 1] = max(found[number], over + wave.soak_s if over else 0)
    return found, ends


def _over(c: Compiled, members: Ints, release: int, need: Floats) -> int:
    """A time before which these upgrades are not all over; 0 where there are none, NEVER where they cannot be.

    The latest of: each upgrade at its earliest, each group at its cap, all lanes full.
    """
    if not len(members):
        return 0
    after, start = np.full(len(members), release), np.full(len(members), NEVER)
    for which in range(len(c.problem.windows)):
        start = np.minimum(start, first_starts(c, members, which, after, need))
    if np.any(start >= NEVER):
        return NEVER
    mean = c.problem.upgrades.mean_s[members]
    over = int((start + mean).max())
    # What a group runs falls into at most ``cap`` rows, and the last of each leaves its own buffer before the end.
    buffer = np.maximum(np.floor(need - c.problem.upgrades.mean_s), 0.0)
    caps = np.array([one.cap for one in c.groups])
    for column in range(c.membership.shape[1]):
        group = c.membership[members, column]
        load = np.bincount(group[group >= 0], weights=mean[group >= 0], minlength=len(c.groups))
        busy = np.nonzero(load > 0)[0]
        order = busy[np.argsort(-(load[busy] / caps[busy]), kind="stable")]
        for one in order[:BUSIEST].tolist():
            for mine in _subsets(c, members[group == one]):
                least = int(np.sort(buffer[mine])[: int(caps[one])].sum() / caps[one])
                own = [(max(first, release), last - least) for first, last in _open_to(c, mine)]
                over = max(over, _when(own, float(c.problem.upgrades.mean_s[mine].sum() / caps[one])))
    return max(over, _lanes_over(c, members, release), _tails_over(c, members, release))


def _subsets(c: Compiled, jobs: Ints) -> list[Ints]:
    """All of ``jobs``, and those to which no other windows are open than to one of them."""
    code = c.signature[jobs]
    codes = np.unique(code)
    found = [jobs]
    for row in np.unique(c.eligible[codes], axis=0):
        inside = codes[~np.any(c.eligible[codes] & ~row, axis=1)]
        if len(inside) < len(codes):
            found.append(jobs[np.isin(code, inside)])
    return found


def _open_to(c: Compiled, jobs: Ints) -> list[tuple[int, int]]:
    """The intervals in which at least one of ``jobs`` may run, sorted and apart."""
    parts = [
        part
        for code in np.unique(c.signature[jobs]).tolist()
        for which, window in enumerate(c.problem.windows)
        if c.eligible[code, which]
        for part in light(window.start, window.end, c.blackouts[code])
    ]
    apart: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if apart and first <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(last, apart[-1][1])
        else:
            apart.append((first, last))
    return apart


def _when(parts: list[tuple[int, int]], seconds: float) -> int:
    """When ``seconds`` of the intervals have passed; NEVER if there are not so many."""
    for first, last in parts:
        length = max(0, last - first)
        if seconds <= length:
            return first + math.ceil(seconds - 1e-6)
        seconds -= length
    return NEVER


def _tails_over(c: Compiled, members: Ints, release: int) -> int:
    """When lanes' buffers and one constraint's caps together could have run ``members`` (the tails of ``relaxed``)."""
    upgrades, z, windows = c.problem.upgrades, least_z(c), c.problem.windows
    mean = upgrades.mean_s[members].astype(float)
    longest = float(max(window.length for window in windows))
    size = c.problem.risk.sizes(mean, upgrades.spread_s[members].astype(float) ** 2, longest, z)
    used, over = np.unique(c.signature[members]), 0
    rooms = [
        (max(window.start, release), window.end, min(window.slots, len(members)))
        for which, window in enumerate(windows)
        if window.end > release and c.eligible[used, which].any()
    ]
    for column in c.membership[members].T:
        caps = sum(c.groups[group].cap for group in np.unique(column).tolist())
        if column.min() < 0 or caps >= max((lanes for _, _, lanes in rooms), default=0):
            continue
        for d in np.quantile(longest * (1.0 - mean / size), TAILS).tolist():
            left, end = float(np.minimum(size, mean + size * (d / longest)).sum()), NEVER
            for begin, close, lanes in sorted(rooms):
                tail = min(d, float(close - begin))
                left -= min(caps, lanes) * (close - begin - tail) + lanes * tail
                if left <= 1e-6:
                    end = begin
                    break
            over = max(over, end)
    return over


def _lanes_over(c: Compiled, members: Ints, release: int) -> int:
    """When all lanes together could have run ``members``. A window that is over held no more than its reserve allows:
    its lanes' time by the least ratio of size to mean."""
    upgrades, z = c.problem.upgrades, least_z(c)
    mean = upgrades.mean_s[members]
    left = float(mean.sum())
    variance = upgrades.spread_s[members].astype(float) ** 2
    events: list[tuple[int, float]] = []
    used = np.unique(c.signature[members])
    for which, window in enumerate(c.problem.windows):
        begin = max(window.start, release)
        if begin >= window.end or not c.eligible[used, which].any():
            continue
        slots = min(window.slots, len(members))
        ratio = float((c.problem.risk.sizes(mean, variance, window.length, z) / mean).min())
        # The lanes run at full rate until they hold what their reserve allows.
        full = min(float(window.end - begin), window.length / ratio)
        events += [(begin, float(slots)), (begin + math.ceil(full), -float(slots))]
    rate, at = 0.0, 0
    for time, change in sorted(events):
        if rate > 0 and left <= rate * (time - at):
            return at + math.ceil(left / rate - 1e-6)
        left -= rate * (time - at)
        rate, at = rate + change, time
    return NEVER if left > 1e-6 else at
