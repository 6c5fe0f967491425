"""``sysmith upgrade-sched explain`` and the other commands that use a plan; tuners.upgrade_sched.plan decides."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sysmith_errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
State = Annotated[Path, typer.Option(help="Folder for runs.")]
PlanName = Annotated[str, typer.Option("--plan", help="A plan file, the id of a run, or latest.")]
Events = Annotated[Path | None, typer.Option(help="What happened (JSON lines: time, upgrade, event).")]
Attempts = Annotated[int, typer.Option(min=1, help="Give an upgrade up after this many failures.")]
Now = Annotated[str | None, typer.Option(help="The time it is (ISO 8601 or Unix seconds); default: the clock.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``sysmith upgrade-sched``."""
    app.command("explain", help="Say why a server's upgrade is where it is, or why it is not scheduled.")(explain)
    app.command("verify", help="Check a plan against every constraint, apart from the scheduler.")(verify)
    app.command("simulate", help="Play a plan through: overruns, utilisation and waste under each policy.")(simulate)
    app.command("next", help="Say what to start now, from a plan and what has happened so far.")(next_)
    app.command("replan", help="Mend a plan after failures or changed inputs, with the least change.")(replan)
    app.command("export", help="Write a plan for Ansible, Kubernetes or Slurm, or as CSV, iCalendar, HTML.")(export)


