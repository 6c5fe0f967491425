"""Signal 9 in the middle of model calls: a resumed run repeats no paid call, and its budget knows what was spent."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agents.costs import LLM_COMPLETED, LLM_FAILED, LLM_REQUESTED, cost_report
from agents.events import Event, read_events

from .llm_helpers import ROOT, start_toy, wait_for
from .openai_server import Asked, OpenAIServer, Reply

# Three problems side by side; each answer of the model leaves a line in a file, which the log cannot influence.
PROGRAM = """
import json, os, sys, time
from pathlib import Path
from pydantic import BaseModel
from agents.budget import Budget, Limits
from agents.costs import cost_report
from agents.events import EventLog
from agents.llm import LLM, Completion, LLMProposer, LLMSettings, compose
from agents.llm.pricing import Price
from agents.loop import run_loop, run_many
from agents.protocols import Analysis, Evaluation, Problem, Proposal
from agents.stop import budget_spent

folder = Path(sys.argv[1])
tally = os.open(folder / "asked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
price = Price.per_million(1.0, 2.0)

class Point(BaseModel):
    x: float

class Model:
    model, patient = "toy", False
    def most(self, request):
        return price.most(request)
    def complete(self, request, timeout_s):
        time.sleep(0.02)
        os.write(tally, f"{request.key}\\n".encode())
        return Completion('{"x": %d}' % (int(request.key[:6], 16) % 1000), "toy", 100, 10, price.of(100, 10))

class Parts:
    def analyze(self, problem):
        return Analysis()
    def evaluate(self, problem, proposal):
        time.sleep(0.002)
        return Evaluation("passed", objective=proposal.payload["x"])

def build_for(name):
    def build(analysis, history):
        past = [str(t.evaluation.objective) for t in history]
        return compose(role="toy", wanted=f"point {len(history)} of {name}", rules=past)
    return build

def read(point, history):
    yield Proposal("p", "llm", payload={"x": point.x, "n": len(history)})

with EventLog(folder / "events.jsonl") as log:
    run = Budget(Limits(dollars=1.0))
    settings = LLMSettings(max_tokens=50)
    llm = LLM([Model()], settings=settings, budget=run, log=log)
    def one(problem):
        own = run.child(problem.name, Limits(calls=1000))
        asker = LLMProposer(llm, problem=problem.name, budget=own, build=build_for(problem.name),
            answer=Point, read=read, most=20)
        result = run_loop(problem, Parts(), [asker], Parts(), log=log, budget=own, stop=budget_spent())
        # A problem that the log shows as finished is returned as it ended, and its own budget is not used again.
        over = not own.spent.calls
        return problem.name, [t.proposal.payload["x"] for t in result.trials], None if over else own.spent.dollars
    done = list(run_many([Problem(n) for n in "abc"], one, jobs=3))
    report = cost_report(log.all())
    total = report.total
    booked = {row.problem: row.dollars for row in report.by_problem()}
    print(json.dumps({"points": {n: xs for n, xs, _ in sorted(done)}, "spent": run.spent.dollars,
                      "each": {n: [d, booked[n]] for n, _, d in done if d is not None},
                      "report": total.dollars, "calls": run.spent.calls}))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def repeated(events: list[Event]) -> list[str]:
    """Keys that were requested again after their completion was in the log."""
    completed: set[tuple[str | None, str]] = set()
    again = []
    for event in events:
        if event.kind == LLM_COMPLETED:
            completed.add((event.problem, event.data["key"]))
        elif event.kind == LLM_REQUESTED and (event.problem, event.data["key"]) in completed:
            again.append(event.data["key"])
    return again


@pytest.mark.slow
def test_a_run_killed_at_random_ends_as_one_left_alone_and_repeats_no_paid_call(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = finish(start(tmp_path / "whole"))
    folder, rng, kills = tmp_path / "killed", random.Random(7), 0
    log = folder / "events.jsonl"
    while kills < 6:
        process = start(folder)
        grown = log.stat().st_size if log.exists() else 0
        deadline = time.monotonic() + 20
        while (log.stat().st_size if log.exists() else 0) <= grown and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.12))
        process.kill()
        process.communicate()  # reaps it and closes its pipes, also where it was over before the kill
        if process.returncode != -signal.SIGKILL:
            break
        kills += 1
    assert kills >= 3, "the run was over before it could be killed"
    result = finish(start(folder))
    events = read_events(log)
    assert result["points"] == whole["points"]
    assert repeated(events) == []

    # The model's own tally: only calls that were in flight when the program was killed were made twice.
    asked = Counter((folder / "asked").read_text().split())
    lost = Counter(event.data["key"] for event in events if event.kind == LLM_FAILED)
    assert sum(asked.values()) <= 60 + sum(lost.values())
    assert all(count <= 1 + lost[key] for key, count in asked.items())

    # 60 calls at what the model counted, and each lost one at what was reserved; in all three books.
    reserved = sum(event.data["cost"]["dollars"] for event in events if event.kind == LLM_FAILED)
    for own, booked in result["each"].values():
        assert own == pytest.approx(booked, abs=1e-12)
    for name in ("spent", "report"):
        assert result[name] == pytest.approx(60 * 120e-6 + reserved, abs=1e-12), name
    assert result["calls"] == 60 + sum(lost.values())


@pytest.mark.slow
def test_a_killed_program_asks_a_real_server_nothing_twice(tmp_path: Path) -> None:
    """The example, killed while its third request is in flight; the resumed one asks for the third and the fourth."""
    held = tmp_path / "held"
    points = [2.0, 1.0, 0.5, -0.5122]

    def reply(asked: Asked) -> Reply:
        tried = asked.prompt.count("f(x) = ")
        if tried == 2 and not held.exists():
            held.touch()
            return Reply(drop=True, delay_s=5)
        return Reply(json.dumps({"x": points[tried], "reason": "a step"}), prompt_tokens=700, completion_tokens=20)

    with OpenAIServer(reply) as server:
        env = {"OPENAI_BASE_URL": server.url}
        options = ["--models", "openai/toy", "--price-in", "2", "--price-out", "8", "--max-dollars", "0.1"]
        process = start_toy(tmp_path / "run", *options, env=env)
        wait_for(held, process, 150)
        process.kill()
        process.communicate()
        again = start_toy(tmp_path / "run", *options, env=env)
        out, err = again.communicate(timeout=150)
        assert again.returncode == 0, err
        prompts = Counter(asked.prompt for asked in server.requests)
    assert out.startswith("x = -0.5122, y = -9.7318 after 4 trials")
    assert sorted(prompts.values()) == [1, 1, 1, 2]
    assert len(server.requests) == 5
    total = cost_report(read_events(tmp_path / "run" / "events.jsonl")).total
    assert (total.completions, total.failures, total.calls) == (4, 1, 5)
    lost = total.dollars - 4 * (700 * 2e-6 + 20 * 8e-6)
    assert 1000 * 8e-6 < lost < 0.1  # the one in flight is booked at what was reserved
