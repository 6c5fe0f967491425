"""Real runs of the program: results, cache, interruption, kill -9 and resume; each starts judges, so all are slow."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .helpers import SMALL, command, environment, events, sysmith

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def longer(samples: int) -> list[str]:
    """Long enough to be interrupted in the middle; another number of samples shares no verdict in the cache."""
    names = "add,neg,view,mul,sub,abs,exp,square"
    return [
        "kernelgen",
        "--ops",
        names,
        "--dtypes",
        "float32",
        "--samples",
        str(samples),
        "--target",
        "interpret",
        "--json",
    ]


def verdicts(report: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {o["name"]: (o["passed"], o["dtypes"], o["source"], o["reason"]) for o in report["operators"]}


def finished_once(state: Path) -> Counter[tuple[str, int]]:
    """How often each operator's trial was finished; more than once means that something was evaluated twice."""
    return Counter((e.problem, e.data["index"]) for e in events(state, "trial_finished"))


def test_a_run_reports_in_every_form_and_a_second_one_comes_from_the_cache(place: Path) -> None:
    env = environment(NO_COLOR="1")
    first = sysmith(*SMALL, "--json", "--junit", "j.xml", "--report", "r.html", cwd=place, env=env, timeout=900)
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert [o["name"] for o in report["operators"]] == ["add", "neg", "view"]
    assert all(o["passed"] and o["tests_total"] == o["tests_passed"] > 0 for o in report["operators"])
    assert {o["name"]: o["metadata_only"] for o in report["operators"]} == {"add": False, "neg": False, "view": True}
    assert len(list(xml.parse(place / "j.xml").iter("testcase"))) == 3
    assert report["run"] in (place / "r.html").read_text()
    assert "\x1b" not in first.stdout + first.stderr

    began = time.monotonic()
    second = sysmith(*SMALL, "--json", cwd=place, env=env)
    took = time.monotonic() - began
    again = json.loads(second.stdout)
    assert again["summary"]["cached"] == 3
    assert verdicts(again) == verdicts(report)
    assert took < 60, "nothing changed, so it must take seconds"

    (place / "old.json").write_text(first.stdout)
    assert sysmith(*SMALL, "--baseline", "old.json", cwd=place).returncode == 0
    other = sysmith(*SMALL[:2], "add", *SMALL[3:], "--resume", report["run"], cwd=place)
    assert other.returncode == 2
    assert "was started with option names" in other.stderr
    assert len(other.stderr.splitlines()) == 2

    shown = sysmith("runs", "show", report["run"], "--problem", "add", cwd=place)
    assert "trial_finished" in shown.stdout
    listed = sysmith("runs", "list", cwd=place)
    assert len(listed.stdout.splitlines()) == 3


def test_a_failing_operator_is_exit_1_and_says_why(place: Path) -> None:
    """A random operator cannot give the numbers of PyTorch's own generator: it is counted as failed, with a reason."""
    lost = {"operators": [{"name": "cauchy", "dtypes": {"float32": [2, 2]}}]}
    (place / "old.json").write_text(json.dumps(lost))
    arguments = ["kernelgen", "--ops", "cauchy", "--dtypes", "float32", "--samples", "2", "--target", "interpret"]
    done = sysmith(*arguments, "--no-cache", "--json", "--baseline", "old.json", cwd=place, timeout=900)
    report = json.loads(done.stdout)
    (operator,) = report["operators"]
    assert (operator["passed"], operator["tests_total"], operator["tests_passed"]) == (False, 2, 0)
    assert "no kernel serves" in operator["reason"]
    assert report["lost"] == ["cauchy"]
    assert done.returncode == 1


def test_interrupted_runs_keep_what_is_done_and_resume(place: Path) -> None:
    whole = json.loads(sysmith(*longer(2), "--no-cache", cwd=place, timeout=900).stdout)
    state = place / "interrupted"
    arguments = [*longer(2), "--jobs", "1", "--state", str(state)]
    process = subprocess.Popen(
        command(*arguments),
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[2/8]"):
            break
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the whole foreground group
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "--resume latest" in err
    partial = json.loads(out)
    assert partial["interrupted"]
    assert 2 <= len(partial["operators"]) < 8
    assert len(partial["operators"]) + len(partial["not_judged"]) == 8

    resumed = sysmith(*arguments, "--resume", "latest", cwd=place, timeout=900)
    assert verdicts(json.loads(resumed.stdout)) == verdicts(whole)
    counts = finished_once(state)
    assert len(counts) == 8
    assert set(counts.values()) == {1}


def test_kill_9_at_ten_random_moments(place: Path) -> None:
    whole = json.loads(sysmith(*longer(1), "--no-cache", cwd=place, timeout=900).stdout)
    state = place / "killed"
    arguments = [*longer(1), "--jobs", "1", "--state", str(state)]
    rng = random.Random(20260101)
    kills = 0
    for _ in range(10):
        resume = ["--resume", "latest"] if any(state.glob("runs/*/run.json")) else []
        process = subprocess.Popen(
            command(*arguments, *resume),
            cwd=place,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(rng.uniform(1, 20))
        kills += process.poll() is None
        process.kill()
        process.wait()
    assert kills, "every run ended before it was killed"
    resumed = sysmith(*arguments, "--resume", "latest", cwd=place, timeout=900)
    report = json.loads(resumed.stdout)
    assert verdicts(report) == verdicts(whole)
    counts = finished_once(state)
    assert len(counts) == 8
    assert set(counts.values()) == {1}


def test_a_budget_that_ends_first_is_exit_3(place: Path) -> None:
    done = sysmith(*longer(3), "--no-cache", "--max-minutes", "0.05", cwd=place, timeout=900)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert report["not_judged"]
    assert "--resume latest" in done.stderr
