"""The parts of the loop for backtests: what a proposal is, who proposes, how one is judged on validation windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Trial, best_of
from tuners.upgrade_sched.backtest.baselines import baseline_policy
from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.policies import RiskPolicy
from tuners.upgrade_sched.backtest.score import CUTOFF_GOALS, SQUARED_GOALS, cost, figures, shortfall
from tuners.upgrade_sched.backtest.simulate import COUNTS, Policy, play
from tuners.upgrade_sched.durations.fit import CHOSEN
from tuners.upgrade_sched.types import Floats

PROXY_WINDOWS = 24  # a proposal is tried on so many validation windows before it is tried on all
PROXY_SLACK = 0.25  # how much worse than the default policy it may look there and still be tried in full
Objective = Literal["goals", "cost"]  # what a selection makes small: see Validation
VALIDATED = 2  # blocks before the tested one on which a policy is judged
SQUARED_WEIGHT = 0.15  # of the goals against squared error, beside those against the cutoff
COST_WEIGHT = 0.03  # of the cost of idle and wasted time, beside goals that are missed
ORDERS = (0.0, 1.0, 2.0)  # shortest first, as they are due, longest first: what the oracle is tried in
SHORTEST_FIRST = 0.0  # the order in which a predictor of single numbers completes most
FIXED_CUTOFF = "cutoff:60"


@dataclass(frozen=True)
class Choice:
    """A policy as a proposal says it: the duration model and the parameters of ``RiskPolicy``."""

    model: str = CHOSEN
    risk: float = 0.6
    lean: float = 0.5
    caution: float = 1.0
    learn: bool = False
    stop_below: float = 0.0

    @property
    def key(self) -> str:
        text = f"{self.model} risk {self.risk:.2f} lean {self.lean:.2f} caution {self.caution:.1f}"
        return text + (" siblings" if self.learn else "") + (f" stop {self.stop_below:g}" if self.stop_below else "")

    def policy(self, blocks: Blocks, block: int, load: float) -> RiskPolicy:
        """The policy on one block and load. A model that this block has no fit of is replaced by the chosen one."""
        model = self.model if self.model in (CHOSEN, *blocks.fitted(block).families) else CHOSEN
        known = blocks.chances(block, load, model)
        return RiskPolicy(known, self.risk, self.lean, self.caution, self.learn, self.stop_below)


def choice_of(payload: Mapping[str, Any]) -> Choice:
    return Choice(**payload)


@dataclass(frozen=True)
class Task:
    """One split at one load: select on block ``block``, to be tested on the next. ``carried`` are the winners of
    earlier splits at this load."""

    blocks: Blocks
    block: int
    load: float
    carried: tuple[Choice, ...] = ()

    @property
    def validated(self) -> tuple[int, ...]:
        """The blocks that a policy is judged on: the last two, as one alone is a small sample of windows."""
        return tuple(range(max(0, self.block - VALIDATED + 1), self.block + 1))


class Validation:
    """Analyzer and evaluator of one task. ``objective``: ``goals`` is the published claims with a little of the cost
    beside them, ``cost`` the user's own cost of idle and wasted time and nothing else."""

    def __init__(self, task: Task, objective: Objective = "goals") -> None:
        self.task, self.objective = task, objective
        self._baselines: dict[tuple[str, float, int | None], Floats] = {}
        self._reference: float | None = None

    def analyze(self, problem: Problem) -> Analysis:
        task, demand = self.task, self.task.blocks.demand(self.task.block, self.task.load)
        long = float((demand.duration_s > demand.window_s).mean())
        where = f"validation block {task.block + 1}"
        return Analysis(
            (
                Finding("windows", len(demand), where),
                Finding("offered", len(demand.rows), where),
                Finding("longer_than_window", round(long, 4), where),
            )
        )

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        choice = choice_of(proposal.payload)
        windows = len(self.task.blocks.demand(self.task.block, self.task.load))
        if windows >= 2 * PROXY_WINDOWS:
            # Measured against a fixed policy, not the best so far, so that a resumed run judges as this one does.
            if self._reference is None:
                self._reference = self._judge(Choice(), PROXY_WINDOWS)[0]
            proxy = self._judge(choice, PROXY_WINDOWS)[0]
            # A cost grows with its ratio, and the slack with it.
            slack = PROXY_SLACK * (self._reference if self.objective == "cost" else 1.0)
            if proxy > self._reference + slack:
                feedback = f"far behind {Choice().key} already on {PROXY_WINDOWS} windows"
                return Evaluation("failed", proxy, {"proxy": True}, feedback)
        objective, metrics = self._judge(choice)
        return Evaluation("passed", objective, metrics)

    def _judge(self, choice: Choice, windows: int | None = None) -> tuple[float, dict[str, Any]]:
        """Over all windows of the task's blocks, or the first ``windows`` of the latest."""
        ours = self._sums("", choice, windows)
        spent = cost(ours, self.task.blocks.setup.cost_ratio)
        known = figures(ours[None, :])
        metrics = {name: round(float(known[name][0]), 5) for name in ("scheduled", "completed", "cancelled_share")}
        metrics |= {"utilisation": round(float(known["utilisation"][0]), 5), "cost": round(spent, 5)}
        if self.objective == "cost":
            return round(spent, 6), metrics
        cutoff = self._baseline(FIXED_CUTOFF, choice.lean, windows)
        oracle = [self._baseline("oracle", lean, windows) for lean in ORDERS]
        # No order of upgrades is worth anything for hurting the other side: squared error is taken at its best.
        either = [self._baseline("squared-error", lean, windows) for lean in (choice.lean, SHORTEST_FIRST)]
        squared = max(either, key=lambda sums: float(figures(sums[None, :])["completed"][0]))
        missed = shortfall(ours, cutoff, oracle, CUTOFF_GOALS)
        missed += SQUARED_WEIGHT * shortfall(ours, squared, oracle, SQUARED_GOALS)
        return round(missed + COST_WEIGHT * spent, 6), metrics | {"missed": round(missed, 5)}

    def _sums(self, baseline: str, choice: Choice, windows: int | None) -> Floats:
        """The counts of a baseline, or of ``choice`` where it is empty, added up."""
        task, total = self.task, np.zeros(len(COUNTS))
        for block in task.validated if windows is None else (task.block,):
            demand = task.blocks.demand(block, task.load)
            if baseline:
                policy: Policy = baseline_policy(baseline, task.blocks, block, task.load, choice.lean)
            else:
                policy = choice.policy(task.blocks, block, task.load)
            total += play(demand if windows is None else demand.head(windows), policy).counts.sum(axis=0)
        return total

    def _baseline(self, name: str, lean: float, windows: int | None) -> Floats:
        key = (name, lean, windows)
        if key not in self._baselines:
            self._baselines[key] = self._sums(name, Choice(lean=lean), windows)
        return self._baselines[key]


