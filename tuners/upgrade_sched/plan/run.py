"""One invocation of ``plan``: a run folder, the loop, and the best schedule as a document; it prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from agents.budget import Budget, Limits
from agents.loop import LoopResult, run_loop
from agents.protocols import Problem, Proposer, Trial
from agents.run_dir import RunDir, latest
from agents.stop import any_of, budget_spent
from sysmith_errors import BudgetExhausted, InputError, InternalFault
from tuners.upgrade_sched.plan import document as doc
from tuners.upgrade_sched.plan.load import Predict, Sources, load
from tuners.upgrade_sched.plan.model import Schedule
from tuners.upgrade_sched.plan.optimizer import POLICIES, POLISHED, SMALL, Planner, Policies, Polish, proven
from tuners.upgrade_sched.plan.risk import Risk

COMMAND = "upgrade-sched plan"
PLAN = "plan.json"


@dataclass(frozen=True)
class PlanOptions:
    """``tries``: how many policies at most (None: several for a small fleet, one for a large). ``effort``: CP-SAT's
    deterministic time, 0 for none, None for 2 where the fleet is small. ``extra``: what else decides the outcome
    (history, model), kept with the run."""

    sources: Sources
    risk: Risk
    tries: int | None = None
    effort: float | None = None
    max_wall_s: float | None = None
    extra: dict[str, Any] | None = None


@dataclass(frozen=True)
class Planned:
    """What ``plan`` made: the planner with problem and bound, the document and the loop's result."""

    planner: Planner
    schedule: Schedule
    document: dict[str, Any]
    result: LoopResult
    path: Path


def plan(
    options: PlanOptions,
    state: Path,
    resume: str | None = None,
    *,
    predict: Predict | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Planned:
    """Load, search and write ``plan.json`` into the run's folder.

    Raises InputError for what is wrong with the input, InternalFault where no schedule keeps its constraints.
    """
    problem = load(options.sources, options.risk, predict)
    planner = Planner(problem)
    count = len(problem.upgrades)
    small = count <= SMALL
    tries = options.tries or (len(POLICIES) if count <= POLISHED else 4 if small else 1)
    effort = options.effort if options.effort is not None else (2.0 if count <= POLISHED else 0.0)
    record = _record(options, tries, effort)
    versions = {name: metadata.version(name) for name in ("numpy", "ortools")}
    with _folder(state, resume, record, versions) as folder:
        note(f"{len(problem.fleet)} servers, {count} upgrades, {len(problem.windows)} windows")
        proposers: list[Proposer] = [_First(Policies(), tries)]
        if effort:
            proposers.append(Polish(effort))
        stop = any_of(proven(), budget_spent())
        budget = Budget(Limits(wall_s=options.max_wall_s))
        result = run_loop(Problem("fleet"), planner, proposers, planner, log=folder.log, budget=budget, stop=stop)
        for trial in result.trials:
            note(f"{trial.proposal.key}: {trial.evaluation.feedback}")
        if result.best is None and result.stop.kind == "budget":
            raise BudgetExhausted("the time ended before the first schedule", mend="Give --max-minutes more.")
        if result.best is None:
            raise InternalFault(_fault(result.trials))
        schedule = planner.schedule_of(result.best.proposal.payload)
        kept = {"tries": tries, "effort": effort} | (options.extra or {})
        value = doc.document(planner.compiled, schedule, planner.bound, options.sources, kept, run=folder.info.id)
        value["stop"] = result.stop.text
        doc.write(folder.path / PLAN, value)
        return Planned(planner, schedule, value, result, folder.path / PLAN)


def plan_path(name: str, state: Path) -> Path:
    """The file of a plan: ``latest``, the id of a run, or a path. Raises InputError where there is none."""
    if name == "latest":
        return latest(state, COMMAND).path / PLAN
    folder = state / "runs" / name / PLAN
    if Path(name).name == name and folder.is_file():
        return folder
    if not Path(name).is_file():
        raise InputError(f"there is no plan {name}", mend="Give a file, the id of a run (sysmith runs list) or latest.")
    return Path(name)


class _First:
    """The first ``count`` proposals of another proposer."""

    def __init__(self, inner: Proposer, count: int) -> None:
        self._inner, self._count = inner, count

    def propose(self, analysis: Any, history: Any) -> Any:
        done = sum("polish" not in trial.proposal.payload for trial in history)
        for number, proposal in enumerate(self._inner.propose(analysis, history)):
            if done + number >= self._count:
                return
            yield proposal


def _record(options: PlanOptions, tries: int, effort: float) -> dict[str, Any]:
    """What decides the outcome, with the hash of each input beside its name."""
    sources = options.sources
    digests = sources.digests()
    files = {role: {"path": str(path), "sha256": digests[role]} for role, path in sources.paths().items()}
    risk = {"rule": options.risk.rule, "level": options.risk.level}
    return (
        files | {"timezone": sources.timezone, "risk": risk, "tries": tries, "effort": effort} | (options.extra or {})
    )


def _folder(state: Path, resume: str | None, record: dict[str, Any], versions: dict[str, str]) -> RunDir:
    if resume is None:
        return RunDir.create(state, COMMAND, record, versions=versions)
    return RunDir.resume(state, COMMAND, record, run_id=resume, versions=versions)


def _fault(trials: tuple[Trial, ...]) -> str:
    return f"no policy gave a sound schedule: {trials[-1].evaluation.feedback}" if trials else "the budget ended first"
