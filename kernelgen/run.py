"""One kernelgen run from options to outcomes: wires loop, judges, compiler and run folder; prints nothing."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.budget import Budget, Limits
from agents.loop import LoopResult, run_loop
from agents.protocols import Problem, Proposer
from agents.run_dir import RunDir
from agents.side_by_side import run_many
from agents.stop import any_of, budget_spent, goal_met
from harness.cache import Cache, library_versions
from kernelgen.catalog.record import OperatorFacts
from kernelgen.compile.targets import parse_targets
from kernelgen.compiling import Compiler
from kernelgen.evaluator import EvaluationSettings
from kernelgen.judging import JudgePool
from kernelgen.learned import KernelRules
from kernelgen.lint import load_packs
from kernelgen.llm.evaluator import CandidateEvaluator
from kernelgen.llm.kept import KeptKernel, KeptKernels, KeptProposer
from kernelgen.llm.options import LLMOptions
from kernelgen.llm.situation import furthest
from kernelgen.outcome import OperatorOutcome, outcome_of
from kernelgen.proposer import CatalogAnalyzer, SynthesisProposer
from kernelgen.synthesis.entry import KernelSource
from sysmith_errors import InputError

if TYPE_CHECKING:
    from kernelgen.llm.proposer import Workshop

COMMAND = "kernelgen"
DEFAULT_TARGETS = "interpret,cuda:80,cuda:90,cuda:100,hip:gfx942"


@dataclass(frozen=True)
class RunOptions:
    """What decides a run. ``samples`` bounds the samples of one dtype (None: all); ``timeout_s`` and ``memory_bytes``
    bound one operator; ``jobs`` operators run side by side; ``max_wall_s`` ends the run (None: no limit). ``without``
    are patterns of overloads whose shipped kernels are left out; ``use_rules`` begins with what earlier runs taught;
    ``llm`` is None where no model may be asked."""

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
    without: tuple[str, ...] = ()
    use_rules: bool = True
    llm: LLMOptions | None = None

    def recorded(self) -> dict[str, Any]:
        """Return the options that decide the outcome, as ``run.json`` keeps them and a resume compares them."""
        more: dict[str, Any] = {"without": list(self.without)} if self.without else {}
        if self.llm is not None:
            more["llm"] = self.llm.recorded()
        return more | {
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


def leave_out(
    kernels: Mapping[str, Sequence[KernelSource]], patterns: Sequence[str]
) -> dict[str, Sequence[KernelSource]]:
    """Return ``kernels`` without the overloads that match a pattern. Raises InputError for one that matches none."""
    gone: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(kernels, pattern)
        if not found:
            raise InputError(
                f"--without: no shipped kernel serves {pattern!r}",
                mend="sysmith kernelgen list --details names overloads.",
            )
        gone.update(found)
    return {key: found for key, found in kernels.items() if key not in gone}


class KernelRun:
    """A run in progress: iterate :meth:`outcomes`, then close. Raises MissingPart without a sandbox or compiler, and
    InputError for a model that cannot be opened.

    ``say`` gets sentences for the user; ``halt`` ends the run when it is set.
    """

    def __init__(
        self,
        options: RunOptions,
        facts: Mapping[str, OperatorFacts],
        run_dir: RunDir,
        kernels: Mapping[str, Sequence[KernelSource]] | None = None,
        say: Callable[[str], object] = lambda text: None,
        halt: threading.Event | None = None,
    ) -> None:
        self.options, self.facts, self.run_dir = options, facts, run_dir
        self.halt = halt or threading.Event()
        targets = parse_targets(options.targets)
        cache = Cache() if options.use_cache else None
        packs = load_packs([target.name for target in targets], options.lint_packs)
        self.library = leave_out(kernels if kernels is not None else library(), options.without)
        self.kept = KeptKernels(run_dir.path.parent.parent)
        self._synthesis = SynthesisProposer(self.library)
        self._rules: KernelRules | None = None
        if options.use_rules:
            state = run_dir.path.parent.parent
            self._rules = KernelRules(state, run_dir, self._synthesis.library_hash, CatalogAnalyzer())
        self._stopped_by_budget = ""
        self._written: list[KeptKernel] = []
        llm = options.llm
        limits = llm.settings.limits if llm is not None else Limits()
        self.budget = Budget(replace(limits, wall_s=options.max_wall_s))
        self._shop: Workshop | None = None
        if llm is not None:  # first of all, because much can be wrong with a model's name, key or price
            from kernelgen.llm.opening import open_shop

            synthesis = self._synthesis
            self._shop = open_shop(
                llm, self.budget, run_dir.log, self.halt, synthesis.library, synthesis.library_hash, packs, say
            )
        self.compiler = Compiler(targets, cache, options.jobs, allow_unsandboxed=options.allow_unsandboxed)
        self.judges = JudgePool(
            options.jobs,
            timeout_s=options.timeout_s,
            memory_bytes=options.memory_bytes,
            allow_unsandboxed=options.allow_unsandboxed,
        )
        settings = EvaluationSettings(options.dtypes, options.samples)
        improve = llm is not None and llm.improve
        self.evaluator = CandidateEvaluator(
            self.library, settings, self.judges, self.compiler, packs, cache, improve=improve
        )

    def outcomes(self, on_start: Callable[[str], object] = lambda name: None) -> Iterator[OperatorOutcome]:
        """Yield each operator's outcome as it is known. Raises Interrupted after ``halt`` was set or ^C."""
        problems = [self._problem(name) for name in self.options.names]
        analyzer = self._rules.analyzer if self._rules else CatalogAnalyzer()
        stop = any_of(goal_met(), budget_spent())
        limits = self.options.llm.settings.limits_each if self.options.llm is not None else None

        def one(problem: Problem) -> LoopResult:
            on_start(problem.name)
            budget = self.budget.child(problem.name, limits)
            return run_loop(
                problem,
                analyzer,
                self._proposers(problem, budget),
                self.evaluator,
                log=self.run_dir.log,
                budget=budget,
                stop=stop,
                reflect=self._rules.reflect if self._rules else None,
                halt=self.halt,
            )

        for result in run_many(problems, one, jobs=self.options.jobs, halt=self.halt):
            if result.stop.kind == "budget":
                self._stopped_by_budget = self._stopped_by_budget or result.stop.text
            if result.trials:
                yield self._outcome(result)

    def _proposers(self, problem: Problem, budget: Budget) -> list[Proposer]:
        """Cheapest first: rules, synthesis, kernels that a model wrote in earlier runs, a model."""
        proposers: list[Proposer] = self._rules.proposers(self._synthesis) if self._rules else [self._synthesis]
        proposers.append(KeptProposer(self.kept, self._synthesis.library_hash))
        if self._shop is not None:
            from kernelgen.llm.opening import advice_for, proposer_for

            facts = self.facts[problem.name]
            dtypes = [dtype for dtype in self.options.dtypes if dtype in facts.samples]
            advice = advice_for(problem, self.run_dir.log, self._rules.advice) if self._rules else ()
            proposers.append(proposer_for(self._shop, facts, dtypes, self.options.targets, advice, budget))
        return proposers

    def _problem(self, name: str) -> Problem:
        facts = self.facts[name]
        payload = {
            "family": facts.family,
            "entries": facts.entries,
            "dtypes": list(facts.samples),
        }
        return Problem(name, payload)

    def _outcome(self, result: LoopResult) -> OperatorOutcome:
        # Of trials that did not pass only those count that saw every sample, so that no total shrinks.
        trial = result.best or furthest(result.trials) or result.trials[0]
        metrics = dict(trial.evaluation.metrics)
        metrics.setdefault("reason", trial.evaluation.feedback)
        family, variants = self.facts[result.problem].family, dict(trial.proposal.payload.get("variants", {}))
        written = trial.proposal.payload.get("kernels", {})
        ran = {key: text for key, text in written.items() if key in metrics.get("used", ())}
        author = trial.proposal.source if ran else ""
        run = self.run_dir.info.id
        kernels = [KeptKernel(overload, text, author, result.problem, run) for overload, text in ran.items()]
        variants |= {kernel.overload: kernel.variant for kernel in kernels}
        if trial.passed:
            self.kept.keep(ran, author, result.problem, run)
            self._written += kernels
        return outcome_of(result.problem, family, metrics, len(result.trials), variants, author)

    def exportable(self) -> dict[str, Sequence[KernelSource]]:
        """Return the library with the kernels that a model wrote in this run as further variants."""
        everything = dict(self.library)
        for kernel in self._written:
            source = kernel.kernel_source()
            if source.variant not in {other.variant for other in everything.get(kernel.overload, ())}:
                everything[kernel.overload] = (*everything.get(kernel.overload, ()), source)
        return everything

    def out_of_budget(self) -> str:
        """Return which limit ended the work on an operator before it was through, or ""."""
        return self._stopped_by_budget

    def close(self) -> None:
        """Stop all workers; the run folder stays open for its owner."""
        self.judges.close()
        self.compiler.close()


def open_run(options: RunOptions, state: Path, resume: str | None) -> RunDir:
    """Create a run folder below ``state``, or open the one to resume (``latest`` or an id)."""
    versions = library_versions()
    if resume is None:
        return RunDir.create(state, COMMAND, options.recorded(), versions=versions)
    return RunDir.resume(state, COMMAND, options.recorded(), run_id=resume, versions=versions)
