"""Kill a run with signal 9 at random moments, resume it, and compare it with one that was left alone."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Two problems side by side; each evaluation leaves a line in a file of its own, which the log cannot influence.
PROGRAM = """
import json, os, random, sys, time
from pathlib import Path
from agents.budget import Budget, Limits
from agents.loop import run_loop, run_many
from agents.protocols import Analysis, Evaluation, Problem, Proposal, best_of
from agents.run_dir import RunDir, list_runs
from agents.stop import any_of, budget_spent, no_improvement

state = Path(sys.argv[1])
tally = os.open(state / "evaluated", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

class Parts:
    def analyze(self, problem):
        return Analysis()

    def propose(self, analysis, history):
        rng = random.Random(len(history))
        best = best_of(history)
        centre = best.proposal.payload["x"] if best else 0.0
        for _ in range(4):
            yield Proposal("step", "search", payload={"x": centre + rng.gauss(0, 3), "source": "#" * 6000})

    def evaluate(self, problem, proposal):
        os.write(tally, f"{problem.name} {proposal.content_hash}\\n".encode())
        time.sleep(0.004)
        x = proposal.payload["x"]
        return Evaluation("passed" if x > -5 else "failed", objective=(x - problem.payload["goal"]) ** 2)

fresh = not list_runs(state)
run = RunDir.create(state, "toy", {"seed": 1}) if fresh else RunDir.resume(state, "toy", {"seed": 1})
with run:
    budget = Budget(Limits(evaluations=90))
    stop = any_of(budget_spent(), no_improvement(30))

    def one(problem):
        own = budget.child(problem.name, Limits(evaluations=45))
        return run_loop(problem, Parts(), [Parts()], Parts(), log=run.log, budget=own, stop=stop)

    problems = [Problem("a", {"goal": 4.0}), Problem("b", {"goal": -3.0})]
    results = {result.problem: result for result in run_many(problems, one, jobs=2)}
    document = {
        name: {
            "stop": result.stop.text,
            "best": result.best.index,
            "trials": [[t.proposal.content_hash, t.evaluation.status, t.evaluation.objective] for t in result.trials],
        }
        for name, result in sorted(results.items())
    }
    print(json.dumps(document))
"""


def start(state: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(state)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(state: Path) -> Any:
    process = start(state)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


def tally(state: Path) -> Counter[str]:
    file = state / "evaluated"
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    state = tmp_path_factory.mktemp("undisturbed")
    result = finish(state)
    assert set(tally(state).values()) == {1}
    assert sum(len(result[name]["trials"]) for name in "ab") == len(tally(state)) > 40
    return result


def kill_at(state: Path, evaluations: int, extra_s: float) -> bool:
    """Kill a run ``extra_s`` seconds after so many evaluations have begun; False where it ended before that."""
    process = start(state)
    deadline = time.monotonic() + 60
    while process.poll() is None and sum(tally(state).values()) < evaluations:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(extra_s)
    process.kill()
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(3))  # with four kills each
def test_a_run_killed_again_and_again_ends_like_one_left_alone(tmp_path: Path, undisturbed: Any, seed: int) -> None:
    rng = random.Random(seed)
    kills = 0
    for _ in range(4):
        kills += kill_at(tmp_path, sum(tally(tmp_path).values()) + rng.randrange(12), rng.random() * 0.02)
    assert kills >= 2, "the run ended too soon for this test to mean anything"

    assert finish(tmp_path) == undisturbed
    counts = tally(tmp_path)
    wanted = {f"{name} {content}" for name in "ab" for content, _, _ in undisturbed[name]["trials"]}
    assert set(counts) == wanted
    # One trial of each of the two problems may be in flight at each kill, and nothing else is ever repeated.
    assert sum(counts.values()) - len(counts) <= 2 * kills
    logs = list(tmp_path.glob("runs/*/events.jsonl"))
    assert len(logs) == 1
    events = [json.loads(line) for line in logs[0].read_text().splitlines()]
    finished = Counter((e["problem"], e["data"]["content_hash"]) for e in events if e["kind"] == "trial_finished")
    assert set(finished.values()) == {1}
