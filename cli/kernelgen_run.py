"""Carry out ``sysmith kernelgen --ops``: progress to stderr, result to stdout, reports to files; it judges nothing."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli.halting import halt_on_signals
from cli.kernelgen_files import check_writable_file, check_writable_folder, read_report, write_all
from cli.progress import Progress
from sysmith_errors import Interrupted


@dataclass(frozen=True)
class Request:
    """The command line of a run, parsed; sizes in bytes, times in seconds."""

    ops: str
    dtypes: str
    targets: str
    samples: int | None
    jobs: int
    timeout_s: float
    memory_bytes: int
    max_wall_s: float | None
    out: Path | None
    layout: str
    resume: str | None
    baseline: Path | None
    lint_packs: tuple[str, ...]
    use_cache: bool
    state: Path
    junit: Path | None
    report: Path | None
    as_json: bool
    allow_unsandboxed: bool
    llm: Any = None
    without: tuple[str, ...] = ()
    use_rules: bool = True


def execute(request: Request) -> int:
    """Run and return the exit code. Raises SysmithError for what the user must mend, Interrupted after ^C."""
    from kernelgen.compile.targets import parse_targets
    from kernelgen.selection import parse_dtypes

    # What is wrong with the command line is said before anything expensive begins.
    targets = [target.name for target in parse_targets(request.targets)]
    dtypes = parse_dtypes(request.dtypes)
    baseline = read_report(request.baseline) if request.baseline else None
    _check_destinations(request)
    _check_parts(request, targets)

    from kernelgen.catalog.store import index, reference_names
    from kernelgen.run import RunOptions, open_run
    from kernelgen.selection import select

    facts = {fact.name: fact for fact in index()}
    names = select(request.ops, {name: fact.family for name, fact in facts.items()}, reference_names())
    options = RunOptions(
        names=tuple(names),
        dtypes=dtypes,
        targets=request.targets,
        samples=request.samples,
        jobs=request.jobs,
        timeout_s=request.timeout_s,
        memory_bytes=request.memory_bytes,
        max_wall_s=request.max_wall_s,
        use_cache=request.use_cache,
        allow_unsandboxed=request.allow_unsandboxed,
        lint_packs=request.lint_packs,
        llm=request.llm,
        without=request.without,
        use_rules=request.use_rules,
    )
    with open_run(options, request.state, request.resume) as folder:
        return _run(request, options, facts, folder, baseline)


def _check_destinations(request: Request) -> None:
    from harness.cache import Cache

    if request.out:
        from kernelgen.export import check_destination

        check_destination(request.out, request.layout)
        check_writable_folder("--out", request.out.absolute().parent, "Name a folder that can be written.")
    for option, path in (("--junit", request.junit), ("--report", request.report)):
        if path:
            check_writable_file(option, path)
    # The index of operators is kept there even with --no-cache.
    check_writable_folder("cache", Cache().root, "Set SYSMITH_CACHE_DIR to a folder that can be written.")


def _check_parts(request: Request, targets: list[str]) -> None:
    from harness.sandbox import require_tier
    from kernelgen.lint import load_packs

    tier = require_tier(allow_unsandboxed=request.allow_unsandboxed)
    load_packs(targets, request.lint_packs)
    typer.echo(f"sandbox: {tier}", err=True)


def _run(
    request: Request,
    options: Any,
    facts: dict[str, Any],
    folder: Any,
    baseline: dict[str, Any] | None,
) -> int:
    from cli.kernelgen_report import document, html_page, junit_xml, table
    from kernelgen.catalog.store import reference_names
    from kernelgen.outcome import regressions
    from kernelgen.run import KernelRun

    began, progress = time.monotonic(), Progress()
    outcomes = []
    interrupted = False
    with halt_on_signals() as halt:
        run = KernelRun(options, facts, folder, say=_say, halt=halt)
        try:
            progress.start(len(options.names), f"run {folder.info.id}, {options.jobs} jobs")
            for outcome in run.outcomes(progress.began):
                outcomes.append(outcome)
                progress.done(outcome)
        except Interrupted:
            interrupted = True
        finally:
            progress.stop()
            run.close()
    report = document(
        outcomes,
        facts=facts,
        reference=reference_names(),
        run_id=folder.info.id,
        options=options.recorded(),
        seconds=time.monotonic() - began,
        interrupted=interrupted,
        lost=regressions(outcomes, baseline) if baseline else None,
    )
    if options.llm is not None:
        report["llm"] = _costs(folder)
    files = {folder.path / "report.json": json.dumps(report, indent=1) + "\n"}
    if request.junit:
        files[request.junit] = junit_xml(report)
    if request.report:
        files[request.report] = html_page(report)
    write_all(files)
    if request.out:
        from kernelgen.export import export

        written = export(request.out, request.layout, outcomes, run.exportable(), report)
        typer.echo(f"wrote {written} kernel files to {request.out}", err=True)
    # Last, because the reader of stdout may have gone (``| head``).
    typer.echo(json.dumps(report, indent=2) if request.as_json else table(report))
    if interrupted:
        raise Interrupted(
            f"{len(outcomes)} of {len(options.names)} operators are done and kept in run {folder.info.id}",
            mend="Carry on with the same options and --resume latest.",
        )
    return _exit_code(report, run.out_of_budget())


def _costs(folder: Any) -> dict[str, Any]:
    """What models cost this run, earlier invocations included; said on stderr too."""
    from agents.costs import cost_report

    costs = cost_report(folder.log.all())
    total = costs.total
    typer.echo(f"models: {total.calls} calls, {total.tokens} tokens, ${total.dollars:.4f}", err=True)
    return costs.to_json()


def _say(text: str) -> None:
    typer.echo(f"sysmith: {text}", err=True)


def _exit_code(report: dict[str, Any], out_of_budget: str) -> int:
    """Return 0, 1 or 3. Every selected operator must have been judged and have passed for a 0 without a baseline."""
    if out_of_budget:
        typer.echo(f"sysmith: {out_of_budget}; --resume latest carries on", err=True)
        return 3
    if report["lost"] is not None:
        return 1 if report["lost"] else 0
    return 0 if not report["not_judged"] and all(operator["passed"] for operator in report["operators"]) else 1
