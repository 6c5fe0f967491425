"""The parts of the loop for backtests: what a proposal is, who proposes, how one is judged on validation windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Trial, best_of
from tuners.upgrade_sched.analyze import hill
from tuners.upgrade_sched.backtest.baselines import baseline_policy
from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.choice import RANGES, VALUES, Choice, choice_of
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
JUDGED_BY = "judged by"  # the finding that names the objective
UNTIL = "known until"  # the finding that dates what an analysis could know, in Unix seconds


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
        """How much is asked for, and how upgrades and windows compare, over the blocks that a policy is judged on."""
        task, setup = self.task, self.task.blocks.setup
        demands = [task.blocks.demand(block, task.load) for block in task.validated]
        duration = np.concatenate([demand.duration_s for demand in demands])
        median = float(np.median(duration))
        tail = hill(duration)
        where = "validation block " + " and ".join(str(block + 1) for block in task.validated)
        rows: list[tuple[str, float | int | str | None, str]] = [
            ("windows", sum(len(demand) for demand in demands), where),
            ("offered", sum(len(demand.rows) for demand in demands), where),
            ("load", task.load, "asked for"),
            ("slots", setup.slots, "asked for"),
            ("cost ratio", setup.cost_ratio, "asked for"),
            (JUDGED_BY, self.objective, "asked for"),
            ("median over window", round(median / setup.window_s, 4), where),
            ("p95 over median", round(float(np.quantile(duration, 0.95)) / max(median, 1.0), 2), where),
            ("longer than window", round(float((duration > setup.window_s).mean()), 4), where),
            ("tail index", None if tail is None else round(tail, 2), where),
            (UNTIL, task.blocks.until(task.block), "the first upgrade that is not asked about"),
        ]
        return Analysis(tuple(Finding(name, value, place) for name, value, place in rows))

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
        even = "an even mix of short upgrades first and sure ones first"
        for choice, why, section in (
            *((Choice(risk=risk), even, "A mix of short and sure") for risk in (0.45, 0.55, 0.65, 0.8)),
            (Choice(lean=0.0, risk=0.55), "most completions for each minute", "Shortest first"),
            (Choice(lean=1.2, risk=0.5, caution=3.0), "fuller windows, sure ones first", "A mix of short and sure"),
            (Choice(lean=1.2, risk=0.35, caution=3.0), "fuller windows at more risk", "A mix of short and sure"),
            (Choice(lean=1.5, risk=0.65, caution=3.0), "long ones early, where they are sure enough", "Longest first"),
            (Choice(risk=0.55, learn=True), "what siblings took tells on those that wait", "Learning within a window"),
        ):
            yield Proposal(choice.key, "knowledge", why, (noted(section),), asdict(choice))


class Default:
    """The policy that others are measured against, where nothing has passed: it is never far behind itself."""

    name = "the default"

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        if best_of(history) is None:
            choice = Choice()
            why = "all before it looked far worse than this one"
            yield Proposal(choice.key, "knowledge", why, (noted("A mix of short and sure"),), asdict(choice))


def noted(section: str) -> str:
    """The citation of a section of the notes on admission that come with Sysmith."""
    return f"sysmith:upgrade_sched/admission.md > {section}"


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
        draw = optuna.distributions
        models = sorted({CHOSEN, *self.task.blocks.fitted(self.task.block).families})
        space: dict[str, Any] = {"model": draw.CategoricalDistribution(models)}
        space |= {name: draw.FloatDistribution(low, high) for name, (low, high) in RANGES.items()}
        space |= {name: draw.CategoricalDistribution(values) for name, values in VALUES.items()}
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
