"""Play a plan through with given or drawn durations under one policy after another; it changes no plan.

An upgrade that is still running when its window ends is cancelled there: it has used its slot for nothing and waits for
another chance. Policies: ``plan`` starts what was planned for a window and nothing else; ``online`` also fills free
slots with what was planned later or left out; ``cutoff:MIN`` is online with a fixed time for every upgrade in place of
its prediction.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.groups import Compiled
from tuners.upgrade_sched.plan.model import NEVER, Floats, Schedule
from tuners.upgrade_sched.plan.online import Controller
from tuners.upgrade_sched.plan.verify import Violation, executed_violations
from tuners.upgrade_sched.types import History


def draw(c: Compiled, seed: int) -> Floats:
    """Durations (s) drawn from the lognormal of each upgrade's mean and spread."""
    rng, upgrades = np.random.default_rng(seed), c.problem.upgrades
    mean = upgrades.mean_s.astype(float)
    shape = np.log1p((upgrades.spread_s / mean) ** 2)
    return np.maximum(1.0, mean * np.exp(np.sqrt(shape) * rng.standard_normal(len(mean)) - shape / 2))


class Replay:
    """Durations replayed from a history: each upgrade takes as long as a past one of the same server and type, drawn
    by ``seed``; else as one of the same type, else as any. Censored records count as long as they ran, which is too
    short: ``censored`` says how many of the draws are such."""

    def __init__(self, c: Compiled, history: History) -> None:
        self._history = history
        upgrades, fleet = c.problem.upgrades, c.problem.fleet
        by_both: dict[tuple[str, str], list[int]] = {}
        by_type: dict[str, list[int]] = {}
        for row, (entity, kind) in enumerate(zip(history.entity.tolist(), history.type.tolist(), strict=True)):
            by_both.setdefault((entity, kind), []).append(row)
            by_type.setdefault(kind, []).append(row)
        everything = list(range(len(history)))
        self._rows = [
            by_both.get((fleet.names[server], kind)) or by_type.get(kind) or everything
            for server, kind in zip(upgrades.server.tolist(), upgrades.type, strict=True)
        ]
        known = [(fleet.names[s], k) in by_both for s, k in zip(upgrades.server.tolist(), upgrades.type, strict=True)]
        of_type = [kind in by_type for kind in upgrades.type]
        self.same_server, self.same_type = sum(known), sum(of_type)
        self.censored = 0.0

    def __call__(self, seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        rows = np.array([choices[int(rng.integers(len(choices)))] for choices in self._rows])
        self.censored = float(self._history.censored[rows].mean())
        return np.maximum(1.0, self._history.duration_s[rows])


def controller_of(policy: str, c: Compiled, schedule: Schedule) -> Controller:
    """The controller of a policy's name. Raises InputError for a name that is none."""
    if policy == "plan":
        return Controller(c, schedule, ahead=False)
    if policy == "online":
        return Controller(c, schedule)
    if policy.startswith("cutoff:"):
        try:
            minutes = float(policy.removeprefix("cutoff:"))
        except ValueError:
            minutes = math.nan
        if not 0 < minutes < 1e6:
            raise InputError(f"policy {policy!r} has no positive number of minutes", mend="Write cutoff:60.")
        return Controller(c, schedule, cutoff_s=minutes * 60)
    raise InputError(f"there is no policy {policy!r}", mend="Use plan, online or cutoff:MINUTES.")


def play(c: Compiled, control: Controller, seconds: Floats) -> dict[str, Any]:
    """One execution: counts, minutes, and what it broke (checked apart, on what really ran)."""
    windows = c.problem.windows
    ends: list[tuple[int, int]] = []
    runs: list[tuple[int, int, int, bool]] = []
    now = min((window.start for window in windows), default=NEVER)
    finish = max((window.end for window in windows), default=0)
    while now < finish:
        while ends and ends[0][0] <= now:
            moment, job = heapq.heappop(ends)
            begun = control.since[job]
            completed = begun + seconds[job] <= moment + 1e-9
            control.end(job, moment, completed=completed)
            runs.append((job, begun, moment, completed))
        for start in control.admit(now):
            # Whole seconds, rounded up; at the window's end it is over in any case.
            natural = now + max(1, math.ceil(seconds[start.job]))
            heapq.heappush(ends, (min(natural, windows[start.window].end), start.job))
        now = min(ends[0][0] if ends else NEVER, control.next_release(now))
    for moment, job in sorted(ends):
        begun = control.since[job]
        completed = begun + seconds[job] <= moment + 1e-9
        control.end(job, moment, completed=completed)
        runs.append((job, begun, moment, completed))
    return _score(c, runs)


def _score(c: Compiled, runs: Sequence[tuple[int, int, int, bool]]) -> dict[str, Any]:
    capacity = sum(window.slots * window.length for window in c.problem.windows)
    good = sum(end - begin for _, begin, end, completed in runs if completed)
    bad = sum(end - begin for _, begin, end, completed in runs if not completed)
    found: list[Violation] = executed_violations(c.problem, runs)
    return {
        "started": len(runs),
        "completed": sum(completed for *_, completed in runs),
        "cancelled": sum(not completed for *_, completed in runs),
        "utilisation": good / capacity if capacity else 0.0,
        "wasted_min": bad / 60,
        "violations": len(found),
        "first_violation": str(found[0]) if found else "",
    }


def simulate(
    c: Compiled,
    schedule: Schedule,
    policies: Sequence[str],
    *,
    repeats: int = 20,
    seed: int = 0,
    actual: Mapping[str, float] | None = None,
    replay: Replay | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Each policy on the same durations: means over ``repeats`` draws, with the range from the 2.5th to the 97.5th
    percentile. ``replay`` draws from a history instead of the predictions; ``actual`` (upgrade -> seconds) replaces
    the draw where it knows an upgrade."""
    index = c.problem.upgrades.index
    known = {index[name]: value for name, value in (actual or {}).items() if name in index}
    all_known = len(known) == len(c.problem.upgrades)
    times = 1 if all_known else repeats
    rows = []
    for policy in policies:
        plays = []
        for turn in range(times):
            seconds = replay(seed + turn) if replay else draw(c, seed + turn)
            for job, value in known.items():
                seconds[job] = value
            plays.append(play(c, controller_of(policy, c, schedule), seconds))
        rows.append(_row(policy, plays))
        note(f"{policy}: {rows[-1]['completed']} completed")
    source = "drawn from the predictions"
    if replay:
        count = len(c.problem.upgrades)
        source = f"replayed from a history ({replay.same_server} of {count} by server and type"
        source += f", {replay.same_type} by type; {replay.censored:.1%} cut off)"
    measured = f"{len(known)} measured, the rest {source}" if known else source
    return {
        "repeats": times,
        "durations": "measured" if all_known else measured,
        "impossible": int((~c.possible).sum()),
        "upgrades": len(c.problem.upgrades),
        "policies": rows,
    }


def _row(policy: str, plays: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"policy": policy}
    for name in ("started", "completed", "cancelled", "utilisation", "wasted_min"):
        values = np.array([float(one[name]) for one in plays])
        row[name] = round(float(values.mean()), 4)
        row[f"{name}_interval"] = [round(float(v), 4) for v in np.quantile(values, (0.025, 0.975))]
    row["violations"] = sum(int(one["violations"]) for one in plays)
    row["first_violation"] = next((one["first_violation"] for one in plays if one["first_violation"]), "")
    return row
