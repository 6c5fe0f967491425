"""kernelgen's evaluator: lint, then samples, then compile, through the cache; proposes nothing and prints nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from agents.protocols import Cost, Evaluation, Problem, Proposal
from harness.cache import Cache, canonical_hash, library_versions
from kernelgen.compiling import Compiler
from kernelgen.evaluate.verdict import Verdict
from kernelgen.judging import JudgePool
from kernelgen.lint import Packs, lint_source
from kernelgen.proposer import choose
from kernelgen.synthesis.entry import KernelSource

_ROUTED = ("kernel", "derived", "composite", "decomposed", "missing")


@dataclass(frozen=True)
class EvaluationSettings:
    """What an operator is judged on: ``limit`` bounds the samples of one dtype (None: all of them)."""

    dtypes: tuple[str, ...]
    limit: int | None = None


def judging_code_hash() -> str:
    """Return a hash of everything of ours that decides a verdict, so that a change of it empties the cache."""
    return _code_hash("evaluate", "runtime")


def lint_code_hash() -> str:
    """Return a hash of the linter's own code."""
    return _code_hash("lint")


def _code_hash(*packages: str) -> str:
    here = Path(__file__).parent
    files = sorted(path for package in packages for path in (here / package).glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _first_error(item: tuple[str, str, Packs]) -> str:
    overload, text, packs = item
    errors = lint_source(text, packs=packs, filename=overload).errors
    return f"line {errors[0].line}: [{errors[0].rule}] {errors[0].message}" if errors else ""


class KernelEvaluator:
    """Evaluates a proposal for one operator; safe to use from several threads.

    A kernel file that lint rejects is withheld, so what needs it fails with the linter's words. Verdicts are cached by
    everything they depend on: operator, dtypes, the kernels that ran, library versions and our own judging code.
    """

    def __init__(
        self,
        library: Mapping[str, Sequence[KernelSource]],
        settings: EvaluationSettings,
        judges: JudgePool,
        compiler: Compiler,
        packs: Packs,
        cache: Cache | None,
    ) -> None:
        self.library, self.settings, self.judges, self.compiler = library, settings, judges, compiler
        self._packs, self._cache = packs, cache
        self._limits = list(judges.limits)
        self._lint: dict[str, str] = {}
        self._lint_lock = threading.Lock()
        self._packs_hash = canonical_hash([_plain(packs), lint_code_hash()])
        self._base = {"versions": library_versions(), "code": judging_code_hash(), "limit": settings.limit}

    def lint_errors(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return overload -> the linter's first error, for those of ``texts`` (overload -> source) that it rejects."""
        with self._lint_lock:
            new = [(key, text) for key, text in texts.items() if text not in self._lint]
            missed = []
            for key, text in new:
                hit = self._cache.get(self._lint_key(text)) if self._cache else None
                if hit is None:
                    missed.append((key, text, self._packs))
                else:
                    self._lint[text] = str(hit["error"])
            for (_, text, _), error in zip(missed, self.judges.each(_first_error, missed), strict=True):
                self._lint[text] = error
                if self._cache:
                    self._cache.put(self._lint_key(text), {"error": error})
        return {key: self._lint[text] for key, text in texts.items() if self._lint[text]}

    def _lint_key(self, text: str) -> str:
        return canonical_hash({"lint": _hash(text), "packs": self._packs_hash})

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        """Judge the proposal's kernels on the problem's operator, then compile what ran for every target."""
        payload = proposal.payload
        chosen = choose(self.library, payload.get("variants", {}), payload.get("kernels", {}))
        refused = self.lint_errors(chosen)
        sources = {key: text for key, text in chosen.items() if key not in refused}
        claimed = problem.payload["dtypes"]
        dtypes = [d for d in self.settings.dtypes if d in claimed]
        verdict, cached = self._verdict(problem.name, dtypes, sources)
        compiled, errors = self._compile(verdict, sources)
        metrics = verdict.to_json() | {
            "passed": verdict.passed,
            "metadata_only": verdict.metadata_only,
            "compiled": compiled,
            "compile_errors": errors,
            "lint": {key: refused[key] for key in verdict.missing if key in refused},
            "cached": cached,
        }
        del metrics["specialisations"]
        reason = verdict.reason
        if metrics["lint"]:
            key, error = next(iter(metrics["lint"].items()))
            reason = f"lint rejects the kernel of {key}: {error}"
        elif not verdict.passed and not reason:
            reason = (
                "OpInfo has no sample for these dtypes" if not verdict.total else "a second call gave a stale result"
            )
        metrics["reason"] = reason
        cost = Cost(wall_s=verdict.seconds, evaluations=1)
        return Evaluation("passed" if verdict.passed else "failed", None, metrics, reason, cost)

    def _verdict(self, name: str, dtypes: Sequence[str], sources: Mapping[str, str]) -> tuple[Verdict, bool]:
        key = canonical_hash(self._base | {"verdict": name, "dtypes": list(dtypes)})
        hit = self._cache.get(key) if self._cache else None
        if hit is not None and self._still_true(hit["depends"], sources):
            verdict = Verdict.from_json(hit["verdict"])
            # A verdict cut short by a limit says nothing about another limit.
            if verdict.status == "ok" or hit["limits"] == self._limits:
                return verdict, True
        verdict = self.judges.judge(name, dtypes, sources, self.settings.limit)
        if self._cache:
            # Also what was served without a kernel: one that is added later would be taken instead.
            routed = {key for kind in _ROUTED for key in verdict.stats.get(kind, {})} | {
                *verdict.used,
                *verdict.missing,
            }
            depends = {overload: _hash(sources[overload]) if overload in sources else "" for overload in routed}
            if verdict.status != "ok":  # what it used is not known
                depends = {overload: _hash(text) for overload, text in sources.items()}
            self._cache.put(key, {"depends": depends, "limits": self._limits, "verdict": verdict.to_json()})
        return verdict, False

    def _still_true(self, depends: Mapping[str, str], sources: Mapping[str, str]) -> bool:
        return all(_hash(sources[key]) == digest if key in sources else not digest for key, digest in depends.items())

    def _compile(self, verdict: Verdict, sources: Mapping[str, str]) -> tuple[dict[str, bool], dict[str, str]]:
        """Return target -> whether all of it compiled, and target -> first error, over the dtypes that passed."""
        launched, refused = verdict.launched(), verdict.refusals()
        if not self.compiler.targets or not (launched or refused):
            return {}, {}
        results = self.compiler.compile(sources, launched)
        compiled = {target.name: not refused for target in self.compiler.targets}
        errors = {t: next(iter(refused.values())) for t, ok in compiled.items() if not ok}
        for overload, found in results.items():
            for result in found.values():
                if not result.ok:
                    compiled[result.target] = False
                    errors.setdefault(result.target, f"{overload}: {result.error}")
        return compiled, errors


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON with sets in order: their own order changes from process to process."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _hash(value: Any) -> str:
    return hashlib.sha256((value if isinstance(value, str) else repr(value)).encode()).hexdigest()
