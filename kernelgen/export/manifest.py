"""What an export says of itself: each kernel's origin, tests, targets and hash; reads outcomes and writes no file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cache import library_versions
from kernelgen.outcome import OperatorOutcome
from kernelgen.synthesis.entry import KernelSource
from sysmith_errors import InternalFault

SCHEMA_VERSION = 1
KIND = "sysmith-backend"
NAME = "manifest.json"
LLM_ARCHETYPE = "llm"


@dataclass(frozen=True)
class Exported:
    """One kernel to export: its source and the operators it ran in, those that passed and those that failed.

    ``others`` are operators that passed with another variant of the overload, which is not exported.
    """

    source: KernelSource
    passed: tuple[OperatorOutcome, ...]
    failed: tuple[OperatorOutcome, ...]
    others: tuple[OperatorOutcome, ...] = ()

    @property
    def stem(self) -> str:
        """``add__Tensor`` for ``add.Tensor``: the file's and the function's name begin so."""
        op, _, overload = self.source.overload.partition(".")
        return f"{op}__{overload}"


def exportable(
    outcomes: Sequence[OperatorOutcome], library: Mapping[str, Sequence[KernelSource]]
) -> dict[str, Exported]:
    """Return overload -> kernel for every overload that ran in at least one operator that passed, sorted by name.

    Of several variants the one that most operators passed with is taken, the earlier one in a tie. Raises
    InternalFault when an outcome names an overload that the library does not have.
    """
    found = {}
    for key in sorted({overload for outcome in outcomes if outcome.passed for overload in outcome.overloads}):
        if not library.get(key):
            raise InternalFault(f"the run used a kernel of {key}, which its library does not have")
        variants = {source.variant: source for source in library[key]}
        users = [(outcome, _variant(outcome, library[key])) for outcome in outcomes if key in outcome.overloads]
        counts = Counter(variant for outcome, variant in users if outcome.passed)
        chosen = max(variants, key=lambda variant: counts[variant])
        passed = tuple(outcome for outcome, variant in users if outcome.passed and variant == chosen)
        failed = tuple(outcome for outcome, variant in users if not outcome.passed and variant == chosen)
        others = tuple(outcome for outcome, variant in users if outcome.passed and variant != chosen)
        found[key] = Exported(variants[chosen], passed, failed, others)
    return found


def _variant(outcome: OperatorOutcome, sources: Sequence[KernelSource]) -> str:
    """Name the variant an operator ran; an outcome that says nothing of variants ran the first of each overload."""
    variants: Mapping[str, str] = getattr(outcome, "variants", {})
    return variants.get(sources[0].overload, sources[0].variant)


def author(source: KernelSource) -> str:
    """``llm:<model>`` for a kernel that a model wrote (its variant is ``llm:<model>@<hash>``), else ""."""
    return source.variant.rpartition("@")[0] if source.archetype == LLM_ARCHETYPE else ""


def digest(content: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def versions() -> dict[str, str]:
    """Versions of sysmith, torch and triton, read without importing them."""
    known = library_versions()
    return {name: known[name] for name in ("sysmith", "torch", "triton")}


def manifest(
    layout: str,
    kernels: Mapping[str, Exported],
    paths: Mapping[str, str],
    files: Mapping[str, bytes],
    outcomes: Sequence[OperatorOutcome],
    report: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest. ``paths`` maps an overload to its file, ``files`` each file of the export to its bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "layout": layout,
        "versions": versions(),
        "run": report.get("run", ""),
        "overloads": {key: _overload(kernel, paths[key], files) for key, kernel in kernels.items()},
        "operators": {outcome.name: _operator(outcome) for outcome in outcomes},
        "files": {path: digest(content) for path, content in sorted(files.items())},
    }


def _overload(kernel: Exported, path: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    source, users = kernel.source, (*kernel.passed, *kernel.failed)
    tests = [outcome.tests() for outcome in users]
    return {
        "file": path,
        "function": f"{kernel.stem}_kernel_impl",
        "sha256": digest(files[path]),
        "source": {"by": author(source) or "synthesis", "archetype": source.archetype, "variant": source.variant},
        "operators_passed": [outcome.name for outcome in kernel.passed],
        "operators_failed": [outcome.name for outcome in kernel.failed],
        "operators_other_variant": [outcome.name for outcome in kernel.others],
        "tests_total": sum(total for total, _ in tests),
        "tests_passed": sum(passed for _, passed in tests),
        "compiled": _compiled(source.overload, kernel.passed),
    }


def _compiled(overload: str, users: Sequence[OperatorOutcome]) -> dict[str, bool | None]:
    """Return target -> True, False, or None where the outcomes do not tell.

    An operator's outcome is about all its kernels together and names the first that failed. So True needs every
    operator to have compiled, False an error that names this overload; otherwise another kernel was to blame.
    """
    verdicts: dict[str, list[bool | None]] = {}
    for outcome in users:
        for target, ok in outcome.compiled.items():
            named = outcome.compile_errors.get(target, "").startswith(f"{overload}:")
            verdicts.setdefault(target, []).append(True if ok else (False if named else None))
    return {
        target: False if False in found else (None if None in found else True) for target, found in verdicts.items()
    }


def _operator(outcome: OperatorOutcome) -> dict[str, Any]:
    total, passed = outcome.tests()
    return {
        "passed": outcome.passed,
        "tests_total": total,
        "tests_passed": passed,
        "source": outcome.source,
        "metadata_only": outcome.metadata_only,
        "overloads": list(outcome.overloads),
    }
