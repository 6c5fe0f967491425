"""One kernelgen run from options to outcomes: wires loop, judges, compiler and run folder; prints nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.budget import Budget, Limits
from agents.loop import LoopResult, run_loop
from agents.protocols import Problem
from agents.run_dir import RunDir
from agents.side_by_side import run_many
from agents.stop import any_of, budget_spent, goal_met
from harness.cache import Cache, library_versions
from kernelgen.catalog.record import OperatorFacts
from kernelgen.compile.targets import parse_targets
from kernelgen.compiling import Compiler
from kernelgen.evaluator import EvaluationSettings, KernelEvaluator
from kernelgen.judging import JudgePool
from kernelgen.lint import load_packs
from kernelgen.outcome import OperatorOutcome, outcome_of
from kernelgen.proposer import CatalogAnalyzer, SynthesisProposer
from kernelgen.synthesis.entry import KernelSource

COMMAND = "kernelgen"
DEFAULT_TARGETS = "interpret,cuda:80,cuda:90,cuda:100,hip:gfx942"


@dataclass(frozen=True)
class RunOptions:
    """What decides a run. ``samples`` bounds the samples of one dtype (None: all); ``timeout_s`` and ``memory_bytes``
    bound one operator; ``jobs`` operators run side by side; ``max_wall_s`` ends the run (None: no limit)."""

    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    targets: str = DEFAULT_TARGETS
    samples: int | None = None
    jobs: int = 2
    timeout_s: float = 600.0
    memory_bytes: int = 4 << 30
    max_wall_s: float | None = None
    use_cache: bool = True
    allow_unsandboxed: bool = False
    lint_packs: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)

    def recorded(self) -> dict[str, Any]:
        """Return the options that decide the outcome, as ``run.json`` keeps them and a resume compares them."""
        return {
            "names": list(self.names),
            "dtypes": list(self.dtypes),
            "targets": self.targets,
            "samples": self.samples,
            "lint_packs": list(self.lint_packs),
        }


def library() -> dict[str, tuple[KernelSource, ...]]:
    """Return every synthesised kernel: overload -> variants."""
    from kernelgen.synthesis.registry import entries, sources

    return {key: sources(key) for key in entries()}


class KernelRun:
    """A run in progress: iterate :meth:`outcomes`, then close. Raises MissingPart without a sandbox or compiler."""

    def __init__(
        self,
        options: RunOptions,
        facts: Mapping[str, OperatorFacts],
        run_dir: RunDir,
        kernels: Mapping[str, Sequence[KernelSource]] | None = None,
    ) -> None:
        self.options, self.facts, self.run_dir = options, facts, run_dir
        self.halt = threading.Event()
        targets = parse_targets(options.targets)
        cache = Cache() if options.use_cache else None
        packs = load_packs([target.name for target in targets], options.lint_packs)
        self.library = dict(kernels if kernels is not None else library())
        self.compiler = Compiler(targets, cache, options.jobs, allow_unsandboxed=options.allow_unsandboxed)
        self.judges = JudgePool(
            options.jobs,
            timeout_s=options.timeout_s,
            memory_bytes=options.memory_bytes,
            allow_unsandboxed=options.allow_unsandboxed,
        )
        settings = EvaluationSettings(options.dtypes, options.samples)
        self.evaluator = KernelEvaluator(self.library, settings, self.judges, self.compiler, packs, cache)
        self.budget = Budget(Limits(wall_s=options.max_wall_s))

    def outcomes(self, on_start: Callable[[str], object] = lambda name: None) -> Iterator[OperatorOutcome]:
        """Yield each operator's outcome as it is known. Raises Interrupted after ``halt`` was set or ^C."""
        problems = [self._problem(name) for name in self.options.names]
        proposer, analyzer = SynthesisProposer(self.library), CatalogAnalyzer()
        stop = any_of(goal_met(), budget_spent())

        def one(problem: Problem) -> LoopResult:
            on_start(problem.name)
            return run_loop(
                problem,
                analyzer,
                [proposer],
                self.evaluator,
                log=self.run_dir.log,
                budget=self.budget.child(problem.name),
                stop=stop,
                halt=self.halt,
            )

        for result in run_many(problems, one, jobs=self.options.jobs, halt=self.halt):
            if result.trials:
                yield self._outcome(result)

    def _problem(self, name: str) -> Problem:
        facts = self.facts[name]
        payload = {
            "family": facts.family,
            "entries": facts.entries,
            "dtypes": list(facts.samples),
        }
        return Problem(name, payload)

    def _outcome(self, result: LoopResult) -> OperatorOutcome:
        trial = result.best or max(result.trials, key=lambda t: _passed_tests(t.evaluation.metrics))
        metrics = dict(trial.evaluation.metrics)
        metrics.setdefault("reason", trial.evaluation.feedback)
        family, variants = self.facts[result.problem].family, trial.proposal.payload.get("variants", {})
        return outcome_of(result.problem, family, metrics, len(result.trials), variants)

    def out_of_budget(self) -> str:
        """Return why the run's budget ended it, or ""."""
        return self.budget.stops_evaluation() or ""

    def close(self) -> None:
        """Stop all workers; the run folder stays open for its owner."""
        self.judges.close()
        self.compiler.close()


def _passed_tests(metrics: Mapping[str, Any]) -> int:
    return sum(score["passed"] for score in metrics.get("scores", {}).values())


def open_run(options: RunOptions, state: Path, resume: str | None) -> RunDir:
    """Create a run folder below ``state``, or open the one to resume (``latest`` or an id)."""
    versions = library_versions()
    if resume is None:
        return RunDir.create(state, COMMAND, options.recorded(), versions=versions)
    return RunDir.resume(state, COMMAND, options.recorded(), run_id=resume, versions=versions)
