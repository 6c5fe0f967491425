"""Caching, lint and compile around a verdict; the judging itself is stood in for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agents.protocols import Evaluation, Problem, Proposal
from harness.cache import Cache
from kernelgen.compile.result import CompileResult
from kernelgen.evaluate.verdict import DtypeScore, Verdict
from kernelgen.evaluator import EvaluationSettings, KernelEvaluator
from kernelgen.lint import load_packs
from kernelgen.synthesis.entry import KernelSource

SPECIALISATION = {"kernel": "_kernel", "signature": [], "constants": {}, "options": {}}


@dataclass
class Judges:
    """Returns one verdict and remembers what it was asked."""

    verdict: Verdict
    limits: tuple[float, int] = (10.0, 1)
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def judge(self, name: str, dtypes: Sequence[str], sources: Mapping[str, str], limit: int | None) -> Verdict:
        self.asked.append(sources)
        return self.verdict

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]


@dataclass
class Targets:
    name: str


@dataclass
class Compiler:
    ok: bool = True

    @property
    def targets(self) -> list[Targets]:
        return [Targets("cuda:90")]

    def compile(self, sources: Any, specialisations: Mapping[str, Any]) -> dict[str, dict[str, CompileResult]]:
        made = CompileResult("cuda:90", "_kernel", "key", self.ok, error="" if self.ok else "too much shared memory")
        return {overload: {"cuda:90 key": made} for overload in specialisations}


def verdict(**more: Any) -> Verdict:
    fields = {
        "scores": {"float32": DtypeScore(3, 3)},
        "used": ("neg.default",),
        "stats": {"kernel": {"neg.default": 3}},
        "specialisations": {"neg.default": [{"launch": SPECIALISATION, "dtypes": ["float32"]}]},
    }
    return Verdict("neg", **(fields | more))


def evaluate(cache: Cache, judges: Judges, library: Mapping[str, str], compiler: Compiler | None = None) -> Evaluation:
    sources = {key: (KernelSource(key, "default", "pointwise", text),) for key, text in library.items()}
    settings = EvaluationSettings(("float32",))
    evaluator = KernelEvaluator(sources, settings, judges, compiler or Compiler(), load_packs(), cache)  # type: ignore[arg-type]  # stand-ins
    return evaluator.evaluate(Problem("neg", {"dtypes": ["float32"]}), Proposal("default", "synthesis"))


def kernel(number: int) -> str:
    return f"""import torch
import triton
import triton.language as tl


@triton.jit
def _kernel(out, x, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + i, -tl.load(x + i, mask=i < n).to(tl.float32) * {number}, mask=i < n)


def neg__default_kernel_impl(self):
    out = torch.empty_like(self)
    _kernel[(triton.cdiv(self.numel(), 64),)](out, self, self.numel(), BLOCK=64)
    return out
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_a_second_evaluation_comes_from_the_cache(cache: Cache) -> None:
    judges = Judges(verdict())
    library = {"neg.default": kernel(1), "unused.default": kernel(2)}
    first, second = evaluate(cache, judges, library), evaluate(cache, judges, library)
    assert (first.status, second.status) == ("passed", "passed")
    assert (first.metrics["cached"], second.metrics["cached"]) == (False, True)
    assert len(judges.asked) == 1


def test_only_a_change_of_what_ran_is_judged_again(cache: Cache) -> None:
    judges = Judges(verdict())
    evaluate(cache, judges, {"neg.default": kernel(1), "unused.default": kernel(2)})
    evaluate(cache, judges, {"neg.default": kernel(1), "unused.default": kernel(3)})
    assert len(judges.asked) == 1
    evaluate(cache, judges, {"neg.default": kernel(4)})
    assert len(judges.asked) == 2


@pytest.mark.parametrize("kind", ["composite", "decomposed", "missing"])
def test_a_new_kernel_for_what_had_none_is_judged(cache: Cache, kind: str) -> None:
    judges = Judges(verdict(stats={"kernel": {"neg.default": 1}, kind: {"abs.default": 1}}))
    evaluate(cache, judges, {"neg.default": kernel(1)})
    evaluate(cache, judges, {"neg.default": kernel(1), "abs.default": kernel(2)})
    assert len(judges.asked) == 2


def test_a_timeout_is_kept_for_the_same_limits_only(cache: Cache) -> None:
    judges = Judges(verdict(status="timeout", catch="timeout"))
    library = {"neg.default": kernel(1)}
    evaluate(cache, judges, library)
    assert evaluate(cache, judges, library).metrics["cached"]
    evaluate(cache, replace(judges, limits=(99.0, 1)), library)
    assert len(judges.asked) == 2


def test_a_kernel_that_lint_rejects_is_withheld(cache: Cache) -> None:
    judges = Judges(verdict(used=(), missing=("neg.default",), scores={"float32": DtypeScore(3, 0)}))
    result = evaluate(cache, judges, {"neg.default": "import os\n" + kernel(1)})
    assert result.status == "failed"
    assert "lint rejects the kernel of neg.default: line 1" in result.feedback
    assert judges.asked == [{}]


def test_a_compile_failure_is_reported_beside_a_pass(cache: Cache) -> None:
    result = evaluate(cache, Judges(verdict()), {"neg.default": kernel(1)}, Compiler(ok=False))
    assert result.status == "passed"
    assert result.metrics["compiled"] == {"cuda:90": False}
    assert "too much shared memory" in result.metrics["compile_errors"]["cuda:90"]


def test_what_ran_in_failing_dtypes_only_is_not_compiled(cache: Cache) -> None:
    scores = {"float32": DtypeScore(3, 3), "complex64": DtypeScore(3, 0)}
    failing = {"neg.default": [{"launch": SPECIALISATION, "dtypes": ["complex64"]}]}
    refused = {"neg.default": {"complex64": "complex pointer"}}
    result = evaluate(cache, Judges(verdict(scores=scores, refused=refused)), {"neg.default": kernel(1)})
    assert result.status == "failed"
    assert result.metrics["compiled"] == {"cuda:90": True}, "float32 passed, and its launch compiles"
    result = evaluate(cache, Judges(verdict(scores=scores, specialisations=failing)), {"neg.default": kernel(2)})
    assert result.metrics["compiled"] == {}


def test_a_launch_that_no_compiler_takes_counts_as_not_compiled(cache: Cache) -> None:
    result = evaluate(
        cache, Judges(verdict(refused={"neg.default": {"float32": "complex pointer"}})), {"neg.default": kernel(1)}
    )
    assert result.metrics["compiled"] == {"cuda:90": False}
