"""Judges a model's kernels in stages, cheapest first: lint, a few samples, all samples, compile; proposals without
kernels of a model go to the plain evaluator as they are."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.protocols import Cost, Evaluation, Problem, Proposal
from harness.cache import canonical_hash
from kernelgen.compile.result import CompileResult
from kernelgen.evaluate.verdict import Verdict
from kernelgen.evaluator import KernelEvaluator
from kernelgen.lint import lint_source
from kernelgen.llm.measure import Measure, compared, measure
from kernelgen.proposer import choose

SCREEN = 2


class CandidateEvaluator(KernelEvaluator):
    """Adds to the metrics of a model's candidate:

    ``stage``     where it ended: ``lint``, ``screen`` (first samples of a dtype), ``tests``, ``compile``, ``measure``
    ``partial``   True where not all samples were judged
    ``findings``  everything lint says of its files, with reason and mend

    A candidate must compile for every target of the run, because a model can mend what does not. ``improve`` measures
    what passed: the objective is its size against the incumbent's, which is 1 (see ``kernelgen.llm.measure``).
    """

    def __init__(self, *arguments: Any, improve: bool = False) -> None:
        super().__init__(*arguments)
        self.improve = improve
        self._here = threading.local()  # what the thread at hand is judging

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        """Judge the proposal; raises what the judges raise."""
        kernels = dict(proposal.payload.get("kernels", {}))
        self._here.measured, self._here.candidate = None, bool(kernels)
        if not kernels:
            return self._measured(super().evaluate(problem, proposal), proposal)
        early = self._lint_stage(kernels) or self._screen_stage(problem, proposal)
        if early is not None:
            return early
        evaluation = super().evaluate(problem, proposal)
        broken = [target for target, ok in evaluation.metrics["compiled"].items() if not ok]
        metrics = dict(evaluation.metrics) | {"stage": "tests"}
        if evaluation.status != "passed":
            return replace(evaluation, metrics=metrics)
        if broken:
            reason = f"it passes the tests and does not compile for {', '.join(broken)}"
            metrics |= {"stage": "compile", "reason": reason}
            return replace(evaluation, status="failed", metrics=metrics, feedback=reason)
        unused = sorted(set(kernels) - set(metrics["used"]))
        if unused and len(unused) == len(kernels):
            reason = f"the operator never called {', '.join(unused)}"
            return replace(evaluation, status="failed", metrics=metrics | {"reason": reason}, feedback=reason)
        return self._measured(replace(evaluation, metrics=metrics | {"stage": "measure"}), proposal)

    def _lint_stage(self, kernels: Mapping[str, str]) -> Evaluation | None:
        findings = []
        for overload, text in kernels.items():
            for found in lint_source(text, packs=self._packs, filename=overload).errors:
                findings.append(
                    {"overload": overload, "rule": found.rule, "line": found.line, "message": found.message}
                    | {"why": found.why, "mend": found.mend, "snippet": found.snippet}
                )
        if not findings:
            return None
        first = findings[0]
        where = f"{first['overload']}: line {first['line']}"
        reason = f"lint rejects the kernel of {where}: [{first['rule']}] {first['message']}"
        metrics = {"passed": False, "stage": "lint", "partial": True, "findings": findings, "reason": reason}
        return Evaluation("failed", None, metrics, reason, Cost(evaluations=1))

    def _screen_stage(self, problem: Problem, proposal: Proposal) -> Evaluation | None:
        """The first samples alone: most wrong candidates are wrong there, and some operators have thousands."""
        limit = self.settings.limit
        if limit is not None and limit <= SCREEN:
            return None
        chosen = choose(self.library, proposal.payload.get("variants", {}), proposal.payload["kernels"])
        refused = self.lint_errors(chosen)
        sources = {key: text for key, text in chosen.items() if key not in refused}
        dtypes = [dtype for dtype in self.settings.dtypes if dtype in problem.payload["dtypes"]]
        verdict, cached = self._judged(problem.name, dtypes, sources, SCREEN)
        if verdict.passed_dtypes:  # what is right for some dtypes counts for those, and may be the best there will be
            return None
        metrics = verdict.to_json() | {
            "passed": False,
            "stage": "screen",
            "partial": True,
            "compiled": {},
            "cached": cached,
        }
        del metrics["specialisations"]
        metrics["reason"] = reason = verdict.reason or "a second call gave a stale result"
        return Evaluation("failed", None, metrics, reason, Cost(wall_s=verdict.seconds, evaluations=1))

    def _verdict(self, name: str, dtypes: Sequence[str], sources: Mapping[str, str]) -> tuple[Verdict, bool]:
        if self._here.candidate:
            return self._judged(name, dtypes, sources, self.settings.limit)
        return super()._verdict(name, dtypes, sources)

    def _judged(
        self, name: str, dtypes: Sequence[str], sources: Mapping[str, str], limit: int | None
    ) -> tuple[Verdict, bool]:
        """A candidate's verdict, with an entry of its own in the cache: the operator's is for what synthesis gives."""
        texts = {overload: canonical_hash(text) for overload, text in sources.items()}
        what = {"candidate": name, "dtypes": list(dtypes), "limit": limit, "sources": texts}
        key = canonical_hash(self._base | what)
        hit = self._cache.get(key) if self._cache else None
        if hit is not None:
            return Verdict.from_json(hit["verdict"]), True
        verdict = self.judges.judge(name, dtypes, sources, limit)
        if self._cache and verdict.status == "ok":  # other endings may be the limits' fault
            self._cache.put(key, {"verdict": verdict.to_json()})
        return verdict, False

    def _measured(self, evaluation: Evaluation, proposal: Proposal) -> Evaluation:
        """With ``improve``, add the objective to what passed."""
        if not self.improve or evaluation.status != "passed":
            return evaluation
        own = self._here.measured or measure(evaluation.metrics, {})
        incumbent = proposal.payload.get("incumbent")
        objective, words = compared(own, Measure.from_json(incumbent)) if incumbent else (1.0, "")
        metrics = dict(evaluation.metrics) | {"measure": own.to_json(), "comparison": words}
        return replace(evaluation, objective=objective, metrics=metrics, feedback=words)

    def _compile(self, verdict: Verdict, sources: Mapping[str, str]) -> tuple[dict[str, bool], dict[str, str]]:
        compiled, errors = super()._compile(verdict, sources)
        if self.improve and verdict.passed:
            results: list[CompileResult] = []
            launched = verdict.launched()
            if self.compiler.targets and launched:
                # Made a moment ago, so this only reads them back.
                found = self.compiler.compile(sources, launched)
                results = [result for one in found.values() for result in one.values()]
            self._here.measured = measure(verdict.to_json(), results, launched)
        return compiled, errors
