"""Judge one kernel file of the user's own on one operator: lint, samples, anti-cheat, compile; writes nothing."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cache import Cache
from kernelgen.catalog.store import index
from kernelgen.compile.targets import parse_targets
from kernelgen.compiling import Compiler
from kernelgen.evaluate.verdict import Verdict
from kernelgen.judging import JudgePool
from kernelgen.lint import LintReport, lint_source, load_packs
from kernelgen.proposer import choose
from kernelgen.run import library
from kernelgen.selection import parse_dtypes, select
from sysmith_errors import InputError
from sysmith_files import why_unreadable

_SUFFIX = "_kernel_impl"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class CheckOptions:
    """How a file is judged; sizes in bytes, times in seconds. ``samples`` bounds the samples of one dtype."""

    op: str
    dtypes: str = "all"
    targets: str = "interpret"
    samples: int | None = None
    timeout_s: float = 300.0
    memory_bytes: int = 4 << 30
    lint_packs: tuple[str, ...] = ()
    allow_unsandboxed: bool = False
    ignore_lint: bool = False


@dataclass(frozen=True)
class CheckResult:
    """What was found. ``overloads`` are those the file serves, ``called`` those of them that the operator dispatched,
    ``library`` the other overloads, served by synthesised kernels. ``verdict`` is None when lint stopped the check."""

    file: str
    op: str
    overloads: tuple[str, ...]
    lint: LintReport
    verdict: Verdict | None = None
    called: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    compiled: Mapping[str, bool] = field(default_factory=dict)
    compile_errors: Mapping[str, str] = field(default_factory=dict)
    resources: tuple[dict[str, Any], ...] = ()

    @property
    def passed(self) -> bool:
        """Lint found no error, all samples pass, a kernel of the file was called, and all that ran compiles."""
        ran = self.verdict is not None and self.verdict.passed
        return self.lint.ok and ran and bool(self.called) and all(self.compiled.values())

    @property
    def reason(self) -> str:
        """Why the file does not pass; "" when it does."""
        if not self.lint.ok:
            first = self.lint.errors[0]
            return f"lint: line {first.line}: [{first.rule}] {first.message}"
        if self.verdict is None or not self.verdict.passed:
            return (self.verdict.reason if self.verdict else "") or "no sample could be judged"
        if not self.called:
            others = ", ".join(self.library) or "nothing"
            return f"{self.op} never called {', '.join(self.overloads)}; it dispatches {others}"
        return next((f"{target}: {error}" for target, error in self.compile_errors.items()), "")

    def to_json(self) -> dict[str, Any]:
        """Return the whole result as one JSON document."""
        verdict = self.verdict
        return {
            "schema_version": SCHEMA_VERSION,
            "file": self.file,
            "operator": self.op,
            "passed": self.passed,
            "reason": self.reason,
            "catch": verdict.catch if verdict else "",
            "overloads": list(self.overloads),
            "called": list(self.called),
            "library": list(self.library),
            "lint": self.lint.to_json(),
            "tests_total": verdict.total if verdict else 0,
            "tests_passed": verdict.passed_tests if verdict else 0,
            "dtypes": {d: [s.total, s.passed] for d, s in verdict.scores.items()} if verdict else {},
            "replays": list(verdict.replays) if verdict else [0, 0],
            "launches": verdict.stats.get("launches", 0) if verdict else 0,
            "sandbox": verdict.tier if verdict else "",
            "compiled": dict(self.compiled),
            "compile_errors": dict(self.compile_errors),
            "kernels": list(self.resources),
        }


def overloads_in(text: str) -> tuple[str, ...]:
    """Return the overloads a kernel file serves by its function names: ``add__Tensor_kernel_impl`` -> ``add.Tensor``.

    A file that does not parse serves none: lint says why.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.endswith(_SUFFIX):
            op, separator, overload = node.name.removesuffix(_SUFFIX).rpartition("__")
            if separator:
                found.append(f"{op}.{overload}")
    return tuple(found)


def check_file(path: Path, options: CheckOptions) -> CheckResult:
    """Judge ``path`` on ``options.op``. Raises InputError for a file that cannot be read or serves nothing, and for bad
    options; MissingPart where a sandbox or compiler is not there."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {why_unreadable(error)}", mend="Name a Python kernel file.") from None
    facts = {fact.name: fact for fact in index()}
    select(options.op, {name: fact.family for name, fact in facts.items()}, ())
    if options.op not in facts:
        raise InputError(
            f"--op: {options.op!r} is not one operator", mend="Name one, as sysmith kernelgen list shows it."
        )
    targets = parse_targets(options.targets)
    wanted = parse_dtypes(options.dtypes)
    dtypes = [d for d in wanted if d in facts[options.op].samples]
    if not dtypes:
        raise InputError(
            f"--dtypes: OpInfo tests {options.op} on none of {', '.join(wanted)}", mend="Use --dtypes all."
        )
    packs = load_packs([target.name for target in targets], options.lint_packs)
    lint = lint_source(text, packs=packs, filename=str(path), targets=[target.name for target in targets])
    served = overloads_in(text)
    if lint.ok and not served:
        raise InputError(
            f"{path} defines no function named <op>__<overload>{_SUFFIX}",
            mend=f"Name the wrapper after the overload it serves, for example add__Tensor{_SUFFIX}.",
        )
    result = CheckResult(str(path), options.op, served, lint)
    if not lint.ok and not options.ignore_lint:
        return result
    return _run(result, text, dtypes, options, targets)


def _run(result: CheckResult, text: str, dtypes: list[str], options: CheckOptions, targets: list[Any]) -> CheckResult:
    sources = choose(library(), {}) | dict.fromkeys(result.overloads, text)
    judges = JudgePool(
        1,
        timeout_s=options.timeout_s,
        memory_bytes=options.memory_bytes,
        allow_unsandboxed=options.allow_unsandboxed,
    )
    try:
        verdict = judges.judge(options.op, dtypes, sources, options.samples)
    finally:
        judges.close()
    dispatched = set(verdict.stats.get("kernel", {}))
    called = tuple(sorted(dispatched & set(result.overloads)))
    others = tuple(sorted((dispatched | set(verdict.missing)) - set(result.overloads)))
    compiled: dict[str, bool] = {}
    errors: dict[str, str] = {}
    resources: list[dict[str, Any]] = []
    if verdict.passed and called:
        compiler = Compiler(targets, Cache(), 1, allow_unsandboxed=options.allow_unsandboxed)
        try:
            own = {key: found for key, found in verdict.launched().items() if key in result.overloads}
            for found in compiler.compile(sources, own).values():
                for item in found.values():
                    compiled[item.target] = compiled.get(item.target, True) and item.ok
                    resources.append(item.to_json())
                    if not item.ok:
                        errors.setdefault(item.target, item.error)
        finally:
            compiler.close()
        for overload, error in verdict.refusals().items():
            if overload in result.overloads:
                compiled |= dict.fromkeys((t.name for t in targets if t.compiles), False)
                errors.setdefault("all targets", error)
    return CheckResult(
        result.file,
        result.op,
        result.overloads,
        result.lint,
        verdict,
        called,
        others,
        compiled,
        errors,
        tuple(resources),
    )
