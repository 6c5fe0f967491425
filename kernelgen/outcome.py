"""What a run reports of one operator, and the scores over many; renders nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernelgen.selection import REFERENCE_DTYPES


@dataclass(frozen=True)
class OperatorOutcome:
    """One operator of a run. ``scores``: dtype -> (total, passed); ``compiled``: target -> whether all of it compiled.

    ``source`` says how it is served: ``synthesis`` (kernels of its own), ``llm:<model>`` (a model wrote at least one of
    them), ``composition`` (PyTorch's composite or decomposition over our kernels as well), ``pytorch`` (metadata only)
    or ``none``. ``errors``: error inputs for which
    the same type of exception was raised, of how many. ``variants``: overload -> the variant used, where not the first.
    ``free_calls`` counts views, allocations and metadata that PyTorch served. ``sandbox`` is the tier the verdict came
    from, also when it was read from the cache.
    """

    name: str
    family: str
    passed: bool
    scores: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    source: str = "none"
    metadata_only: bool = False
    compiled: Mapping[str, bool] = field(default_factory=dict)
    reason: str = ""
    catch: str = ""
    overloads: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    trials: int = 0
    seconds: float = 0.0
    launches: int = 0
    cached: bool = False
    compile_errors: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[int, int] = (0, 0)
    variants: Mapping[str, str] = field(default_factory=dict)
    sandbox: str = ""
    free_calls: int = 0

    def tests(self, dtypes: Sequence[str] | None = None) -> tuple[int, int]:
        """Return (total, passed) samples over ``dtypes`` (None: all that ran)."""
        rows = [score for dtype, score in self.scores.items() if dtypes is None or dtype in dtypes]
        return sum(total for total, _ in rows), sum(passed for _, passed in rows)

    def passes(self, dtypes: Sequence[str]) -> bool:
        """Say whether every sample of the given dtypes passed, nothing was caught, and there was at least one."""
        total, passed = self.tests(dtypes)
        return total > 0 and total == passed and not self.catch

    def to_json(self) -> dict[str, Any]:
        """Return the operator's entry of the report."""
        total, passed = self.tests()
        reference_total, reference_passed = self.tests(REFERENCE_DTYPES)
        return {
            "name": self.name,
            "family": self.family,
            "passed": self.passed,
            "tests_total": total,
            "tests_passed": passed,
            "reference": {
                "passed": self.passes(REFERENCE_DTYPES),
                "tests_total": reference_total,
                "tests_passed": reference_passed,
            },
            "dtypes": {dtype: list(score) for dtype, score in self.scores.items()},
            "source": self.source,
            "metadata_only": self.metadata_only,
            "compiled": dict(self.compiled),
            "compile_errors": dict(self.compile_errors),
            "overloads": list(self.overloads),
            "variants": dict(self.variants),
            "sandbox": self.sandbox,
            "free_calls": self.free_calls,
            "missing": list(self.missing),
            "error_inputs_total": self.errors[1],
            "error_inputs_passed": self.errors[0],
            "reason": self.reason,
            "catch": self.catch,
            "trials": self.trials,
            "launches": self.launches,
            "seconds": self.seconds,
            "cached": self.cached,
        }


def outcome_of(
    name: str,
    family: str,
    metrics: Mapping[str, Any],
    trials: int,
    variants: Mapping[str, str] | None = None,
    author: str = "",
) -> OperatorOutcome:
    """Build an outcome from the metrics of an operator's best trial (see ``kernelgen.evaluator``); ``author`` is the
    model that wrote a kernel that ran, if one did (``llm:<model>``)."""
    stats = metrics.get("stats", {})
    errors = metrics.get("errors", (0, 0))
    scores = {dtype: (score["total"], score["passed"]) for dtype, score in metrics.get("scores", {}).items()}
    return OperatorOutcome(
        name,
        family,
        bool(metrics.get("passed")),
        scores,
        author or _source(stats, bool(metrics.get("metadata_only"))),
        bool(metrics.get("metadata_only")) and bool(metrics.get("passed")),
        dict(metrics.get("compiled", {})),
        str(metrics.get("reason", "")),
        str(metrics.get("catch", "")),
        tuple(metrics.get("used", ())),
        tuple(metrics.get("missing", ())),
        trials,
        float(metrics.get("seconds", 0.0)),
        int(stats.get("launches", 0)),
        bool(metrics.get("cached")),
        dict(metrics.get("compile_errors", {})),
        (int(errors[0]), int(errors[1])),
        dict(variants or {}),
        str(metrics.get("tier", "")),
        sum(sum(stats.get(kind, {}).values()) for kind in ("free", "inside_wrapper")),
    )


def _source(stats: Mapping[str, Any], metadata_only: bool) -> str:
    if stats.get("composite") or stats.get("decomposed"):
        return "composition" if stats.get("kernel") else "none"
    if stats.get("kernel"):
        return "synthesis"
    return "pytorch" if metadata_only and stats else "none"


@dataclass(frozen=True)
class Score:
    """Names and tests of one set. ``set_names`` is the size of the whole set, ``names_total`` what was selected;
    ``compiled`` maps a target to the names among those that pass whose kernels all compile, or do not."""

    set_names: int
    names_total: int
    names_passed: int
    tests_total: int
    tests_passed: int
    metadata_only: int
    compiled: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain JSON."""
        return dict(vars(self))


def reference_score(outcomes: Iterable[OperatorOutcome], reference: Sequence[str]) -> Score:
    """Score the reference names among ``outcomes`` on the five reference dtypes."""
    return _score([o for o in outcomes if o.name in set(reference)], REFERENCE_DTYPES, len(reference))


def full_score(outcomes: Iterable[OperatorOutcome], everything: int) -> Score:
    """Score all ``outcomes`` on every dtype that ran; ``everything`` is the number of names in the catalog."""
    return _score(list(outcomes), None, everything)


def _score(outcomes: Sequence[OperatorOutcome], dtypes: Sequence[str] | None, size: int) -> Score:
    tests = [o.tests(dtypes) for o in outcomes]
    passed = [o for o in outcomes if (o.passed if dtypes is None else o.passes(dtypes))]
    return Score(
        size,
        len(outcomes),
        len(passed),
        sum(total for total, _ in tests),
        sum(done for _, done in tests),
        sum(o.metadata_only for o in passed),
        compile_counts(passed),
    )


def compile_counts(outcomes: Iterable[OperatorOutcome]) -> dict[str, dict[str, int]]:
    """Return target -> {"compiled", "failed"} over the operators of which something was compiled: what their kernels
    launched in samples of the dtypes that pass."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for target, ok in outcome.compiled.items():
            counts.setdefault(target, Counter(compiled=0, failed=0))["compiled" if ok else "failed"] += 1
    return {target: dict(count) for target, count in counts.items()}


def regressions(outcomes: Iterable[OperatorOutcome], baseline: Mapping[str, Any]) -> list[str]:
    """Return the names that passed in an earlier report (its JSON) and do not now, among those this run judged.

    A name counts on the dtypes both runs judged: a run on fewer dtypes does not lose what it did not look at.
    """
    before = {entry["name"]: entry for entry in baseline["operators"]}
    lost = []
    for outcome in outcomes:
        entry = before.get(outcome.name)
        if entry is None:
            continue
        for dtype, (total, passed) in outcome.scores.items():
            old_total, old_passed = entry.get("dtypes", {}).get(dtype, (0, -1))
            if old_total and old_total == old_passed and passed < total:
                lost.append(outcome.name)
                break
    return lost
