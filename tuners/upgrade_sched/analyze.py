"""Characterises each type of upgrade in a history: how long, how heavy the tail, what is cut off, what drifts, what can
be predicted; it fits no model and chooses none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agents.protocols import Analysis, Finding, Problem
from tuners.upgrade_sched.features import HistoryIndex, log_s, plan_features
from tuners.upgrade_sched.types import Floats, History

THIN = 30  # with fewer records only history statistics are to be trusted
HEAVY = 2.0  # tail indices below it: the variance does not settle (Pareto)
STRAGGLER = 10.0  # times the median
DRIFTS = 0.25  # a shift of the median by a factor of exp(0.25), and
DRIFT_CERTAIN = 3.0  # so many standard errors
PREDICTABLE = 0.5  # share of the spread of the logarithm that is explained
_TAIL_SHARE = 0.1


@dataclass(frozen=True)
class TypeReport:
    """One type of upgrade. Durations are in seconds; shares are of its records.

    ``tail_index``: Hill's estimate (Hill 1975) over the longest tenth; below 2 the variance, below 1 the mean does not
    settle; None where there are too few. ``stragglers``: longer than ten times the median. ``drift``: the later half's
    median over the earlier half's, as a natural logarithm, and ``drift_certainty`` that over its standard error.
    ``explained``: the share of the variance of the logarithm that the records before (see ``features``) explain, by the
    mean of the finest key known; negative counts as 0.
    """

    type: str
    count: int
    median_s: float
    p95_s: float
    longest_s: float
    tail_index: float | None
    stragglers: float
    censored: float
    drift: float
    drift_certainty: float
    explained: float | None
    regime: str
    advice: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def hill(duration_s: Floats, share: float = _TAIL_SHARE) -> float | None:
    """Hill's estimate of the tail index over the longest ``share``; None for fewer than ten records above it."""
    ordered = np.sort(duration_s[duration_s > 0])[::-1]
    k = int(len(ordered) * share)
    if k < 10 or ordered[k] <= 0:
        return None
    excess = float(np.mean(np.log(ordered[:k] / ordered[k])))
    return 1 / excess if excess > 0 else None


def drift(duration_s: Floats) -> tuple[float, float]:
    """The shift of the median logarithm from the earlier half to the later, and that over its standard error (of a
    median: 1.2533 standard deviations over the root of the count)."""
    log = log_s(duration_s)
    half = len(log) // 2
    if half < 5:
        return 0.0, 0.0
    early, late = log[:half], log[half:]
    shift = float(np.median(late) - np.median(early))
    error = 1.2533 * float(np.sqrt(early.var() / len(early) + late.var() / len(late)))
    return shift, abs(shift) / error if error > 0 else 0.0


def analyze_types(history: History, *, most: int = 50) -> list[TypeReport]:
    """A report for each of the ``most`` commonest types, commonest first, and one called ``(all)`` before them."""
    predicted = _predicted(history)
    types, number, count = np.unique(history.type, return_inverse=True, return_counts=True)
    everything = np.ones(len(history), dtype=bool)
    reports = [_report("(all)", history, everything, predicted)]
    if len(types) > 1:
        order = np.argsort(-count, kind="stable")[:most]
        reports += [_report(str(types[i]), history, number == i, predicted) for i in order]
    return reports


def _predicted(history: History) -> Floats:
    """The mean logarithm that was known for each record when it was due, from the finest key; NaN: nothing was."""
    plan = plan_features(history)
    index = HistoryIndex(history, plan)
    rows = np.arange(len(history))
    result = np.full(len(history), np.nan)
    for key in plan.chain:
        missing = np.flatnonzero(np.isnan(result))
        latest = index.latest(key, rows[missing], history.submit[missing], 10)
        known = ~np.isnan(latest)
        count = known.sum(axis=1)
        result[missing] = np.where(known, latest, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    return result


def _report(name: str, history: History, rows: Any, predicted: Floats) -> TypeReport:
    part, known = history.take(rows), predicted[rows]
    whole = part.duration_s[~part.censored]
    seen = whole if len(whole) else part.duration_s
    median = float(np.median(seen))
    shift, certainty = drift(whole)
    log, guess = log_s(whole), known[~part.censored]
    judged = ~np.isnan(guess)
    explained = None
    if judged.sum() >= THIN and log[judged].var() > 0:
        error = float(np.mean((log[judged] - guess[judged]) ** 2))
        explained = max(0.0, 1 - error / float(log[judged].var()))
    index = hill(whole)
    censored = float(part.censored.mean())
    regime, advice = _regime(len(part), index, censored, shift, certainty, explained)
    return TypeReport(
        name or "(none)",
        len(part),
        median,
        float(np.quantile(seen, 0.95)),
        float(seen.max()),
        index,
        float(np.mean(seen > STRAGGLER * max(median, 1.0))),
        censored,
        shift,
        certainty,
        explained,
        regime,
        advice,
    )


def _regime(
    count: int, index: float | None, censored: float, shift: float, certainty: float, explained: float | None
) -> tuple[str, str]:
    """The regime in a word or two, and what follows from it."""
    if count < THIN:
        return "thin", "history statistics of like types; learn more before trusting a model"
    if censored > 0.3:
        return "censored", "survival models: plain means are too short"
    if abs(shift) > DRIFTS and certainty > DRIFT_CERTAIN:
        return "drifting", "recent records over old ones; calibrate anew often"
    tail = index is not None and index < HEAVY
    if explained is not None and explained >= PREDICTABLE:
        return ("predictable, heavy tail" if tail else "predictable"), "learned quantiles"
    if tail:
        return "heavy tail", "quantiles, never means; stop stragglers rather than wait for them"
    return "noisy", "quantiles at the level the cost ratio asks for"


class HistoryAnalyzer:
    """The loop's analyzer for a problem whose payload holds a ``history``."""

    def analyze(self, problem: Problem) -> Analysis:
        history: History = problem.payload["history"]
        findings = []
        for report in analyze_types(history, most=10):
            for name in ("count", "median_s", "p95_s", "tail_index", "stragglers", "censored", "drift", "explained"):
                value = getattr(report, name)
                findings.append(Finding(f"{report.type}: {name}", value, history.source))
            findings.append(Finding(f"{report.type}: regime", report.regime, history.source))
        return Analysis(tuple(findings))