def explain(
    server: Annotated[str, typer.Argument(help="A server, or the id of an upgrade.")],
    plan: PlanName = "latest",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Explain each upgrade of a server."""
    from cli.upgrade_sched_render import explain_text
    from tuners.upgrade_sched.plan.explain import explain as why
    from tuners.upgrade_sched.plan.explain import find
    from tuners.upgrade_sched.plan.groups import compile_problem

    read = _read(plan, state)
    c = compile_problem(read.problem)
    answers = [why(c, read.schedule, job) for job in find(c, server)]
    _say({"schema_version": 1, "upgrades": answers}, explain_text(answers), as_json)


def verify(plan: PlanName = "latest", state: State = Path(".sysmith"), as_json: Json = False) -> None:
    """Exit 1 if the plan breaks a constraint."""
    from tuners.upgrade_sched.plan import tasks

    answer = tasks.verify(_read(plan, state))
    found = answer["violations"]
    lines = [f"{row['rule']}: {row['upgrade']} {row['text']}".replace(":  ", ": ") for row in found]
    lines.append(f"{answer['scheduled']} upgrades keep every constraint" if not found else f"{len(found)} violations")
    _say(answer, "\n".join(lines), as_json)
    raise typer.Exit(1 if found else 0)


def simulate(
    plan: PlanName = "latest",
    policy: Annotated[str, typer.Option(help="Policies, separated by commas.")] = "plan,online,cutoff:60",
    repeats: Annotated[int, typer.Option(min=1, max=10_000, help="Draws of the durations.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    actuals: Annotated[Path | None, typer.Option(help="Measured durations: a table or an event file.")] = None,
    history: Annotated[Path | None, typer.Option(help="Replay durations of this history.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Column mapping of the history (TOML).")] = None,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Each policy meets the same durations; exit 1 if one breaks a constraint."""
    from cli.upgrade_sched_render import simulation_text
    from tuners.upgrade_sched.plan import tasks
    from tuners.upgrade_sched.plan.groups import compile_problem
    from tuners.upgrade_sched.plan.simulate import Replay
    from tuners.upgrade_sched.plan.simulate import simulate as play

    read = _read(plan, state)
    measured = tasks.read_actuals(actuals, read) if actuals else None
    policies = [name.strip() for name in policy.split(",") if name.strip()]
    c = compile_problem(read.problem)
    replay = None
    if history:
        from tuners.upgrade_sched.history.read import read_history

        replay = Replay(c, read_history(history, mapping))

    def note(text: str) -> None:
        typer.echo(text, err=True)

    answer = play(c, read.schedule, policies, repeats=repeats, seed=seed, actual=measured, replay=replay, note=note)
    _say({"schema_version": 1} | answer, simulation_text(answer), as_json)
    raise typer.Exit(1 if any(row["violations"] for row in answer["policies"]) else 0)


def next_(
    plan: PlanName = "latest",
    events: Events = None,
    now: Now = None,
    attempts: Attempts = 2,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Ask again whenever a slot frees up: it admits what fits and predicts anew how long the running ones take."""
    from cli.upgrade_sched_render import next_text
    from tuners.upgrade_sched.plan import tasks

    answer = tasks.next_starts(_read(plan, state), events, now=_moment(now), attempts=attempts)
    _say(answer, next_text(answer), as_json)


def replan(
    plan: PlanName = "latest",
    events: Events = None,
    now: Now = None,
    attempts: Attempts = 2,
    fleet: Annotated[Path | None, typer.Option(help="A changed fleet file.")] = None,
    windows: Annotated[Path | None, typer.Option(help="A changed windows file.")] = None,
    upgrades: Annotated[Path | None, typer.Option(help="A changed upgrades file.")] = None,
    constraints: Annotated[Path | None, typer.Option(help="A changed constraints file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the new plan (JSON) here.")] = None,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Exit 1 if something that could run is left without a place."""
    from cli.kernelgen_files import check_writable_file
    from cli.upgrade_sched_render import replan_text
    from tuners.upgrade_sched.plan import document, tasks
    from tuners.upgrade_sched.plan.run import plan_path

    if out:
        check_writable_file("--out", out)
    changed = {"fleet": fleet, "windows": windows, "upgrades": upgrades, "constraints": constraints}
    old, sources = tasks.read_for_change(plan_path(plan, state), changed)
    answer, _, _ = tasks.again(old, sources, events, now=_moment(now), attempts=attempts)
    if out:
        document.write(out, answer)
    _say(answer, replan_text(answer), as_json)
    raise typer.Exit(1 if answer["summary"]["not_scheduled"] or answer["summary"]["impossible"] else 0)


def export(
    to: Annotated[str, typer.Option(help="ansible, kubernetes, slurm, csv, ics or html.")],
    out: Annotated[Path, typer.Option(help="A folder (ansible, kubernetes, slurm) or a file.")],
    plan: PlanName = "latest",
    each: Annotated[str, typer.Option(help="iCalendar: an event for each window or upgrade.")] = "window",
    actuals: Annotated[Path | None, typer.Option(help="HTML: measured durations, against predicted ones.")] = None,
    timezone: Annotated[str, typer.Option(help="Slurm: the controller's time zone.")] = "UTC",
    state: State = Path(".sysmith"),
) -> None:
    """Files are replaced atomically; their paths go to stdout."""
    import time

    from tuners.upgrade_sched.plan import document, tasks
    from tuners.upgrade_sched.plan.groups import compile_problem
    from tuners.upgrade_sched.plan.ical import calendar
    from tuners.upgrade_sched.plan.outputs import csv_text
    from tuners.upgrade_sched.plan.page import page

    if each not in ("window", "upgrade"):
        raise InputError(f"--each: {each!r} is neither window nor upgrade", mend="Use one of them.")
    read = _read(plan, state)
    if to not in ("csv", "ics", "html"):
        paths = tasks.export(read, to, out, timezone)
    else:
        if to == "csv":
            text = csv_text(read.document)
        elif to == "ics":
            text = calendar(read.document, stamp=time.time(), each=each)
        else:
            measured = tasks.read_actuals(actuals, read) if actuals else None
            text = page(read.document, compile_problem(read.problem), read.schedule, measured)
        document.write_file(out, text)
        paths = [out]
    for path in paths:
        typer.echo(str(path))


def _read(plan: str, state: Path) -> Any:
    from tuners.upgrade_sched.plan.document import read
    from tuners.upgrade_sched.plan.run import plan_path

    return read(plan_path(plan, state))


def _moment(text: str | None) -> int | None:
    """Unix seconds of ``--now``. Raises InputError where it is no time."""
    if text is None:
        return None
    try:
        return round(float(text))
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        mend = "Write it as 2026-03-01T22:00:00Z or in Unix seconds."
        raise InputError(f"--now: {text!r} is not a time", mend=mend) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())


def _say(document: Any, text: str, as_json: bool) -> None:
    typer.echo(json.dumps(document, indent=1) if as_json else text)
