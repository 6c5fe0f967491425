"""A whole backtest on a small history: the loop selects, the next block tests, and a resumed run says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.run_dir import RunDir
from sysmith_errors import BudgetExhausted, InputError, Interrupted
from tuners.upgrade_sched.backtest.baselines import parse_baselines
from tuners.upgrade_sched.backtest.blocks import Blocks, Setup, choose_slots
from tuners.upgrade_sched.backtest.run import COMMAND, Backtest, Request, digest_of, open_run
from tuners.upgrade_sched.types import History

from .made import history

SETUP = Setup(window_s=7200.0, slots=2, loads=(1.5, 3.0), splits=2, families=("history", "squared", "bins"))
REQUEST = Request(
    SETUP, parse_baselines("cutoff:60,timeout:30,per-type-mean,median-5,p95,squared-error,oracle"), trials=2
)


@pytest.fixture(scope="module")
def made() -> History:
    return history(1200, censored=0.05)


def ran(request: Request, made: History, state: Path, resume: str | None = None) -> dict[str, Any]:
    with open_run(request, made, state, resume) as folder:
        return Backtest(request, made, folder, state).run()


@pytest.fixture(scope="module")
def report(made: History, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ran(REQUEST, made, tmp_path_factory.mktemp("state"))


def rows(report: dict[str, Any], policy: str) -> list[dict[str, Any]]:
    return [row for row in report["rows"] if row["policy"] == policy]


def test_there_is_one_row_for_each_policy_and_load(report: dict[str, Any]) -> None:
    names = {"sysmith", *REQUEST.baselines, "squared-error shortest-first"}
    assert {(row["load"], row["policy"]) for row in report["rows"]} == {
        (load, n) for load in SETUP.loads for n in names
    }
    for row in report["rows"]:
        for figure in ("scheduled", "completed", "cancelled_share", "utilisation", "wasted_minutes", "deferred_long"):
            assert row[figure]["low"] - 1e-9 <= row[figure]["value"] <= row[figure]["high"] + 1e-9


def test_no_policy_passes_the_oracle_and_it_cancels_nothing(report: dict[str, Any]) -> None:
    for ours, oracle in zip(rows(report, "sysmith"), rows(report, "oracle"), strict=True):
        assert oracle["cancelled_share"]["value"] == 0
        assert oracle["offered"] == ours["offered"]
        assert oracle["deferred_long"]["value"] == oracle["longer_than_window"]


def test_what_can_be_foreseen_is(report: dict[str, Any]) -> None:
    # Servers have paces and types have lengths, and a cutoff knows neither.
    for ours, cutoff in zip(rows(report, "sysmith"), rows(report, "cutoff:60"), strict=True):
        assert ours["completed"]["value"] > cutoff["completed"]["value"]
        assert ours["cancelled_share"]["value"] < cutoff["cancelled_share"]["value"]


def test_each_claim_says_whether_and_why_not(report: dict[str, Any]) -> None:
    assert {claim["against"] for claim in report["claims"]} == {"cutoff:60", "timeout:30", "squared-error"}
    assert {claim["against"] for claim in report["beyond_claims"]} == {"squared-error shortest-first"}
    for claim in report["claims"]:
        assert claim["met"] == (not claim["why_not"])
    assert report["met"] == all(claim["met"] for claim in report["claims"])


def test_each_split_selects_for_itself(report: dict[str, Any]) -> None:
    assert [(s["split"], s["load"]) for s in report["selections"]] == [(1, 1.5), (1, 3.0), (2, 1.5), (2, 3.0)]


@pytest.mark.slow
def test_the_same_request_gives_the_same_report(report: dict[str, Any], made: History, tmp_path: Path) -> None:
    assert ran(REQUEST, made, tmp_path) | {"run": ""} == report | {"run": ""}


@pytest.mark.slow
def test_a_run_stopped_anywhere_resumes_to_the_same_report(
    report: dict[str, Any], made: History, tmp_path: Path
) -> None:
    stopped = replace(REQUEST, max_evaluations=9)
    with pytest.raises(BudgetExhausted, match="--resume"):
        ran(stopped, made, tmp_path)
    assert ran(REQUEST, made, tmp_path, "latest") | {"run": ""} == report | {"run": ""}


def test_a_halted_run_is_interrupted_and_keeps_what_it_did(made: History, tmp_path: Path) -> None:
    with open_run(REQUEST, made, tmp_path, None) as folder:
        backtest = Backtest(REQUEST, made, folder, tmp_path)
        backtest.halt.set()
        with pytest.raises(Interrupted, match="split-1"):
            backtest.run()


def test_another_history_or_window_is_noticed_on_resume(made: History, tmp_path: Path) -> None:
    with open_run(REQUEST, made, tmp_path, None):
        pass
    with pytest.raises(InputError, match="sha256"):
        open_run(REQUEST, replace(made, duration_s=made.duration_s + 1), tmp_path, "latest")
    with pytest.raises(InputError, match="setup"):
        open_run(replace(REQUEST, setup=replace(SETUP, window_s=3600.0)), made, tmp_path, "latest")
    assert isinstance(RunDir.resume(tmp_path, COMMAND).info.id, str)


@pytest.mark.slow
def test_the_test_block_does_not_touch_the_selection(made: History, report: dict[str, Any], tmp_path: Path) -> None:
    """What is due in the last block, which only tests, changes its figures and never a policy selected for it."""
    begin = Blocks(made, SETUP).bounds[SETUP.splits]
    longer = made.duration_s.copy()
    longer[begin:] *= 1.1
    other = ran(REQUEST, replace(made, duration_s=longer), tmp_path)
    assert other["selections"] == report["selections"]
    assert other["rows"] != report["rows"]


def test_a_history_too_short_says_what_to_change() -> None:
    with pytest.raises(InputError, match="a longer history"):
        Blocks(history(60), SETUP)


def test_slots_are_as_many_as_the_history_fills() -> None:
    assert choose_slots(history(30_000), 7200.0, 3.0, 5) == 10
    assert choose_slots(history(300), 7200.0, 3.0, 5) == 1


@pytest.mark.parametrize("text", ["", "cutoff", "cutoff:-1", "cutoff:x", "median-0", "median-x", "guess", "timeout:"])
def test_a_baseline_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--baselines"):
        parse_baselines(text)


def test_the_digest_knows_every_column(made: History) -> None:
    digests = {
        digest_of(made),
        digest_of(replace(made, duration_s=made.duration_s * 2)),
        digest_of(replace(made, texts={"rack": made.texts["rack"][::-1]})),
        digest_of(replace(made, numbers={})),
    }
    assert len(digests) == 4
