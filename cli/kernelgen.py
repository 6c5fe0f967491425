"""``sysmith kernelgen``: options in, a run, a list or a check out; kernelgen makes every decision."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from cli import llm_options
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
    models: llm_options.Models = "",
    sessions: Annotated[
        int, typer.Option(min=0, help="Fresh conversations about an operator (0: 2, or one for each model).")
    ] = 0,
    attempts: Annotated[int, typer.Option(min=1, help="Answers in a conversation, each mending the last.")] = 4,
    best_of: Annotated[int, typer.Option(min=1, max=32, help="Ask for N candidates at once and judge each.")] = 1,
    improve: Annotated[
        bool, typer.Option("--improve", help="Ask for better kernels of operators that pass, too.")
    ] = False,
    without: Annotated[
        str, typer.Option(help="Leave out shipped kernels of these overloads (patterns), to see what a model makes.")
    ] = "",
    rules: Annotated[bool, typer.Option(help="Begin with what earlier runs taught, and learn from this one.")] = True,
    record: llm_options.Record = None,
    max_dollars: llm_options.MaxDollars = 0,
    max_tokens_total: llm_options.MaxTokensTotal = 0,
    max_calls: llm_options.MaxCalls = 0,
    max_dollars_each: llm_options.MaxDollarsEach = 0,
    max_tokens_each: llm_options.MaxTokensEach = 0,
    max_calls_each: llm_options.MaxCallsEach = 0,
    max_answer_tokens: Annotated[int, typer.Option(min=1, help="Tokens of one answer at most.")] = 16384,
    price_in: llm_options.PriceIn = None,
    price_out: llm_options.PriceOut = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Sampling temperature (default: the provider's).")
    ] = None,
    llm_timeout: llm_options.Timeout = 300,
) -> None:
    """Generate a PyTorch ATen backend in Triton: synthesise, lint, compile, test against OpInfo.

    With --models, a language model is asked for what synthesis does not solve; without, nothing is ever called.

    Exit code 0: every operator passed (with --baseline: nothing was lost). 1: some failed. 2: bad usage. 3: the budget
    ended first. 4: a required part is missing. 130: interrupted; the same options and --resume latest carry on.
    """
    if context.invoked_subcommand is not None:
        return
    if not ops:
        raise InputError("--ops is missing", mend="Name operators: --ops add,mm, --ops family:reduction or --ops all.")
    from agents.llm.settings import settings_from_options
    from cli import kernelgen_run
    from kernelgen.llm.options import resolve

    settings = settings_from_options(
        models,
        record=record,
        price_in=price_in,
        price_out=price_out,
        max_tokens=max_answer_tokens,
        temperature=temperature,
        timeout_s=llm_timeout,
        max_tokens_total=max_tokens_total,
        max_dollars=max_dollars,
        max_calls=max_calls,
        max_tokens_each=max_tokens_each,
        max_dollars_each=max_dollars_each,
        max_calls_each=max_calls_each,
    )
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
        llm=resolve(settings, sessions=sessions, attempts=attempts, best_of=best_of, improve=improve),
        use_rules=rules,
        without=tuple(item.strip() for item in without.split(",") if item.strip()),
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
