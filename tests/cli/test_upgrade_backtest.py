"""``sysmith upgrade-sched check``, ``analyze`` and ``backtest`` from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .helpers import ROOT, command, environment, refusal, said

UPGRADES = ROOT / "examples" / "upgrades"
HISTORY = str(UPGRADES / "history.csv")
MAPPED = (HISTORY, "--mapping", str(UPGRADES / "mappings" / "history.toml"))
SMALL = (
    *("upgrade-sched", "backtest", *MAPPED, "--slots", "2", "--splits", "2", "--loads", "2", "--trials", "2"),
    *("--windows", "20", "--models", "bins"),
)


def test_check_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "upgrade-sched", "check", *MAPPED)
    assert code == 0
    assert "1800 records are in order, no problems" in out


def test_check_lists_every_problem(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    bad = place / "bad.csv"
    bad.write_text("server,start,duration\nweb1,soon,5\nweb2,1700000000,-1\nweb3,1700000000,5\n")
    code, out, _ = said(capsys, "upgrade-sched", "check", str(bad), "--json")
    document = json.loads(out)
    assert (code, document["schema_version"], document["records"], document["problems"]) == (2, 1, 1, 2)
    assert [(issue["line"], issue["field"]) for issue in document["issues"]] == [(2, "start"), (3, "duration")]
    code, out, _ = said(capsys, "upgrade-sched", "check", str(bad))
    assert code == 2
    assert "bad.csv, line 2, field start: 'soon' is no time." in out


def test_analyze_names_the_regime_of_each_type(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "upgrade-sched", "analyze", *MAPPED, "--json")
    document = json.loads(out)
    assert (code, document["schema_version"]) == (0, 1)
    types = {report["type"]: report for report in document["types"]}
    assert set(types) == {"(all)", "kernel", "firmware", "database", "runtime"}
    assert types["firmware"]["median_s"] > types["runtime"]["median_s"]
    assert 0 < types["firmware"]["censored"] < 0.1
    code, out, _ = said(capsys, "upgrade-sched", "analyze", *MAPPED, "--types", "2")
    assert code == 0
    assert len(out.splitlines()) == 4


def report_of(out: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(out)
    assert document["schema_version"] == 1
    return document


@pytest.mark.slow
def test_a_backtest_from_end_to_end(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    code, out, err = said(capsys, *SMALL, "--json", "--report", "report.json")
    report = report_of(out)
    assert code == (0 if report["met"] else 1)
    assert "split 2 of 2" in err
    assert json.loads((place / "report.json").read_text()) == report
    policies = [row["policy"] for row in report["rows"]]
    assert policies[0] == "sysmith"
    assert {"cutoff:60", "per-type-mean", "median-10", "squared-error", "oracle"} <= set(policies)
    ours, cutoff = report["rows"][0], next(row for row in report["rows"] if row["policy"] == "cutoff:60")
    assert ours["completed"]["value"] > cutoff["completed"]["value"]
    code, table, _ = said(capsys, *SMALL, "--resume", "latest")
    assert "cutoff:60" in table
    assert "claims met" in table
    # What was selected is in the log, so resuming a finished run only tests again.
    code, again, _ = said(capsys, *SMALL, "--resume", "latest", "--json")
    assert report_of(again) == report


def test_the_runs_command_knows_a_backtest(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, *SMALL, "--max-evaluations", "2")
    code, out, _ = said(capsys, "runs", "list")
    assert code == 0
    assert "upgrade-sched backtest" in out


def test_a_budget_ends_it_with_three_and_resume_carries_on(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, *SMALL, "--max-evaluations", "3")
    assert (code, out) == (3, "")
    assert "the limit of 3 evaluations" in err
    assert "--resume" in err
    code, out, _ = said(capsys, *SMALL, "--resume", "latest", "--json")
    assert code in (0, 1)
    assert report_of(out)["selections"]


@pytest.mark.slow
def test_an_interrupted_backtest_resumes(place: Path) -> None:
    arguments = command(*SMALL, "--json")
    running = subprocess.Popen(
        arguments, cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        logs = list((place / ".sysmith").glob("runs/*/events.jsonl"))
        if logs and "trial_finished" in logs[0].read_text():
            break
        time.sleep(0.1)
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=120)
    if running.returncode in (0, 1):
        pytest.skip("it was done before the signal came")
    assert (running.returncode, out) == (130, ""), err
    again = subprocess.run(
        [*arguments, "--resume", "latest"], cwd=place, env=environment(), capture_output=True, text=True, timeout=200
    )
    assert again.returncode in (0, 1), again.stderr
    assert report_of(again.stdout)["selections"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--loads", "a,b"), "--loads"),
        (("--loads", "0"), "--loads"),
        (("--baselines", "guess"), "--baselines"),
        (("--models", "oracle"), "--models"),
        (("--slots", "5000"), "--slots"),
        (("--window", "nan"), "--window"),
        (("--cost-ratio", "nan"), "--cost-ratio"),
        (("--seed", "-1"), "--seed"),
        (("--format", "xls"), "--format"),
        (("--mapping", "gone.toml"), "gone.toml"),
        (("--report", "gone/report.json"), "--report"),
        (("--resume", "latest"), "no run"),
    ],
)
def test_a_wrong_option_is_named(capsys: pytest.CaptureFixture[str], options: tuple[str, ...], named: str) -> None:
    with_mapping = MAPPED[:1] if "--mapping" in options else MAPPED
    code, out, err = said(capsys, "upgrade-sched", "backtest", *with_mapping, *options)
    assert (code, out) == (2, "")
    assert named in err.splitlines()[-1]


def test_a_bad_history_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / "bad.csv").write_text("server,start,duration\nweb1,soon,5\n")
    assert "line 2, field start" in refusal(capsys, "upgrade-sched", "analyze", "bad.csv")
    assert "no such file" in refusal(capsys, "upgrade-sched", "backtest", "gone.csv")
