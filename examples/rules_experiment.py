"""Do rules save evaluations? The same search, on the same seeds, with and without the rules of an earlier run.

Run it with ``python examples/rules_experiment.py [--seeds 20] [--json]``. The landscape is synthetic: a write-bandwidth
model of our own with four parameters and their interactions (transfers that do not fill a stripe, stripes that do not
spread over servers, aggregators that crowd a node, locks on shared files), shaped like what storage benchmarks report.
It shows what rules do to a search, and nothing about any real storage system.

For each seed a first run works on ``checkpoint`` without rules and leaves what it learned. Then four problems are tried
twice, with these rules and without: the same one again, two related ones, and one that only looks related (its files
are small and shared, so the lesson is wrong there). The last is tried once more after the rules have been reflected on
there, so that the wrong one is demoted and the right one known. Counted are the evaluations until a configuration is
within 5 % of the best of the grid.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.budget import Budget, Limits
from agents.events import EventLog
from agents.loop import run_loop
from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Proposer, Trial, best_of
from agents.rules_habits import Habits
from agents.rules_session import RuleSession
from agents.stop import any_of, budget_spent, goal_met
from knowledge.rules_book import RuleBook

GRID: dict[str, tuple[int, ...]] = {
    "stripe_count": (1, 2, 4, 8, 16, 32, 64),
    "stripe_mib": (1, 2, 4, 8, 16, 32),
    "transfer_mib": (1, 2, 4, 8, 16, 32),
    "aggregators": (1, 2, 4, 8, 16, 32),
}
DEFAULT = {"stripe_count": 1, "stripe_mib": 1, "transfer_mib": 1, "aggregators": 1}
PROBLEMS = {
    "checkpoint": {"nodes": 32, "file_gib": 256, "access": "contiguous", "shared": True},
    "checkpoint-48-nodes": {"nodes": 48, "file_gib": 384, "access": "contiguous", "shared": True},
    "checkpoint-24-nodes": {"nodes": 24, "file_gib": 160, "access": "contiguous", "shared": True},
    "looks-related": {"nodes": 20, "file_gib": 0.25, "access": "contiguous", "shared": True},
}
CLOSE = 1.05
AGAIN = "looks-related, again"
MOST = 400
HABITS = Habits("toy-storage")


def seconds(setting: dict[str, Any], load: dict[str, Any]) -> float:
    """Seconds to write the file (lower is better), by our synthetic model. Raises ValueError out of memory."""
    stripes, stripe, transfer, aggregators = (setting[name] for name in GRID)
    nodes, size_mib = load["nodes"], load["file_gib"] * 1024
    if aggregators * transfer * 2 > 32 * nodes:
        raise ValueError(
            f"{aggregators} aggregators with {2 * transfer} MiB of buffers exceed the memory of {nodes} nodes"
        )
    used = min(stripes, max(1.0, size_mib / stripe))  # a small file never reaches its later stripes
    servers = 0.9 * used / (1 + (used / 48) ** 2)
    writers = min(aggregators, nodes)
    clients = 1.6 * writers / (1 + (writers / (0.6 * nodes)) ** 2)
    fill = min(transfer / stripe, stripe / transfer) ** 0.35  # partial stripes are read, changed and written back
    latency = transfer / (transfer + 2.5)
    locks = 1 / (1 + (0.02 * writers * stripes / max(4.0, size_mib / (stripe * 64)) if load["shared"] else 0.0))
    gib_s = fill * latency * locks / (1 / servers + 1 / clients)
    opening = 0.02 * stripes + 0.01 * aggregators
    return load["file_gib"] / gib_s + opening


@dataclass
class Storage:
    """Analyzer and evaluator; ``seed`` makes the noise, 1 % of the time."""

    seed: int

    def analyze(self, problem: Problem) -> Analysis:
        return Analysis(tuple(Finding(name, value, "the workload") for name, value in problem.payload.items()))

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        try:
            took = seconds(dict(proposal.payload), dict(problem.payload))
        except ValueError as error:
            return Evaluation("failed", feedback=str(error))
        noise = random.Random(f"{self.seed} {problem.name} {proposal.content_hash}").gauss(1, 0.01)
        return Evaluation("passed", objective=took * noise)


class Search:
    """The default and twelve random settings where nothing is known yet; then steps from the best so far, and now and
    then a random setting. It is the same with and without rules, and knows of them only by the history."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        rng = random.Random(f"{self.seed} {len(history)}")
        if best_of(history) is None:
            yield Proposal("default", "search", payload=DEFAULT)
            for _ in range(12):
                yield anywhere(rng)
            return
        if len(history) % 6 == 0:
            yield anywhere(rng)
        tried = {trial.proposal.content_hash for trial in history}
        for trial in sorted((t for t in history if t.passed), key=lambda t: t.evaluation.objective or 0.0):
            steps = [Proposal("step", "search", payload=step) for step in neighbours(dict(trial.proposal.payload))]
            fresh = [step for step in steps if step.content_hash not in tried]
            if fresh:
                yield rng.choice(fresh)
                return


