"""The analyzer tells tails, drift, censoring and predictability apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agents.protocols import Problem
from tuners.upgrade_sched.analyze import HistoryAnalyzer, analyze_types, drift, hill

from .made import history


@pytest.mark.parametrize("index", [0.8, 1.5, 3.0])
def test_the_tail_index_of_a_pareto_is_found(index: float) -> None:
    sample = (np.random.default_rng(0).pareto(index, size=20_000) + 1) * 60
    assert hill(sample) == pytest.approx(index, rel=0.1)


def test_a_tail_of_few_records_is_not_guessed() -> None:
    assert hill(np.arange(1.0, 50.0)) is None
    assert hill(np.zeros(1000)) is None
    assert hill(np.full(1000, 5.0)) is None


def test_drift_is_a_shift_of_the_median_with_its_certainty() -> None:
    rng = np.random.default_rng(0)
    steady = rng.lognormal(6, 1, size=2000)
    shift, certainty = drift(steady)
    assert abs(shift) < 0.15
    assert certainty < 3
    shift, certainty = drift(steady * np.where(np.arange(2000) < 1000, 1.0, 2.0))
    assert shift == pytest.approx(np.log(2), abs=0.15)
    assert certainty > 5
    assert drift(np.ones(4)) == (0.0, 0.0)


def regime(**changes: Any) -> str:
    made = history(1500)
    return analyze_types(replace(made, **changes))[0].regime


def test_regimes() -> None:
    made = history(1500)
    assert regime().startswith("predictable")
    rng = np.random.default_rng(0)
    assert regime(duration_s=rng.lognormal(6, 0.3, size=1500)) == "noisy"
    assert regime(duration_s=60 * (rng.pareto(1.2, size=1500) + 1)) == "heavy tail"
    assert regime(censored=rng.random(1500) < 0.5) == "censored"
    later = np.where(np.arange(1500) < 750, 1.0, 4.0)
    assert regime(duration_s=made.duration_s * later) == "drifting"
    assert analyze_types(history(20))[0].regime == "thin"


def test_one_report_a_type_commonest_first() -> None:
    reports = analyze_types(history(1500), most=1)
    assert reports[0].type == "(all)"
    assert len(reports) == 2
    whole, kernel = analyze_types(history(1500))[:2]
    assert whole.count == 1500
    assert 0 < kernel.count < 1500
    assert kernel.explained is not None
    assert 0.5 < kernel.explained <= 1


def test_a_type_wholly_cut_off_is_still_reported() -> None:
    made = history(200)
    report = analyze_types(replace(made, censored=np.ones(200, dtype=bool)))[0]
    assert report.regime == "censored"
    assert report.explained is None


def test_findings_name_their_source() -> None:
    analysis = HistoryAnalyzer().analyze(Problem("fleet", {"history": history(500)}))
    finding = analysis.get("(all): count")
    assert finding is not None
    assert (finding.value, finding.where) == (500, "made")
