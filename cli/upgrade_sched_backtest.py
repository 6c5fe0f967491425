"""Carry out ``sysmith upgrade-sched backtest``: progress to stderr, the report to stdout; it judges nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

from cli.text import safe
from cli.upgrade_sched_backtest_render import render
from sysmith_errors import InputError


@dataclass(frozen=True)
class Options:
    """The command line of a backtest, parsed."""

    history: Path
    mapping: Path | None
    form: str
    window_minutes: float
    slots: int
    loads: str
    splits: int
    baselines: str
    cost_ratio: float
    cost_ratios: str
    trials: int
    windows: int
    models: str
    seed: int
    max_minutes: float
    max_evaluations: int
    resume: str | None
    rules: bool
    state: Path
    skip_bad: bool
    report: Path | None
    csv: Path | None
    markdown: bool
    as_json: bool


def execute(options: Options) -> int:
    """Run and return the exit code. Raises SysmithError for what the user must mend or chose to end."""
    from tuners.upgrade_sched.backtest.baselines import parse_baselines
    from tuners.upgrade_sched.backtest.sweep import parse_ratios

    # What is wrong with the command line is said before anything is read.
    loads, models = _loads(options.loads), chosen_models(options.models)
    baselines = parse_baselines(options.baselines)
    ratios = parse_ratios(options.cost_ratios) if options.cost_ratios else ()
    numbers = {"window": options.window_minutes, "cost-ratio": options.cost_ratio, "max-minutes": options.max_minutes}
    for name, value in numbers.items():
        if math.isnan(value):  # the ranges of the options let it pass
            raise InputError(f"--{name} is not a number", mend="Give one.")
    if options.markdown and options.as_json:
        raise InputError(
            "--markdown and --json both ask for stdout", mend="Choose one; --report FILE.json writes JSON."
        )

    from cli.halting import halt_on_signals
    from cli.kernelgen_files import check_writable_file, write_all
    from tuners.upgrade_sched.backtest.blocks import Setup, choose_slots
    from tuners.upgrade_sched.backtest.run import Backtest, Request, open_run
    from tuners.upgrade_sched.history.read import read_history

    for option, path in (("--report", options.report), ("--csv", options.csv)):
        if path:
            check_writable_file(option, path)
    history = read_history(options.history, options.mapping, options.form, skip_bad=options.skip_bad)
    window_s = options.window_minutes * 60
    slots = options.slots or choose_slots(history, window_s, max(loads), options.splits)
    typer.echo(f"{len(history)} records, windows of {options.window_minutes:g} min x {slots} slots", err=True)
    setup = Setup(
        window_s=window_s,
        slots=slots,
        loads=loads,
        splits=options.splits,
        cost_ratio=options.cost_ratio,
        most_windows=options.windows,
        seed=options.seed,
        families=models,
    )
    request = Request(
        setup,
        baselines,
        trials=options.trials,
        max_wall_s=options.max_minutes * 60 or None,
        max_evaluations=options.max_evaluations or None,
        cost_ratios=ratios,
        rules=options.rules,
    )
    with halt_on_signals() as halt, open_run(request, history, options.state, options.resume) as folder:
        typer.echo(f"run {folder.info.id}", err=True)
        say = partial(typer.echo, err=True)
        report = Backtest(request, history, folder, options.state, say=say, halt=halt).run()
        write_all({folder.path / "report.json": json.dumps(report, indent=1) + "\n"} | _files(report, options))
    typer.echo(_said(report, options))
    return 0 if report["met"] else 1


def _files(report: Mapping[str, Any], options: Options) -> dict[Path, str]:
    """What the user asked to have written."""
    from tuners.upgrade_sched.backtest.page import page
    from tuners.upgrade_sched.backtest.tables import csv_rows

    files = {}
    if options.report:
        is_page = options.report.suffix.lower() in (".html", ".htm")
        files[options.report] = page(report) if is_page else json.dumps(report, indent=2) + "\n"
    if options.csv:
        files[options.csv] = csv_rows(report)
    return files


def _said(report: Mapping[str, Any], options: Options) -> str:
    from tuners.upgrade_sched.backtest.tables import claims_markdown, claims_rows

    if options.as_json:
        return json.dumps(report, indent=2)
    return safe(claims_markdown(claims_rows([report])) if options.markdown else render(report))


def _loads(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        loads = tuple(dict.fromkeys(float(part) for part in parts))
    except ValueError:
        loads = ()
    if not loads or not all(0.1 <= load <= 100 for load in loads):
        raise InputError(
            f"--loads: {text!r} is no list of loads", mend="Give numbers from 0.1 to 100, such as 1.2,2,3."
        )
    return loads


def chosen_models(text: str) -> tuple[str, ...]:
    """The families of ``--models``. Raises InputError for one that does not exist."""
    from tuners.upgrade_sched.durations.fit import FAMILIES

    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FAMILIES:
            raise InputError(f"--models: {name!r} is no model", mend=f"Choose from {', '.join(FAMILIES)}.")
    # History statistics serve thin types, and squared error the baseline of that name: both are always there.
    return tuple(name for name in FAMILIES if name in (*names, "history", "squared"))
