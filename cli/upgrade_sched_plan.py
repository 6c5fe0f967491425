"""``sysmith upgrade-sched plan`` and ``bench``: options in, results out; the tuner decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sysmith_errors import InputError

FLEET = typer.Option(help="Servers and their domains (CSV, JSON lines, JSON, TOML).")
WINDOWS = typer.Option(help="Maintenance windows: start, end or length, slots.")
Fleet = Annotated[Path, FLEET]
Windows = Annotated[Path, WINDOWS]
Upgrades = Annotated[Path | None, typer.Option(help="Pending upgrades. Left out: one for each server of the fleet.")]
Rules = Annotated[Path | None, typer.Option(help="Constraints (TOML): limits, floors, waves, blackouts, ...")]
Durations = Annotated[Path | None, typer.Option(help="Mean and spread of each upgrade type.")]
Timezone = Annotated[str, typer.Option(help="Zone of times without an offset.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
State = Annotated[Path, typer.Option(help="Folder for runs.")]
PlanName = Annotated[str, typer.Option("--plan", help="A plan file, the id of a run, or latest.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``sysmith upgrade-sched``."""
    from cli import upgrade_sched_use

    about = "Schedule a fleet's upgrades into windows, with a bound on what any schedule could do."
    app.command("plan", help=about)(plan)
    app.command("bench", help="Plan random fleets of given sizes: time, memory, gap to the bound.")(bench)
    upgrade_sched_use.register(app)