def anywhere(rng: random.Random) -> Proposal:
    """A random setting."""
    return Proposal("random", "search", payload={name: rng.choice(values) for name, values in GRID.items()})


def neighbours(setting: dict[str, Any]) -> list[dict[str, Any]]:
    """Every setting that is one step away in one parameter, or in two at once."""
    near = {
        name: [values[i] for i in (at - 1, at, at + 1) if 0 <= i < len(values)]
        for name, values in GRID.items()
        for at in [values.index(setting[name])]
    }
    every = (dict(zip(near, chosen, strict=True)) for chosen in itertools.product(*near.values()))
    return [other for other in every if 1 <= sum(other[name] != setting[name] for name in GRID) <= 2]


def target(load: dict[str, Any]) -> float:
    """What counts as reached: within 5 % of the best of the whole grid."""
    best = math.inf
    for chosen in itertools.product(*GRID.values()):
        try:
            best = min(best, seconds(dict(zip(GRID, chosen, strict=True)), load))
        except ValueError:
            continue
    return best * CLOSE


def evaluations(name: str, seed: int, folder: Path, book: RuleBook, *, offer: bool, learn: bool) -> int:
    """Evaluations until the target is reached, MOST if it never is."""
    folder.mkdir(parents=True)
    storage = Storage(seed)
    with EventLog(folder / "events.jsonl") as log:
        session = RuleSession(book, HABITS, log, folder.name, offer=offer, learn=learn)
        proposers: list[Proposer] = [session.proposer(), session.cautious(Search(seed))]
        result = run_loop(
            Problem(name, PROBLEMS[name]),
            storage,
            proposers,
            storage,
            log=log,
            budget=Budget(Limits(evaluations=MOST)),
            stop=any_of(goal_met(target(PROBLEMS[name])), budget_spent()),
            reflect=session.reflect,
        )
    return len(result.trials)


def interval(values: Sequence[float], rng: random.Random, draws: int = 2000) -> tuple[float, float]:
    """The 95 % bootstrap percentile interval of the mean (Efron 1979)."""
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def experiment(seeds: int, folder: Path) -> dict[str, Any]:
    """Run everything below ``folder`` and return one row for each problem."""
    counts: dict[str, list[tuple[int, int]]] = {name: [] for name in (*PROBLEMS, AGAIN)}
    for seed in range(seeds):
        home = folder / f"seed-{seed}"
        book = RuleBook(home, user=False)
        evaluations("checkpoint", seed, home / "first", book, offer=False, learn=True)
        for name in PROBLEMS:
            # Another seed than the first run's, and the same one on both sides.
            without = evaluations(name, seed + 1000, home / f"{name}-without", book, offer=False, learn=False)
            with_rules = evaluations(name, seed + 1000, home / f"{name}-with", book, offer=True, learn=False)
            counts[name].append((without, with_rules))
        evaluations("looks-related", seed + 1000, home / "looks-related-learn", book, offer=True, learn=True)
        without = evaluations("looks-related", seed + 2000, home / "again-without", book, offer=False, learn=False)
        with_rules = evaluations("looks-related", seed + 2000, home / "again-with", book, offer=True, learn=False)
        counts[AGAIN].append((without, with_rules))
        shutil.rmtree(home)
    rng = random.Random(0)
    rows = []
    for name, pairs in counts.items():
        saved = [float(without - with_rules) for without, with_rules in pairs]
        low, high = interval(saved, rng)
        rows.append(
            {
                "problem": name,
                "without": statistics.fmean(a for a, _ in pairs),
                "with": statistics.fmean(b for _, b in pairs),
                "saved": statistics.fmean(saved),
                "saved_95": [low, high],
                "fewer": sum(b < a for a, b in pairs),
                "more": sum(b > a for a, b in pairs),
                "pairs": pairs,
            }
        )
    return {"schema_version": 1, "landscape": "synthetic", "seeds": seeds, "rows": rows}


def table(document: dict[str, Any]) -> str:
    """The rows as text."""
    lines = [
        f"evaluations until within {CLOSE - 1:.0%} of the best; mean of {document['seeds']} seeds; synthetic landscape",
        f"{'problem':22} {'without':>8} {'with':>8} {'saved':>8}  95 % interval    fewer/more",
    ]
    for row in document["rows"]:
        low, high = row["saved_95"]
        lines.append(
            f"{row['problem']:22} {row['without']:8.1f} {row['with']:8.1f} {row['saved']:8.1f}  "
            f"[{low:5.1f}, {high:5.1f}]   {row['fewer']:>5}/{row['more']}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="at least 2 (default 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds {arguments.seeds} is less than 2: an interval needs two seeds")
    with tempfile.TemporaryDirectory() as temporary:
        found = experiment(arguments.seeds, Path(temporary))
    print(json.dumps(found, indent=2) if arguments.json else table(found))
