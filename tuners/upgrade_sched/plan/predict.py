"""Durations for a plan from a history file, by the duration models of this tuner; it plans nothing.

The pending upgrades are set behind the history as records that begin after everything in it has ended, so that a model
sees for them just what had ended by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tuners.upgrade_sched.plan.load import Predict
from tuners.upgrade_sched.types import History


@dataclass(frozen=True)
class Forecast:
    """How durations are predicted: ``cost_ratio`` chooses between models, ``longest_s`` is the longest window."""

    history: Path
    mapping: Path | None
    cost_ratio: float = 9.0
    longest_s: float = 8 * 3600.0


def from_history(forecast: Forecast, note: Callable[[str], None] = lambda text: None) -> Predict:
    """A function from rows (id, server, type and features) to means and spreads in seconds.

    Raises InputError, when it is called, for what is wrong with the history.
    """

    def predict(rows: Sequence[dict[str, Any]]) -> tuple[Sequence[float], Sequence[float]]:
        from tuners.upgrade_sched.durations.fit import fit
        from tuners.upgrade_sched.features import HistoryIndex, plan_features
        from tuners.upgrade_sched.history.read import read_history

        history = read_history(forecast.history, forecast.mapping)
        count, later = len(history), with_pending(history, rows)
        index = HistoryIndex(later, plan_features(history))
        note(f"learning durations from {count} past upgrades")
        known = np.arange(count)
        fitted = fit(index, known, history.submit, cost_ratio=forecast.cost_ratio, longest_s=forecast.longest_s)
        pending = np.arange(count, count + len(rows))
        prediction = fitted.predict_rows(pending, later.submit[pending])
        return prediction.mean_s.tolist(), prediction.spread_s.tolist()

    return predict


def with_pending(history: History, rows: Sequence[dict[str, Any]]) -> History:
    """The history with pending upgrades behind it: they begin a second after the last end, and how long they take is
    not known (censored at once). Features that a row does not have are missing, as in the history."""
    now = float(history.end.max(initial=0.0)) + 1.0
    many = len(rows)

    def texts(name: str) -> Any:
        return np.array([str(row.get(name) or "") for row in rows], dtype=np.str_)

    def numbers(name: str) -> Any:
        return np.array([_number(row.get(name)) for row in rows], float)

    def both(old: Any, new: Any) -> Any:
        return np.concatenate((old, new))

    return History(
        entity=both(history.entity, texts("server")),
        type=both(history.type, texts("type")),
        start=both(history.start, np.full(many, now)),
        duration_s=both(history.duration_s, np.zeros(many)),
        censored=both(history.censored, np.ones(many, dtype=bool)),
        outcome=both(history.outcome, np.full(many, "cancelled")),
        submit=both(history.submit, np.full(many, now)),
        numbers={name: both(column, numbers(name)) for name, column in history.numbers.items()},
        texts={name: both(column, texts(name)) for name, column in history.texts.items()},
        source=history.source,
    )


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