def plan(
    fleet: Fleet,
    windows: Windows,
    upgrades: Upgrades = None,
    constraints: Rules = None,
    durations: Durations = None,
    history: Annotated[Path | None, typer.Option(help="Past upgrades, to predict durations from.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Column mapping of the history (TOML).")] = None,
    timezone: Timezone = "UTC",
    level: Annotated[float, typer.Option(help="Probability that a full lane ends within its window.")] = 0.9,
    cost_ratio: Annotated[
        float | None, typer.Option(help="Cost of a minute of overrun over an idle one; sets the level to r/(r+1).")
    ] = None,
    risk_rule: Annotated[str, typer.Option(help="spread (mean + z * spread of the sum) or lognormal.")] = "spread",
    tries: Annotated[int | None, typer.Option(min=1, max=6, help="Policies to try.")] = None,
    polish: Annotated[
        float | None,
        typer.Option(min=0, help="CP-SAT effort, a second or a few each; 0: none. Default: 2 if small."),
    ] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0, help="Stop after this long.")] = None,
    resume: Annotated[str | None, typer.Option(help="Carry on a run: its id, or latest.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan (JSON) here as well.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the schedule as CSV.")] = None,
    ics: Annotated[Path | None, typer.Option(help="Write an iCalendar file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write one self-contained HTML page.")] = None,
    what_if: Annotated[bool, typer.Option("--what-if", help="Say what each constraint costs.")] = False,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Exit 0: everything is scheduled. 1: some is not. 2: bad input. 3: the time ended first; resumable."""
    from tuners.upgrade_sched.plan.load import Sources
    from tuners.upgrade_sched.plan.run import PlanOptions
    from tuners.upgrade_sched.plan.run import plan as make

    risk = _risk(level, cost_ratio, risk_rule)
    _writable({"--out": out, "--csv": csv, "--ics": ics, "--report": report})
    sources = Sources(fleet, windows, upgrades, constraints, durations, timezone)
    predict, extra = _history(history, mapping, risk.level)
    wall = max_minutes * 60 if max_minutes is not None else None
    options = PlanOptions(sources, risk, tries, polish, wall, extra)
    made = make(options, state, resume, predict=predict, note=lambda text: typer.echo(text, err=True))
    value = made.document
    from tuners.upgrade_sched.plan.costs import constraint_costs, quick

    if what_if or (report and quick(made.planner)):
        value["constraint_costs"] = constraint_costs(made.planner)
    from cli.upgrade_sched_render import plan_text
    from tuners.upgrade_sched.plan.outputs import write_outputs

    write_outputs(value, made.planner.compiled, made.schedule, out=out, csv=csv, ics=ics, report=report)
    typer.echo(json.dumps(value, indent=1) if as_json else plan_text(value))
    if not as_json and value["summary"]["gap_reading"]:
        typer.echo(f"\n{value['summary']['gap_reading']}")
    left = value["summary"]["not_scheduled"] + value["summary"]["impossible"]
    raise typer.Exit(0 if not left else 3 if made.result.stop.kind == "budget" else 1)


def bench(
    servers: Annotated[str, typer.Option(help="Fleet sizes, separated by commas.")] = "10000",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random fleets.")] = 0,
    load: Annotated[float, typer.Option(min=0.01, max=100, help="Mean work asked for over the windows' time.")] = 1.2,
    constrained: Annotated[bool, typer.Option("--constrained", help="Fleets with every kind of constraint.")] = False,
    only: Annotated[
        str | None,
        typer.Option(help="Constrained fleets with these kinds only, separated by commas; none: with no constraint."),
    ] = None,
    verify: Annotated[bool, typer.Option(help="Check each schedule with the independent checker.")] = True,
    as_json: Json = False,
) -> None:
    """Each size in a process of its own, so that its peak memory is its own; exit 1 if a schedule breaks a rule."""
    from cli.upgrade_sched_render import bench_text
    from tuners.upgrade_sched.plan.bench import bench_apart, growth

    rows, kinds = [], _kinds(only)
    for size in _sizes(servers):
        typer.echo(f"planning {size} servers ...", err=True)
        rows.append(bench_apart(size, seed=seed, load=load, check=verify, constrained=constrained, kinds=kinds))
    exponents = growth(rows)
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "runs": rows, "growth": exponents}, indent=1))
    else:
        typer.echo(bench_text(rows))
        for row in rows:
            if row["gap_reading"]:
                typer.echo(f"{row['servers']} servers: {row['gap_reading']}")
        if exponents:
            work, seconds = exponents["operations"], exponents["cpu_seconds"]
            typer.echo(f"growth with the fleet (1 is linear): operations {work:.2f}, processor seconds {seconds:.2f}")
    raise typer.Exit(1 if any(row["violations"] for row in rows) else 0)


def _kinds(text: str | None) -> list[str] | None:
    from tuners.upgrade_sched.plan.fleets import KINDS

    if text is None:
        return None
    kinds = [part.strip() for part in text.split(",")] if text.strip() != "none" else []
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--only: there is no kind {kind!r}", mend=f"Use some of {', '.join(KINDS)}, or none.")
    return kinds


def _sizes(text: str) -> list[int]:
    sizes = []
    for part in text.split(","):
        try:
            size = int(part.replace("_", ""))
        except ValueError:
            raise InputError(f"--servers: {part.strip()!r} is not a whole number", mend="Write 10000,100000.") from None
        if not 1 <= size <= 5_000_000:
            raise InputError(f"--servers: {size} is out of range", mend="Give sizes from 1 to 5000000.")
        sizes.append(size)
    return sizes


def _risk(level: float, cost_ratio: float | None, rule: str) -> Any:
    from tuners.upgrade_sched.plan.risk import Risk, level_of_cost_ratio

    if rule not in ("spread", "lognormal"):
        raise InputError(f"--risk-rule: there is no rule {rule!r}", mend="Use spread or lognormal.")
    return Risk(rule, level_of_cost_ratio(cost_ratio) if cost_ratio is not None else level)  # type: ignore[arg-type]  # checked above


def _history(history: Path | None, mapping: Path | None, level: float) -> tuple[Any, dict[str, Any]]:
    """A function that predicts durations, and what of it decides the outcome."""
    if history is None:
        if mapping is not None:
            raise InputError("--mapping is given without --history", mend="Give both.")
        return None, {}
    import hashlib

    from tuners.upgrade_sched.plan.predict import Forecast, from_history

    try:
        digest = hashlib.sha256(history.read_bytes()).hexdigest()
    except OSError as error:
        text = f"--history: {history} cannot be read: {error.strerror}"
        raise InputError(text, mend="Name a file that exists.") from None
    forecast = Forecast(history, mapping, cost_ratio=level / (1 - level))
    record = {"history": {"path": str(history), "sha256": digest}, "mapping": str(mapping) if mapping else None}
    return from_history(forecast, lambda text: typer.echo(text, err=True)), record


def _writable(files: dict[str, Path | None]) -> None:
    from cli.kernelgen_files import check_writable_file

    for option, path in files.items():
        if path is not None:
            check_writable_file(option, path)
