"""What ``backtest`` writes and prints, and the commands ``replay`` and ``claims``, as ``upgrade-sched`` has them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .helpers import ROOT, refusal, said

UPGRADES = ROOT / "examples" / "upgrades"
MAPPED = (str(UPGRADES / "history.csv"), "--mapping", str(UPGRADES / "mappings" / "history.toml"))
BACKTEST = ("upgrade-sched", "backtest", *MAPPED)
REPLAY = ("upgrade-sched", "replay", *MAPPED)
SMALL = ("--slots", "2", "--splits", "2", "--loads", "2", "--trials", "1", "--windows", "16", "--models", "bins")


@pytest.mark.slow
def test_a_sweep_with_its_page_table_and_replay(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    swept = (*BACKTEST, *SMALL, "--cost-ratios", "1,9")
    code, out, err = said(capsys, *swept, "--report", "page.html", "--csv", "rows.csv")
    assert code in (0, 1), err
    assert "selected for each cost ratio of overrun to idle time:" in out
    assert "Pareto-efficient at load 2, idle against wasted:" in out
    assert "cost ratio 9:" in err
    html = (place / "page.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "<svg" in html
    rows = list(csv.DictReader(io.StringIO((place / "rows.csv").read_text())))
    assert {row["policy"] for row in rows if row["part"] == "sweep"} >= {"sysmith 1:1", "sysmith 9:1", "cutoff:60"}
    # Resumed, it selects nothing anew; the same figures as Markdown, as JSON and as a replay.
    code, out, _ = said(capsys, *swept, "--resume", "latest", "--markdown", "--report", "report.json")
    assert out.startswith("| history | load |")
    report = json.loads((place / "report.json").read_text())
    assert len(report["sweep"]["selections"]) == 4
    code, claims, _ = said(capsys, "upgrade-sched", "claims", "report.json")
    assert (code, claims) == (0, out)
    code, out, _ = said(
        capsys, *REPLAY, "--policy", "run:latest", "--policy", "run:latest@9", "--policy", "oracle", "--json"
    )
    assert code == 0
    ours, nine, oracle = json.loads(out)["policies"]
    assert ours["total"]["completed"] == report["rows"][0]["completed"]
    point = next(p for p in report["sweep"]["points"] if p["policy"] == "sysmith 9:1")
    assert nine["total"]["wasted_minutes"] == point["wasted_minutes"]
    assert oracle["total"]["cancelled"] == 0
    assert "--slots" in refusal_after_progress(capsys, *REPLAY, "--policy", "run:latest", "--slots", "3")
    assert "It has 2" in refusal_after_progress(capsys, *REPLAY, "--policy", "run:latest", "--load", "3")


def refusal_after_progress(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (2, "")
    return err.splitlines()[-1]


def test_a_replay_tells_of_each_window_and_admission(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    small = ("--slots", "4", "--splits", "2", "--policy", "cutoff:45", "--policy", "per-type-mean")
    code, out, err = said(capsys, *REPLAY, *small, "--events", "admitted.csv", "--order", "as-due")
    assert code == 0
    assert "split 2 of 2" in err
    lines = out.splitlines()
    assert lines[0] == "cutoff:45:"
    assert lines[1].split()[:3] == ["window", "split", "opens"]
    events = list(csv.DictReader(io.StringIO((place / "admitted.csv").read_text())))
    admitted = {line.split()[0]: int(line.split()[3]) for line in lines[-2:]}
    for policy, count in admitted.items():
        assert sum(event["policy"] == policy for event in events) == count
    assert {event["slot"] for event in events} == {"1", "2", "3", "4"}
    code, out, _ = said(capsys, *REPLAY, *small, "--totals", "--events", "admitted.jsonl", "--order", "as-due")
    assert len(out.splitlines()) == 4
    assert len((place / "admitted.jsonl").read_text().splitlines()) == len(events)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--policy", "guess"), "--policy: 'guess' is no policy. Choose cutoff:MINUTES"),
        (("--policy", "sysmith:risk=7"), "--policy: 'risk=7'"),
        (("--policy", "run:latest"), "no run"),
        (("--policy", "run:20200101"), "no run 20200101"),
        (("--policy", "oracle", "--order", "random"), "--order: 'random'"),
        (("--policy", "oracle", "--window", "nan"), "--window"),
        (("--policy", "oracle", "--events", "gone/e.csv"), "--events: gone/e.csv"),
        (("--models", "oracle"), "--models"),
    ],
)
def test_a_wrong_option_of_a_replay_is_named(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], named: str
) -> None:
    assert named in refusal(capsys, *REPLAY, *options)


def test_a_load_that_a_history_cannot_fill_says_what_to_change(capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal_after_progress(capsys, *REPLAY, "--policy", "oracle", "--load", "90")
    assert "Take a smaller --slots, --window, --loads or --splits" in line


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--cost-ratios", "1,b"), "--cost-ratios: '1,b' is no list of cost ratios"),
        (("--cost-ratios", "0"), "--cost-ratios"),
        (("--markdown", "--json"), "--markdown and --json"),
        (("--csv", "gone/rows.csv"), "--csv: gone/rows.csv"),
        (("--report", "gone/page.html"), "--report: gone/page.html"),
    ],
)
def test_a_wrong_output_is_named_before_the_work(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], named: str
) -> None:
    assert named in refusal(capsys, *BACKTEST, *options)


def test_claims_of_foreign_files_are_refused(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / "kernels.json").write_text(json.dumps({"schema_version": 1, "operators": []}))
    (place / "notes.txt").write_text("nothing")
    assert "kernels.json is no report of a backtest: the field history is missing" in refusal(
        capsys, "upgrade-sched", "claims", "kernels.json"
    )
    assert "notes.txt is no whole JSON document" in refusal(capsys, "upgrade-sched", "claims", "notes.txt")
    assert "gone.json cannot be read" in refusal(capsys, "upgrade-sched", "claims", "gone.json")
    assert refusal(capsys, "upgrade-sched", "claims").endswith("See sysmith upgrade-sched claims --help.")


def test_claims_of_several_reports_stand_in_one_table(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    claim = {"load": 2.0, "against": "cutoff:60", "figure": "completed", "goal": 1.41, "oracle_ratio": 2.5}
    claim |= {"ratio": {"value": 1.5, "low": 1.4, "high": 1.6}, "met": True, "why_not": ""}
    for name in ("one", "two"):
        document = {"schema_version": 1, "history": {"source": f"data/{name}.csv"}, "setup": {}, "rows": []}
        (place / f"{name}.json").write_text(json.dumps(document | {"claims": [claim], "beyond_claims": [claim]}))
    code, out, _ = said(capsys, "upgrade-sched", "claims", "one.json", "two.json")
    assert code == 0
    assert "| one.csv | 2 | cutoff:60 | completed | >= 1.41 | 1.50 (1.40-1.60) | 2.50 | yes |  |" in out
    assert out.splitlines()[-1] == "2 of 2 claims met."
    code, out, _ = said(capsys, "upgrade-sched", "claims", "one.json", "two.json", "--beyond", "--json")
    document = json.loads(out)
    assert (document["met"], document["of"], len(document["claims"])) == (2, 2, 4)
