"""Stand-ins for the tests of this folder: a scripted model, judges that know a right kernel, and a run around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.budget import Budget, Limits
from agents.events import EventLog
from agents.llm import LLM, Completion, LLMSettings, Request
from agents.loop import LoopResult, run_loop
from agents.protocols import Cost, Problem
from agents.stop import any_of, budget_spent, goal_met
from kernelgen.compile.result import CompileResult
from kernelgen.evaluate.verdict import DtypeScore, Verdict
from kernelgen.evaluator import EvaluationSettings
from kernelgen.lint import load_packs
from kernelgen.llm.evaluator import CandidateEvaluator
from kernelgen.llm.options import LLMOptions
from kernelgen.llm.proposer import KernelProposer, Workshop
from kernelgen.llm.question import Operator
from kernelgen.proposer import CatalogAnalyzer, SynthesisProposer
from kernelgen.synthesis.entry import KernelSource

Script = Callable[[list[dict[str, str]]], str]
PRICE = 0.01  # dollars a call


@dataclass
class Model:
    """A transport that answers from a script, at one cent and 100 tokens a call."""

    script: Script
    model: str = "scripted"
    patient: bool = False
    asked: list[Request] = field(default_factory=list)

    def most(self, request: Request) -> Cost:
        return Cost(tokens=100, dollars=PRICE, calls=1)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        self.asked.append(request)
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        return Completion(self.script(messages), self.model, 60, 40, PRICE)


LAUNCH = {"kernel": "_angle", "signature": [["BLOCK", "constexpr"]], "constants": {"BLOCK": 64}, "options": {}}
SPECIALISATION = {"launch": LAUNCH, "dtypes": ["float32"]}


@dataclass
class Judges:
    """Passes the kernels of ``angle`` that hold ``right``; blames the others, or says that the kernel is missing."""

    right: str = "3.14159"
    reason: str = "sample float32/0: (float32[20]): output 0: wrong_value: at (0,) got 1.5, PyTorch gives 3.1415927"
    limits: tuple[float, int] = (10.0, 1)
    asked: list[int | None] = field(default_factory=list)

    def judge(self, name: str, dtypes: Sequence[str], sources: Mapping[str, str], limit: int | None) -> Verdict:
        self.asked.append(limit)
        text = sources.get("angle.default")
        total = limit or 10
        if text is None:
            reason = "sample float32/0: (float32[20]): raised MissingKernel: no kernel serves aten angle.default"
            return Verdict(name, {"float32": DtypeScore(total, 0)}, reason, missing=("angle.default",))
        stats = {"kernel": {"angle.default": total}, "launches": 2 * total if "tl.exp" in text else total}
        if self.right in text:
            special = {"angle.default": [SPECIALISATION]}
            scores = {"float32": DtypeScore(total, total)}
            return Verdict(name, scores, used=("angle.default",), stats=stats, specialisations=special)
        return Verdict(
            name,
            {"float32": DtypeScore(total, 1)},
            self.reason,
            used=("angle.default",),
            culprits=("angle.default",),
            stats=stats,
        )

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]


@dataclass
class Target:
    name: str = "cuda:90"


@dataclass
class Compiler:
    """Compiles everything but text that holds ``refuses``; the artifact is as large as the text."""

    refuses: str = "no such text"
    error: str = "line 12: too much shared memory"

    @property
    def targets(self) -> list[Target]:
        return [Target()]

    def compile(self, sources: Mapping[str, str], specialisations: Any) -> dict[str, dict[str, CompileResult]]:
        found = {}
        for overload in specialisations:
            text = sources[overload]
            ok = self.refuses not in text
            result = CompileResult(
                "cuda:90", "_angle", "key", ok, size=len(text), registers=20, spills=0, error="" if ok else self.error
            )
            found[overload] = {"cuda:90 key": result}
        return found


def library(text: str = "") -> dict[str, tuple[KernelSource, ...]]:
    """A library without ``angle``, or with ``text`` as its kernel."""
    return {"angle.default": (KernelSource("angle.default", "default", "pointwise", text),)} if text else {}


def run(
    folder: Path,
    models: Model | Sequence[Model],
    *,
    kernels: Mapping[str, tuple[KernelSource, ...]] | None = None,
    judges: Judges | None = None,
    compiler: Compiler | None = None,
    limits: Limits | None = None,
    each: Limits | None = None,
    doc: str = "",
    advice: tuple[str, ...] = (),
    say: Callable[[str], object] = lambda text: None,
    **options: Any,
) -> LoopResult:
    """Work on ``angle`` with scripted models, in the folder's event log; run it again to resume."""
    models = [models] if isinstance(models, Model) else list(models)
    settings = LLMSettings(models=tuple(model.model for model in models))
    chosen = LLMOptions(settings, **({"sessions": 2, "attempts": 3} | options))
    kernels = kernels or {}
    packs = load_packs()
    with EventLog(folder / "events.jsonl") as log:
        budget = Budget(limits)
        llm = LLM(models, settings=settings, budget=budget, log=log, say=lambda text: None)
        synthesis = SynthesisProposer(kernels)
        shop = Workshop(llm, chosen, kernels, synthesis.library_hash, packs, say)
        child = budget.child("angle", each)
        operator = Operator("angle", "pointwise", doc, ("float32",), ("cuda:90",), advice)
        evaluator = CandidateEvaluator(
            kernels,
            EvaluationSettings(("float32",)),
            judges or Judges(),
            compiler or Compiler(),
            packs,
            None,
            improve=chosen.improve,
        )
        return run_loop(
            Problem("angle", {"dtypes": ["float32"], "family": "pointwise"}),
            CatalogAnalyzer(),
            [synthesis, KernelProposer(shop, operator, child)],
            evaluator,
            log=log,
            budget=child,
            stop=any_of(goal_met(), budget_spent()),
        )