class Known:
    """What is worth trying before any search: winners of earlier splits, and policies that serve a wide range."""

    name = "known policies"

    def __init__(self, task: Task) -> None:
        self.task = task

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        for choice in dict.fromkeys(self.task.carried):
            yield Proposal(choice.key, "knowledge", "the best of an earlier split", payload=asdict(choice))
        why = "an even mix of short upgrades first and sure ones first"
        for risk in (0.45, 0.55, 0.65, 0.8):
            choice = Choice(risk=risk)
            yield Proposal(choice.key, "knowledge", why, payload=asdict(choice))
        others = (
            (Choice(lean=0.0, risk=0.55), "most completions for each minute"),
            (Choice(lean=1.2, risk=0.5, caution=3.0), "fuller windows, sure ones first"),
            (Choice(lean=1.2, risk=0.35, caution=3.0), "fuller windows at more risk"),
            (Choice(lean=1.5, risk=0.65, caution=3.0), "long upgrades early, where they are sure enough"),
            (Choice(risk=0.55, learn=True), "what siblings took tells on those that wait"),
        )
        for choice, why in others:
            yield Proposal(choice.key, "knowledge", why, payload=asdict(choice))


class Search:
    """Optuna's tree-structured Parzen estimator over all parameters, seeded by the length of the history."""

    name = "search"

    def __init__(self, task: Task, trials: int) -> None:
        self.task, self.trials = task, trials

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        if sum(trial.proposal.source == "search" for trial in history) >= self.trials:
            return
        seen = {trial.proposal.content_hash for trial in history}
        for repeat in range(20):
            proposal = self._next(history, repeat)
            if proposal.content_hash not in seen:
                yield proposal
                return  # the next one should know how this one did

    def _next(self, history: Sequence[Trial], repeat: int) -> Proposal:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        models = sorted({CHOSEN, *self.task.blocks.fitted(self.task.block).families})
        space: dict[str, Any] = {
            "model": optuna.distributions.CategoricalDistribution(models),
            "risk": optuna.distributions.FloatDistribution(0.2, 0.92),
            "lean": optuna.distributions.FloatDistribution(0.0, 1.8),
            "caution": optuna.distributions.FloatDistribution(0.5, 6.0),
            "learn": optuna.distributions.CategoricalDistribution([True, False]),
            "stop_below": optuna.distributions.CategoricalDistribution([0.0, 0.05, 0.15]),
        }
        sampler = optuna.samplers.TPESampler(seed=len(history) * 100 + repeat, n_startup_trials=8)
        study = optuna.create_study(sampler=sampler)
        for trial in history:
            if trial.evaluation.objective is not None and _inside(trial.proposal.payload, space):
                study.add_trial(
                    optuna.trial.create_trial(
                        params=dict(trial.proposal.payload),
                        distributions=space,
                        value=trial.evaluation.objective,
                    )
                )
        asked = study.ask(space).params
        choice = Choice(
            model=asked["model"],
            risk=round(asked["risk"], 3),
            lean=round(asked["lean"], 2),
            caution=round(asked["caution"], 1),
            learn=asked["learn"],
            stop_below=asked["stop_below"],
        )
        best = best_of(history)
        why = f"likely to beat trial {best.index}" if best else "nothing has passed yet"
        return Proposal(choice.key, "search", why, payload=asdict(choice))


def _inside(payload: Mapping[str, Any], space: Mapping[str, Any]) -> bool:
    """Whether the search could have asked for ``payload`` itself; what others proposed may lie outside."""

    def fits(name: str, value: Any) -> bool:
        one = space[name]
        return value in one.choices if hasattr(one, "choices") else one.low <= value <= one.high

    return all(fits(name, value) for name, value in payload.items())
