"""Carry out ``sysmith kernelgen --ops``: progress to stderr, the result to stdout, reports to files; it judges nothing."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli.progress import Progress
from sysmith_errors import InputError, Interrupted


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


def execute(request: Request) -> int:
    """Run and return the exit code. Raises SysmithError for what the user must mend, Interrupted after ^C."""
    from cli.kernelgen import read_report
    from kernelgen.catalog.store import catalog, operators, reference_names
    from kernelgen.compile.targets import parse_targets
    from kernelgen.export import LAYOUTS
    from kernelgen.run import RunOptions, open_run
    from kernelgen.selection import parse_dtypes, select

    if request.layout not in LAYOUTS:
        raise InputError(f"--layout: {request.layout!r} is unknown", mend=f"Use {' or '.join(LAYOUTS)}.")
    baseline = read_report(request.baseline) if request.baseline else None
    parse_targets(request.targets)
    dtypes = parse_dtypes(request.dtypes)
    progress = Progress()
    with progress.recording("recording the operators of this PyTorch, once") as note:
        facts = {fact.name: fact for fact in operators(catalog(note))}
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
    )
    with open_run(options, request.state, request.resume) as folder:
        return _run(request, options, facts, folder, baseline, progress)


def _run(
    request: Request, options: Any, facts: dict[str, Any], folder: Any, baseline: dict[str, Any] | None, progress: Progress
) -> int:
    from cli.kernelgen_report import document, html_page, junit_xml, table
    from kernelgen.catalog.store import reference_names
    from kernelgen.outcome import regressions
    from kernelgen.run import KernelRun

    began = time.monotonic()
    run = KernelRun(options, facts, folder)
    outcomes = []
    interrupted: Interrupted | None = None
    restore = _halt_on_signals(run.halt)
    try:
        progress.start(len(options.names), f"run {folder.info.id}, {options.jobs} jobs")
        for outcome in run.outcomes(progress.began):
            outcomes.append(outcome)
            progress.done(outcome)
    except Interrupted as error:
        interrupted = error
    finally:
        progress.stop()
        run.close()
        restore()
    report = document(
        outcomes,
        facts=facts,
        reference=reference_names(),
        run_id=folder.info.id,
        options=options.recorded(),
        seconds=time.monotonic() - began,
        interrupted=interrupted is not None,
        lost=regressions(outcomes, baseline) if baseline else None,
    )
    (folder.path / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    typer.echo(json.dumps(report, indent=2) if request.as_json else table(report))
    if request.junit:
        request.junit.write_text(junit_xml(report))
    if request.report:
        request.report.write_text(html_page(report))
    if request.out:
        from kernelgen.export import export

        written = export(request.out, request.layout, outcomes, run.library, report)
        typer.echo(f"wrote {written} kernel files to {request.out}", err=True)
    if interrupted:
        raise Interrupted(
            f"{len(outcomes)} of {len(options.names)} operators are done and kept in run {folder.info.id}",
            mend="Carry on with the same options and --resume latest.",
        )
    if run.out_of_budget():
        typer.echo(f"sysmith: {run.out_of_budget()}; --resume latest carries on", err=True)
        return 3
    if baseline is not None:
        return 1 if report["lost"] else 0
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _halt_on_signals(halt: threading.Event) -> Any:
    """Make ^C and SIGTERM end the run in good order; a second ^C ends it at once. Returns what undoes this."""

    def stop(number: int, frame: Any) -> None:
        if halt.is_set():
            raise KeyboardInterrupt
        halt.set()
        typer.echo("sysmith: stopping; what is done is kept (^C again to stop at once)", err=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore
