"""A whole backtest: for each split and load the loop selects a policy on validation, the next block tests it; no I/O
but the run's folder."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agents.budget import Budget, Limits
from agents.loop import LoopResult, run_loop
from agents.protocols import Problem, Proposer
from agents.run_dir import RunDir
from agents.stop import any_of, budget_spent, no_improvement, once_passed
from sysmith_errors import BudgetExhausted, InputError, Interrupted
from tuners.upgrade_sched.backtest.baselines import baseline_policy
from tuners.upgrade_sched.backtest.blocks import Blocks, Setup
from tuners.upgrade_sched.backtest.calibration import calibration, observe
from tuners.upgrade_sched.backtest.choice import Choice, choice_of
from tuners.upgrade_sched.backtest.learned import BacktestRules
from tuners.upgrade_sched.backtest.report import REACH, SHORTEST_SQUARED, Cell, document
from tuners.upgrade_sched.backtest.search import (
    ORDERS,
    SHORTEST_FIRST,
    VALIDATED,
    Default,
    Known,
    Search,
    Task,
    Validation,
)
from tuners.upgrade_sched.backtest.simulate import play
from tuners.upgrade_sched.backtest.sweep import Sweep, selected
from tuners.upgrade_sched.backtest.tradeoff import OURS
from tuners.upgrade_sched.types import Floats, History

COMMAND = "upgrade-sched backtest"


@dataclass(frozen=True)
class Request:
    """A backtest as asked for. ``trials`` are those of the search for each split and load; ``patience``
    ends it early. ``cost_ratios`` are those of the sweep (none: no sweep). ``rules``: begin with what earlier backtests
    taught, and learn from this one."""

    setup: Setup
    baselines: tuple[str, ...]
    trials: int = 16
    patience: int = 12
    max_wall_s: float | None = None
    max_evaluations: int | None = None
    cost_ratios: tuple[float, ...] = ()
    rules: bool = True

    def recorded(self, history: History, digest: str) -> dict[str, Any]:
        """What decides the outcome, for the run's description."""
        setup = asdict(self.setup) | {"loads": list(self.setup.loads), "families": list(self.setup.families)}
        return {
            "history": history.source,
            "records": len(history),
            "sha256": digest,
            "setup": setup,
            "baselines": list(self.baselines),
            "trials": self.trials,
            "patience": self.patience,
            "max_wall_s": self.max_wall_s,
            "max_evaluations": self.max_evaluations,
            "cost_ratios": list(self.cost_ratios),
            "rules": self.rules,
        }


# What a resumed run may be given anew: nothing that was selected depends on it.
FREE = ("max_wall_s", "max_evaluations", "cost_ratios")


def digest_of(history: History) -> str:
    """SHA-256 (hex) of what a history says, so that a changed file is noticed on resume."""
    hasher = hashlib.sha256()
    columns = {**history.numbers, **history.texts}
    for column in (
        *(history.entity, history.type, history.start, history.duration_s, history.censored, history.submit),
        *(columns[name] for name in sorted(columns)),
    ):
        hasher.update(np.ascontiguousarray(column).tobytes())
    return hasher.hexdigest()


def open_run(request: Request, history: History, state: Path, resume: str | None) -> RunDir:
    """Begin a run below ``state``, or carry on with ``resume`` (an id or ``latest``). Raises InputError as RunDir."""
    options = request.recorded(history, digest_of(history))
    if resume:
        return RunDir.resume(state, COMMAND, options, run_id=resume, free=FREE)
    return RunDir.create(state, COMMAND, options)


