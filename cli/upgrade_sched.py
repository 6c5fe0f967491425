"""``sysmith upgrade-sched``: options in, checks, findings, backtests out; tuners.upgrade_sched makes every decision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import upgrade_sched_claims, upgrade_sched_plan, upgrade_sched_replay
from sysmith_errors import InputError

app = typer.Typer(
    help="Learn how long upgrades take, and fit them into maintenance windows.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
upgrade_sched_plan.register(app)

_FORMAT = "Format: csv, jsonl, parquet, swf, sacct, apt, dnf or kubernetes. Default: by the file's name."
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
HistoryFile = Annotated[Path, typer.Argument(metavar="HISTORY", help="Past upgrades; .gz, .xz and .bz2 are unpacked.")]
MappingFile = Annotated[Path | None, typer.Option(help="Which column says what (TOML), for tables.")]
Format = Annotated[str, typer.Option("--format", help=_FORMAT)]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out records that are wrong.")]


@app.command()
def check(
    history: Annotated[
        Path | None, typer.Argument(metavar="[HISTORY]", help="Past upgrades; .gz, .xz and .bz2 are unpacked.")
    ] = None,
    mapping: MappingFile = None,
    form: Format = "",
    fleet: Annotated[Path | None, upgrade_sched_plan.FLEET] = None,
    windows: Annotated[Path | None, upgrade_sched_plan.WINDOWS] = None,
    upgrades: upgrade_sched_plan.Upgrades = None,
    constraints: upgrade_sched_plan.Rules = None,
    durations: upgrade_sched_plan.Durations = None,
    timezone: upgrade_sched_plan.Timezone = "UTC",
    as_json: Json = False,
) -> None:
    """Check a history, the files of a plan, or both: every problem with file, line and field.

    With a history the upgrades of a plan need no durations of their own. Exit 0 if there is none, else 2.
    """
    from cli.upgrade_sched_history import render_check
    from tuners.upgrade_sched.check import check_history, check_plan_files
    from tuners.upgrade_sched.plan.load import Sources

    report = check_history(history, mapping, form) if history else None
    others = {"--upgrades": upgrades, "--constraints": constraints, "--durations": durations}
    planned = None
    if fleet and windows:
        sources = Sources(fleet, windows, upgrades, constraints, durations, timezone)
        planned = check_plan_files(sources, with_history=history is not None)
    elif fleet or windows or any(others.values()):
        raise InputError("the files of a plan are checked together", mend="Give --fleet and --windows.")
    if report is None and planned is None:
        raise InputError("there is nothing to check", mend="Name a history, or --fleet and --windows.")
    typer.echo(render_check(report, planned, as_json=as_json))
    raise typer.Exit(2 if (report and report.problems) or planned else 0)


@app.command()
def analyze(
    history: HistoryFile,
    mapping: MappingFile = None,
    form: Format = "",
    types: Annotated[int, typer.Option(min=0, help="Show the commonest N types.")] = 20,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Characterise each type of upgrade: how long, how heavy the tail, what is cut off, drifts or can be foreseen."""
    from cli.upgrade_sched_history import render_analysis
    from tuners.upgrade_sched.analyze import analyze_types
    from tuners.upgrade_sched.history.read import read_history

    known = read_history(history, mapping, form, skip_bad=skip_bad)
    typer.echo(render_analysis(known, analyze_types(known, most=types), as_json=as_json))


@app.command()
def backtest(
    history: HistoryFile,
    mapping: MappingFile = None,
    form: Format = "",
    window: Annotated[float, typer.Option(min=1, max=14400, help="Minutes of a maintenance window.")] = 120,
    slots: Annotated[int, typer.Option(min=0, max=10000, help="Upgrades at a time (0: as fits the history).")] = 0,
    loads: Annotated[str, typer.Option(help="Work offered over capacity; commas between.")] = "1.2,2,3",
    splits: Annotated[int, typer.Option(min=1, max=20, help="Rolling splits.")] = 5,
    baselines: Annotated[
        str, typer.Option(help="Of cutoff:M, timeout:M, per-type-mean, median-N, p95, squared-error, oracle.")
    ] = "cutoff:60,per-type-mean,median-10,squared-error,oracle",
    cost_ratio: Annotated[float, typer.Option(min=0.1, max=1000, help="Cost of overrun over idle time.")] = 2,
    cost_ratios: Annotated[
        str,
        typer.Option(help="Sweep: select for each of these cost ratios too, e.g. 1,2,4,9, and say what is efficient."),
    ] = "",
    trials: Annotated[int, typer.Option(min=0, help="Trials of the search for each split and load.")] = 16,
    windows: Annotated[int, typer.Option(min=4, help="At most N windows for each split and load.")] = 120,
    models: Annotated[
        str, typer.Option(help="Duration models to fit: history, squared, asymmetric, survival, quantiles, bins.")
    ] = "history,squared,asymmetric,survival,quantiles,bins",
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Draws windows and resamples.")] = 0,
    max_minutes: Annotated[float, typer.Option(min=0, help="Stop selecting after so many (0: no limit); exit 3.")] = 0,
    max_evaluations: Annotated[int, typer.Option(min=0, help="At most N evaluations (0: no limit); exit 3.")] = 0,
    resume: Annotated[str | None, typer.Option(help="Carry on a run: its id, or latest.")] = None,
    rules: Annotated[
        bool, typer.Option(help="Begin with what earlier backtests taught, and learn from this one.")
    ] = True,
    state: Annotated[Path, typer.Option(help="Folder for runs and rules.")] = Path(".sysmith"),
    skip_bad: SkipBad = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the report: FILE.html is one self-contained page, else JSON.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a row a policy and load as CSV.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the claims as a Markdown table.")] = False,
    as_json: Json = False,
) -> None:
    """Say how good a learned policy would have been on your own history, against what is used today.

    Exit code 0: every published claim that applies is met. 1: some are not. 2: bad input. 3: the budget ended first.
    130: interrupted; the same options and --resume latest carry on.
    """
    from cli.upgrade_sched_backtest import Options, execute

    options = Options(
        history=history,
        mapping=mapping,
        form=form,
        window_minutes=window,
        slots=slots,
        loads=loads,
        splits=splits,
        baselines=baselines,
        cost_ratio=cost_ratio,
        cost_ratios=cost_ratios,
        trials=trials,
        windows=windows,
        models=models,
        seed=seed,
        max_minutes=max_minutes,
        max_evaluations=max_evaluations,
        resume=resume,
        rules=rules,
        state=state,
        skip_bad=skip_bad,
        report=report,
        csv=csv,
        markdown=markdown,
        as_json=as_json,
    )
    raise typer.Exit(execute(options))


upgrade_sched_replay.register(app)
upgrade_sched_claims.register(app)
