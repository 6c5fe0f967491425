"""How to read the distance between a schedule and its bound, in a sentence or two; it computes neither."""

from __future__ import annotations

from tuners.upgrade_sched.plan.bound import Bound, pressed
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import Schedule
from tuners.upgrade_sched.plan.waves import releases

SMALL = 0.025  # gaps up to this need no explanation


def reading(c: Compiled, schedule: Schedule, bound: Bound) -> str:
    """What the gap may come from; empty where it is small or only lanes and deadlines decide what fits."""
    gap = bound.gap(schedule, c.problem.upgrades.weight)
    if gap <= SMALL or not pressed(c):
        return ""
    text = (
        f"The schedule is worth at least {100 * (1 - gap):.1f} % of the best there is. Constraints press here, and the "
        "bound does not know all that they cost together: how much of the rest could be had is not known."
    )
    late = _late_wave(c, schedule)
    return f"{text} {late}" if late else text


def _late_wave(c: Compiled, schedule: Schedule) -> str:
    """Where the last step begins a window or more after the earliest that the bound knows, which."""
    windows, last = c.problem.windows, len(c.problem.constraints.waves)
    after = schedule.start[schedule.placed & (c.problem.step == last)]
    if not last or not (c.possible & (c.problem.step == last)).any():
        return ""
    earliest = next((window for window in windows if window.end > releases(c)[last]), None)
    begun = next((window for window in windows if len(after) and window.end > after.min()), None)
    if earliest is None or (begun is not None and begun.start <= earliest.start):
        return ""
    where = f"in {begun.name}" if begun is not None else "in no window"
    return (
        f"What comes after the waves begins {where}; the bound allows {earliest.name}, and counts all that could run "
        "from then on."
    )
