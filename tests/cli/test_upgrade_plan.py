"""``sysmith upgrade-sched plan`` and the commands on a plan, from the command line."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .fleet import ALL, FILES, QUICK, copy_example
from .helpers import command, environment, refusal, said, sysmith


@pytest.fixture(autouse=True)
def inputs(place: Path) -> None:
    copy_example(place)


def planned(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    code, out, _ = said(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--json", *more)
    assert code == 1  # an upgrade of the example misses its deadline
    value: dict[str, Any] = json.loads(out)
    return value


def test_a_plan_is_made_checked_and_explained(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    plan = planned(capsys, "--out", "p.json", "--csv", "p.csv", "--ics", "p.ics", "--report", "p.html")
    s = plan["summary"]
    assert plan["schema_version"] == 1
    assert s["scheduled"] + s["not_scheduled"] + s["impossible"] == s["upgrades"] == 78
    assert s["scheduled"] >= 65
    assert s["value"] <= s["bound"]
    assert json.loads(Path("p.json").read_text())["schedule"] == plan["schedule"]
    assert Path("p.ics").read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")
    assert "What each constraint costs" in Path("p.html").read_text()
    assert len(Path("p.csv").read_text().splitlines()) == 79
    code, out, _ = said(capsys, "upgrade-sched", "verify")
    assert (code, "keep every constraint" in out) == (0, True)
    name = plan["not_scheduled"][0]["upgrade"]
    code, out, _ = said(capsys, "upgrade-sched", "explain", name)
    assert (code, "not scheduled" in out) == (0, True)
    code, out, _ = said(
        capsys, "upgrade-sched", "explain", plan["schedule"][0]["server"], "--plan", plan["run"], "--json"
    )
    assert json.loads(out)["upgrades"][0]["scheduled"] is True


def test_text_says_what_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--what-if")
    assert code == 1
    assert "of 78 upgrades scheduled" in out
    assert "night-3" in out
    assert "what each constraint costs" in out
    assert "policy-1" in err


def test_everything_scheduled_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "upgrade-sched", "plan", *ALL[:6], "--durations", "durations.csv", *QUICK)
    assert code == 0, out
    assert "78 of 78" in out


def test_a_run_is_resumed_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    first = planned(capsys)
    again = planned(capsys, "--resume", "latest")
    assert again["run"] == first["run"]
    assert again["schedule"] == first["schedule"]
    Path("windows.csv").write_text(Path("windows.csv").read_text().replace(",5,6", ",4,6"))
    said_no = refusal(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--resume", "latest")
    assert "was started with option windows" in said_no


@pytest.mark.slow
def test_a_killed_run_carries_on(place: Path) -> None:
    arguments = ("upgrade-sched", "plan", *ALL, "--tries", "3", "--polish", "0.3", "--json")
    running = subprocess.Popen(
        command(*arguments), cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    log = place / ".sysmith"
    for _ in range(600):
        if any("trial_finished" in file.read_text() for file in log.glob("runs/*/events.jsonl")):
            break
        time.sleep(0.05)
    running.kill()
    running.communicate()
    done = sysmith(*arguments, "--resume", "latest", cwd=place)
    assert done.returncode == 1, done.stderr
    whole = sysmith(*arguments, cwd=place)
    assert json.loads(done.stdout)["schedule"] == json.loads(whole.stdout)["schedule"]


def test_simulation_compares_policies(capsys: pytest.CaptureFixture[str]) -> None:
    planned(capsys)
    code, out, _ = said(capsys, "upgrade-sched", "simulate", "--repeats", "3", "--json")
    rows = {row["policy"]: row for row in json.loads(out)["policies"]}
    assert code == 0
    assert set(rows) == {"plan", "online", "cutoff:60"}
    assert all(row["violations"] == 0 for row in rows.values())
    low, high = rows["online"]["completed_interval"]
    assert low <= rows["online"]["completed"] <= high
    code, out, _ = said(capsys, "upgrade-sched", "simulate", "--repeats", "2", "--policy", "plan")
    assert (code, "utilisation" in out) == (0, True)


def test_a_history_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    planned(capsys)
    arguments = ("--history", "history.csv", "--policy", "online,cutoff:30", "--repeats", "2", "--json")
    code, out, _ = said(capsys, "upgrade-sched", "simulate", *arguments)
    answer = json.loads(out)
    assert code == 0
    assert answer["durations"].startswith("replayed from a history")
    online, cutoff = answer["policies"]
    assert online["violations"] == cutoff["violations"] == 0
    assert online["cancelled"] < cutoff["cancelled"]


def test_an_execution_is_followed_and_mended(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(capsys)
    code, out, _ = said(capsys, "upgrade-sched", "next", "--now", "2026-03-02T21:00:00Z", "--json")
    starts = json.loads(out)["start"]
    assert code == 0
    assert {row["upgrade"] for row in starts} == {"node-00", "node-10", "node-20"}
    events = [{"time": "2026-03-02T21:00:00Z", "upgrade": row["upgrade"], "event": "started"} for row in starts]
    events.append({"time": "2026-03-02T21:25:00Z", "upgrade": "node-00", "event": "finished"})
    events.append({"time": "2026-03-02T21:26:00Z", "upgrade": "node-10", "event": "failed"})
    Path("events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    now = ("--events", "events.jsonl", "--now", "2026-03-02T21:30:00Z")
    code, out, _ = said(capsys, "upgrade-sched", "next", *now)
    assert "start node-10" in out
    assert "node-20 has run 30 min" in out
    code, out, _ = said(capsys, "upgrade-sched", "replan", *now, "--out", "new.json", "--json")
    new = json.loads(out)
    assert {row["upgrade"] for row in new["settled"]} == {"node-00", "node-20"}
    assert len(new["changes"]["kept"]) == plan["summary"]["scheduled"] - 3
    assert said(capsys, "upgrade-sched", "verify", "--plan", "new.json")[0] == 0
    code, out, _ = said(capsys, "upgrade-sched", "explain", "node-10", "--plan", "new.json")
    assert "scheduled in night-1" in out
    code, out, _ = said(capsys, "upgrade-sched", "replan", *now, "--attempts", "1")
    assert "gave_up: node-10" in out
    assert "wave canary is not complete" in out


def test_a_plan_goes_to_other_tools(capsys: pytest.CaptureFixture[str]) -> None:
    planned(capsys)
    for kind in ("ansible", "kubernetes", "slurm"):
        code, out, _ = said(capsys, "upgrade-sched", "export", "--to", kind, "--out", f"to-{kind}")
        assert code == 0
        assert all(Path(line).stat().st_size for line in out.splitlines())
    for kind in ("csv", "ics", "html"):
        assert said(capsys, "upgrade-sched", "export", "--to", kind, "--out", f"p.{kind}")[0] == 0
        assert Path(f"p.{kind}").stat().st_size


def test_durations_are_learnt_from_a_history(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--history", "history.csv", *QUICK, "--json", "--risk-rule", "lognormal", "--cost-ratio", "5")
    code, out, err = said(capsys, "upgrade-sched", "plan", *ALL[:8], *arguments)
    assert code == 1
    assert "learning durations from 400" in err
    plan = json.loads(out)
    means = {row["type"]: row["mean_s"] / 60 for row in plan["schedule"]}
    assert 12 < means["kernel"] < 40 < means["os"] < 130
    assert plan["risk"] == {"rule": "lognormal", "level": pytest.approx(5 / 6)}
    assert said(capsys, "upgrade-sched", "verify")[0] == 0


def test_bench_reports_time_memory_and_gap(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "upgrade-sched", "bench", "--servers", "300,600", "--json")
    rows = json.loads(out)["runs"]
    assert code == 0
    assert [row["servers"] for row in rows] == [300, 600]
    for row in rows:
        assert row["violations"] == 0
        assert row["peak_memory_mib"] > 10
        assert 0 <= row["gap_percent"] < 25
    code, out, _ = said(capsys, "upgrade-sched", "bench", "--servers", "200,400", "--constrained")
    assert code == 0
    assert "growth with the fleet (1 is linear): operations" in out


def test_a_constrained_fleet_is_planned_against_a_tighter_bound(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "upgrade-sched", "bench", "--servers", "500", "--constrained", "--json")
    answer = json.loads(out)
    (row,) = answer["runs"]
    assert (code, row["violations"], row["constrained"], answer["growth"]) == (0, 0, True, None)
    assert row["gap_percent"] < row["gap_loose_percent"] - 5
    assert row["bound_method"] == "prices on windows and domains"


def test_every_problem_of_the_inputs_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "upgrade-sched", "check", *ALL)[:2] == (0, "files of the plan: no problems\n")
    text = Path("fleet.csv").read_text().replace("node-05", "node-04").replace("true", "perhaps")
    Path("fleet.csv").write_text(text)
    code, out, _ = said(capsys, "upgrade-sched", "check", *ALL)
    assert code == 2
    assert "fleet.csv, line 7, field server: 'node-04' is on line 6 too" in out
    assert "fleet.csv, line 42, field down" in out
    issues = json.loads(said(capsys, "upgrade-sched", "check", *ALL, "--json")[1])["issues"]
    assert {issue["kind"] for issue in issues} >= {"duplicate", "flag"}


REFUSED = [
    (("check",), "there is nothing to check"),
    (("check", "--fleet", "fleet.csv"), "Give --fleet and --windows"),
    (("check", "history.csv", "--durations", "durations.csv"), "Give --fleet and --windows"),
    (("plan", "--fleet", "no.csv", "--windows", "windows.csv"), "no.csv"),
    (("plan", *FILES), "has no duration"),
    (("plan", *ALL, "--level", "1.5"), "risk level"),
    (("plan", *ALL, "--cost-ratio", "0.1"), "cost ratio"),
    (("plan", *ALL, "--risk-rule", "median"), "--risk-rule"),
    (("plan", *ALL, "--timezone", "Mars/Base"), "time zone"),
    (("plan", *ALL, "--out", "no/where.json"), "--out"),
    (("plan", *ALL, "--mapping", "m.toml"), "--mapping"),
    (("plan", *ALL[:8], "--history", "no.csv"), "--history"),
    (("plan", *ALL, "--resume", "latest"), "no run"),
    (("explain", "node-00"), "no run"),
    (("explain", "node-00", "--plan", "no.json"), "no plan"),
    (("verify", "--plan", "fleet.csv"), "whole JSON"),
    (("bench", "--servers", "many"), "--servers"),
    (("bench", "--servers", "0"), "out of range"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_bad_usage_is_one_sentence(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    assert words in refusal(capsys, "upgrade-sched", *arguments)


REFUSED_WITH_A_PLAN = [
    (("explain", "node-99"), "Did you mean"),
    (("simulate", "--policy", "luck"), "no policy"),
    (("next", "--now", "teatime"), "--now"),
    (("next", "--events", "no.jsonl"), "no.jsonl"),
    (("export", "--to", "puppet", "--out", "x"), "no adapter"),
    (("export", "--to", "ics", "--out", "x.ics", "--each", "server"), "--each"),
    (("export", "--to", "csv", "--out", "no/x.csv"), "cannot be written"),
    (("export", "--to", "slurm", "--out", "x", "--timezone", "Mars"), "time zone"),
    (("simulate", "--actuals", "durations.csv"), "field upgrade"),
    (("replan", "--windows", "no.csv"), "no.csv"),
]


def test_bad_usage_with_a_plan_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    planned(capsys)
    for arguments, words in REFUSED_WITH_A_PLAN:
        assert words in refusal(capsys, "upgrade-sched", *arguments), arguments
