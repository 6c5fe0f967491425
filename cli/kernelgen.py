"""``sysmith kernelgen``: options in, a run, a list or a check out; kernelgen makes every decision."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from sysmith_errors import InputError

app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of the table.")]
Unsandboxed = Annotated[
    bool, typer.Option("--allow-unsandboxed", help="Run candidates without a sandbox where none works. Risky.")
]
_MEMORY = 4096
_TARGETS = "interpret,cuda:80,cuda:90,cuda:100,hip:gfx942"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@app.callback()
def run(
    context: typer.Context,
    ops: Annotated[
        str,
        typer.Option(help="Operators: names, patterns (linalg.*), all, reference, family:NAME, @FILE; commas between."),
    ] = "",
    dtypes: Annotated[
        str, typer.Option(help="Dtypes to judge: all, reference (bf16 fp16 fp32 int32 int64) or a list.")
    ] = "all",
    target: Annotated[str, typer.Option(help="Targets, e.g. interpret,cuda:90,hip:gfx942 or a plug-in's.")] = _TARGETS,
    samples: Annotated[int, typer.Option(min=0, help="Judge at most N samples of each dtype (0: all).")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Operators side by side (0: one a core).")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one operator's candidate.")] = 900,
    memory: Annotated[int, typer.Option(min=256, help="MiB for one operator's candidate.")] = _MEMORY,
    max_minutes: Annotated[
        float, typer.Option(min=0, help="End the run after so many minutes (0: no limit); exit 3.")
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the passing kernels as a backend to this folder.")] = None,
    layout: Annotated[
        str, typer.Option(help="Layout of --out: package (importable backend) or directory.")
    ] = "package",
    resume: Annotated[str | None, typer.Option(help="Carry on a run: its id, or latest.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="An earlier --json report: exit 1 only if something that passed is lost.")
    ] = None,
    lint_pack: Annotated[list[Path] | None, typer.Option(help="More lint rules (TOML); may be given often.")] = None,
    cache: Annotated[bool, typer.Option(help="Use and fill the evaluation cache.")] = True,
    state: Annotated[Path, typer.Option(help="Folder for runs.")] = Path(".sysmith"),
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit XML report here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a self-contained HTML report here.")] = None,
    as_json: Json = False,
    allow_unsandboxed: Unsandboxed = False,
) -> None:
    """Generate a PyTorch ATen backend in Triton: synthesise, lint, compile, test against OpInfo.

    Exit code 0: every operator passed (with --baseline: nothing was lost). 1: some failed. 2: bad usage. 3: the budget
    ended first. 4: a required part is missing. 130: interrupted; the same options and --resume latest carry on.
    """
    if context.invoked_subcommand is not None:
        return
    if not ops:
        raise InputError("--ops is missing", mend="Name operators: --ops add,mm, --ops family:reduction or --ops all.")
    from cli import kernelgen_run

    request = kernelgen_run.Request(
        ops=ops,
        dtypes=dtypes,
        targets=target,
        samples=samples or None,
        jobs=jobs or _cores(),
        timeout_s=timeout,
        memory_bytes=memory << 20,
        max_wall_s=max_minutes * 60 or None,
        out=out,
        layout=layout,
        resume=resume,
        baseline=baseline,
        lint_packs=tuple(str(path) for path in lint_pack or ()),
        use_cache=cache,
        state=state,
        junit=junit,
        report=report,
        as_json=as_json,
        allow_unsandboxed=allow_unsandboxed,
    )
    raise typer.Exit(kernelgen_run.execute(request))


@app.command("list")
def list_operators(
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    missing: Annotated[bool, typer.Option("--missing", help="Only operators with an overload nothing serves.")] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Overloads with schema, kind and decomposition too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the catalog: operators, families, overloads and how each is served."""
    from cli.kernelgen_list import listing

    typer.echo(listing(family, only_missing=missing, details=details, as_json=as_json))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A kernel file with <op>__<overload>_kernel_impl functions.")],
    op: Annotated[str, typer.Option("--op", help="The OpInfo operator to judge it on.")],
    dtypes: Annotated[str, typer.Option(help="all, reference or a list.")] = "all",
    target: Annotated[str, typer.Option(help="Targets to lint and compile for.")] = _TARGETS,
    samples: Annotated[int, typer.Option(min=0, help="Judge at most N samples of each dtype (0: all).")] = 0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for the candidate.")] = 300,
    memory: Annotated[int, typer.Option(min=256, help="MiB for the candidate.")] = _MEMORY,
    lint_pack: Annotated[list[Path] | None, typer.Option(help="More lint rules (TOML); may be given often.")] = None,
    as_json: Json = False,
    allow_unsandboxed: Unsandboxed = False,
) -> None:
    """Judge one kernel file of your own: lint, compile, tests and anti-cheat checks. Exit 0 if it passes, else 1."""
    from cli.kernelgen_check import render
    from kernelgen.check import CheckOptions, check_file

    options = CheckOptions(
        op=op,
        dtypes=dtypes,
        targets=target,
        samples=samples or None,
        timeout_s=timeout,
        memory_bytes=memory << 20,
        lint_packs=tuple(str(path) for path in lint_pack or ()),
        allow_unsandboxed=allow_unsandboxed,
    )
    result = check_file(file, options)
    typer.echo(json.dumps(result.to_json(), indent=2) if as_json else render(result))
    raise typer.Exit(0 if result.passed else 1)