@dataclass
class Backtest:
    """Carries out one request in one open run. ``say`` is told of progress, ``halt`` ends it in good order."""

    request: Request
    history: History
    folder: RunDir
    state: Path
    say: Callable[[str], None] = lambda text: None
    halt: threading.Event = field(default_factory=threading.Event)

    def run(self) -> dict[str, Any]:
        """The report as plain JSON.

        Raises InputError for a history that is too short, BudgetExhausted and Interrupted where the selection did not
        come to its end; what is done is in the run's log.
        """
        request, setup = self.request, self.request.setup
        blocks = Blocks(self.history, setup)
        budget = Budget(Limits(evaluations=request.max_evaluations, wall_s=request.max_wall_s))
        winners: dict[float, list[Choice]] = {load: [] for load in setup.loads}
        cells: dict[tuple[float, str], Cell] = {}
        selections, observed = [], []
        self._rules = BacktestRules(self.state, self.folder, use=request.rules)

        def sweep_select(name: str, judge: Validation, proposers: Sequence[Proposer]) -> LoopResult:
            return self._select(name, judge, proposers, budget)

        sweep = Sweep(blocks, request.cost_ratios, request.baselines, request.trials, sweep_select, self.say)
        for split in range(1, setup.splits + 1):
            for load in setup.loads:
                task = Task(blocks, split - 1, load, tuple(reversed(winners[load][-2:])))
                parts = (Known(task), Default(), Search(task, request.trials))
                result = self._select(f"split-{split}/load-{load:g}", Validation(task), parts, budget)
                assert result.best is not None
                choice = choice_of(result.best.proposal.payload)
                winners[load].append(choice)
                selections.append({"split": split, "load": load, "policy": asdict(choice)} | selected(result))
                played = self._test(blocks, split, load, choice)
                for name, counts in played.items():
                    cell = cells.setdefault((load, name), Cell(load, name))
                    cell.windows.append(counts)
                observed.append(observe(blocks, split, load, choice.model))
                self.say(f"split {split} of {setup.splits}, load {load:g}: {choice.key}")
                sweep.split(split, load, choice, played[OURS])
            blocks.forget(split - VALIDATED)
            sweep.forget(split - VALIDATED)
        report = document(cells, selections, blocks, request.baselines, run_id=self.folder.info.id)
        report["calibration"] = calibration(observed, setup.seed)
        if request.cost_ratios:
            report["sweep"] = sweep.document()
        return report

    def _select(self, name: str, judge: Validation, proposers: Sequence[Proposer], budget: Budget) -> LoopResult:
        result = run_loop(
            Problem(name),
            judge,
            self._rules.proposers(proposers),
            judge,
            log=self.folder.log,
            budget=budget.child(name),
            stop=any_of(once_passed(no_improvement(self.request.patience)), budget_spent()),
            halt=self.halt,
            reflect=self._rules.reflect,
        )
        resume = f"Carry on with the same options and --resume {self.folder.info.id}."
        if result.stop.kind == "interrupted":
            raise Interrupted(f"stopped while selecting {name}; what is done is kept", mend=resume)
        if result.stop.kind == "budget":
            raise BudgetExhausted(f"{result.stop.text} while selecting {name}", mend=f"Raise it. {resume}")
        if result.best is None:
            reason = result.trials[0].evaluation.feedback if result.trials else result.stop.text
            raise InputError(
                f"no policy could be judged on {name}: {reason}", mend=f"See sysmith runs show --problem {name}."
            )
        return result

    def _test(self, blocks: Blocks, block: int, load: float, choice: Choice) -> dict[str, Floats]:
        """Counts of each window of the test block, for the policy selected and for each baseline."""
        demand = blocks.demand(block, load)
        played = {OURS: play(demand, choice.policy(blocks, block, load)).counts}
        for name in self.request.baselines:
            played[name] = play(demand, baseline_policy(name, blocks, block, load, choice.lean)).counts
            if name == "squared-error":
                own = baseline_policy(name, blocks, block, load, SHORTEST_FIRST)
                played[SHORTEST_SQUARED] = play(demand, own).counts
            if name == "oracle":
                for lean in ORDERS:
                    best = baseline_policy(name, blocks, block, load, lean)
                    played[f"{REACH}{lean:g}"] = play(demand, best).counts
        return played
