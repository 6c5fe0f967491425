"""Carry out ``sysmith upgrade-sched backtest``: progress to stderr, the report to stdout; it judges nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli.upgrade_sched_history import table
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
    trials: int
    windows: int
    models: str
    seed: int
    max_minutes: float
    max_evaluations: int
    resume: str | None
    state: Path
    skip_bad: bool
    report: Path | None
    as_json: bool


def execute(options: Options) -> int:
    """Run and return the exit code. Raises SysmithError for what the user must mend or chose to end."""
    from tuners.upgrade_sched.backtest.baselines import parse_baselines

    # What is wrong with the command line is said before anything is read.
    loads, models = _loads(options.loads), _models(options.models)
    baselines = parse_baselines(options.baselines)
    numbers = {"window": options.window_minutes, "cost-ratio": options.cost_ratio, "max-minutes": options.max_minutes}
    for name, value in numbers.items():
        if math.isnan(value):  # the ranges of the options let it pass
            raise InputError(f"--{name} is not a number", mend="Give one.")

    from cli.halting import halt_on_signals
    from cli.kernelgen_files import check_writable_file, write_all
    from tuners.upgrade_sched.backtest.blocks import Setup, choose_slots
    from tuners.upgrade_sched.backtest.run import Backtest, Request, open_run
    from tuners.upgrade_sched.history.read import read_history

    if options.report:
        check_writable_file("--report", options.report)
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
    )
    with halt_on_signals() as halt, open_run(request, history, options.state, options.resume) as folder:
        typer.echo(f"run {folder.info.id}", err=True)
        report = Backtest(request, history, folder, say=lambda text: typer.echo(text, err=True), halt=halt).run()
        files = {folder.path / "report.json": json.dumps(report, indent=1) + "\n"}
        if options.report:
            files[options.report] = json.dumps(report, indent=2) + "\n"
        write_all(files)
    typer.echo(json.dumps(report, indent=2) if options.as_json else render(report))
    return 0 if report["met"] else 1


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


def _models(text: str) -> tuple[str, ...]:
    from tuners.upgrade_sched.durations.fit import FAMILIES

    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FAMILIES:
            raise InputError(f"--models: {name!r} is no model", mend=f"Choose from {', '.join(FAMILIES)}.")
    # History statistics serve thin types, and squared error the baseline of that name: both are always there.
    return tuple(name for name in FAMILIES if name in (*names, "history", "squared"))


def render(report: Mapping[str, Any]) -> str:
    """The report as text: a row a policy and load, then each claim."""
    setup, history = report["setup"], report["history"]
    rows: list[Sequence[str]] = [
        ("load", "policy", "scheduled", "completed", "cancelled", "utilisation", "wasted min", "deferred long")
    ]
    for row in report["rows"]:
        rows.append(
            (
                f"{row['load']:g}",
                row["policy"],
                _count(row["scheduled"]),
                _count(row["completed"]),
                _share(row["cancelled_share"]),
                _share(row["utilisation"]),
                _count(row["wasted_minutes"]),
                _count(row["deferred_long"]),
            )
        )
    claims: list[Sequence[str]] = [("load", "against", "figure", "goal", "ratio", "95 % interval", "verdict")]
    for claim in (*report["claims"], *report["beyond_claims"]):
        below = claim["figure"] == "cancelled_share"
        ratio = claim["ratio"]
        claims.append(
            (
                f"{claim['load']:g}",
                claim["against"],
                claim["figure"],
                f"{'<=' if below else '>='} {claim['goal']:.2f}",
                f"{ratio['value']:.2f}",
                f"{ratio['low']:.2f} .. {ratio['high']:.2f}",
                "met" if claim["met"] else f"not met: {claim['why_not']}",
            )
        )
    head = (
        f"{history['source']}: {history['records']} records ({history['censored']} censored), "
        f"windows of {setup['window_minutes']:g} min x {setup['slots']} slots, {setup['splits']} splits"
    )
    met = sum(claim["met"] for claim in report["claims"])
    return "\n".join(
        [
            head,
            "",
            table(rows),
            "",
            table(claims),
            "",
            f"{met} of {len(report['claims'])} claims met (run {report['run']})",
        ]
    )


def _count(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.0f} ({figure['low']:.0f}-{figure['high']:.0f})"


def _share(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.1%} ({figure['low']:.1%}-{figure['high']:.1%})"
