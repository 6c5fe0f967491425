"""``sysmith runs``: look back at runs; parses, calls and renders, and changes no run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.runs_audit import audit

app = typer.Typer(
    help="Look back at runs: what was tried, why it failed, what it cost, what changed, what was suspicious.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(audit)

State = Annotated[Path, typer.Option(help="Folder for runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Run = Annotated[str, typer.Argument(help="The id of a run, the beginning of one, or latest.")]


@app.command("list")
def list_all(
    command: Annotated[str, typer.Option(help="Only runs of this command, e.g. kernelgen.")] = "",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """List the runs, oldest first."""
    from agents.run_dir import list_runs
    from agents.run_tail import is_live
    from cli.runs_render import run_line

    infos = [info for info in list_runs(state) if command in ("", info.command)]
    if as_json:
        rows = [
            {"id": i.id, "command": i.command, "created": i.created, "live": is_live(i), "fault": i.fault}
            for i in infos
        ]
        typer.echo(json.dumps({"schema_version": 1, "runs": rows}, indent=2))
        return
    for info in infos:
        typer.echo(run_line(info, is_live(info)))


@app.command()
def show(
    run: Run = "latest",
    problem: Annotated[str, typer.Option(help="Show everything that happened to this problem.")] = "",
    trial: Annotated[
        int | None, typer.Option(min=0, help="Show this trial: prompt, answer, candidate, lint, compile, tests.")
    ] = None,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Show one run: its options, how each problem ended and what it cost; or one problem; or one trial."""
    from agents.run_reading import find_run, read_run
    from agents.run_trial import trial_of
    from cli import runs_render as render

    view = read_run(find_run(state, run))
    if trial is not None:
        document = trial_of(view, problem or None, trial)
        typer.echo(json.dumps(document, indent=2) if as_json else render.trial(document))
    elif problem:
        document = render.problem_document(view, view.problem(problem))
        typer.echo(json.dumps(document, indent=2) if as_json else render.problem(document))
    else:
        document = render.run_document(view)
        typer.echo(json.dumps(document, indent=2) if as_json else render.run(document))


@app.command()
def tail(
    run: Run = "latest",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Begin with so many of the past events.")] = 10,
    follow: Annotated[bool, typer.Option(help="Go on while the run is at work.")] = True,
    state: State = Path(".sysmith"),
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as one line of JSON.")] = False,
) -> None:
    """Show the last events of a run and follow it until it ends. ^C stops looking; the run is not touched."""
    import sys

    from agents.run_reading import find_run
    from agents.run_tail import follow as events_of
    from cli.runs_render import event_document, event_line

    info = find_run(state, run)
    for event in events_of(info, last=lines, wait=follow):
        typer.echo(json.dumps(event_document(event)) if as_json else event_line(event))
        sys.stdout.flush()  # into a pipe as well: whoever follows wants each line now


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="The id of the earlier run.")],
    after: Annotated[str, typer.Argument(help="The id of the later run, or latest.")] = "latest",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Compare two runs: options, versions, problems that ended otherwise, cost. Exit 1 if one passed before and does
    not now, else 0."""
    from agents.run_diff import diff as compare
    from agents.run_reading import find_run, read_run
    from cli.runs_render import difference

    found = compare(read_run(find_run(state, before)), read_run(find_run(state, after)))
    typer.echo(json.dumps(found, indent=2) if as_json else difference(found))
    raise typer.Exit(1 if found["lost"] else 0)


@app.command()
def export(
    run: Run = "latest",
    file: Annotated[
        Path | None, typer.Argument(help="RUN.json (texts in place) or RUN.tar.gz (the folder); stdout without it.")
    ] = None,
    redact: Annotated[bool, typer.Option(help="Leave out secrets found in a JSON document.")] = True,
    state: State = Path(".sysmith"),
) -> None:
    """Write a run with its artifacts as one file. A .tar.gz is an exact copy, whatever the run holds."""
    from agents.run_export import export_run, run_document
    from agents.run_reading import find_run, read_run

    view = read_run(find_run(state, run))
    if file is None:
        typer.echo(json.dumps(run_document(view, redact=redact), indent=1))
        return
    written = export_run(view, file, redact=redact)
    typer.echo(f"wrote run {view.info.id} to {file} ({written} bytes)", err=True)
