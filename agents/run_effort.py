"""How many evaluations two runs needed to get equally far, problem by problem; it compares nothing else of them."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

from agents.protocols import Trial
from agents.run_reading import RunView

DRAWS = 2000
# Objectives closer than this, relative to the larger, count as equal: they are measured, and the last digits are noise.
SAME_OBJECTIVE = 1e-9


def effort(before: RunView, after: RunView) -> dict[str, Any]:
    """Evaluations until the worse of the two runs' best objectives was reached, for each problem that both passed.

    That target is the best that both are known to reach, so neither is charged for going on to something better.
    Problems without objectives, or that a run did not pass, are left out and counted. ``saved`` is the mean of before
    minus after, with its 95 % bootstrap percentile interval over problems (Efron 1979), None for fewer than two.
    """
    common = [name for name in before.problems if name in after.problems]
    pairs: dict[str, list[int]] = {}
    for name in common:
        then, now = before.trials(name), after.trials(name)
        ends = [min(found, default=None) for found in (_objectives(then), _objectives(now))]
        if ends[0] is None or ends[1] is None:
            continue
        target = max(ends[0], ends[1])
        pairs[name] = [_needed(then, target), _needed(now, target)]
    saved = [float(a - b) for a, b in pairs.values()]
    return {
        "problems": len(pairs),
        "left_out": len(common) - len(pairs),
        "before": statistics.fmean(a for a, _ in pairs.values()) if pairs else None,
        "after": statistics.fmean(b for _, b in pairs.values()) if pairs else None,
        "saved": statistics.fmean(saved) if saved else None,
        "saved_95": _interval(saved),
        "fewer": sum(b < a for a, b in pairs.values()),
        "more": sum(b > a for a, b in pairs.values()),
        "pairs": pairs,
    }


def _objectives(trials: Sequence[Trial]) -> list[float]:
    return [t.evaluation.objective for t in trials if t.passed and t.evaluation.objective is not None]


def _needed(trials: Sequence[Trial], target: float) -> int:
    """How many trials there were when the first reached the target, that one included."""
    reached = target + SAME_OBJECTIVE * abs(target)
    for count, trial in enumerate(trials, 1):
        if trial.passed and trial.evaluation.objective is not None and trial.evaluation.objective <= reached:
            return count
    raise AssertionError("the target is an objective of both")


def _interval(values: Sequence[float]) -> list[float] | None:
    if len(values) < 2:
        return None
    draw = random.Random(0)
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(DRAWS))
    return [means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS)]]
