"""``sysmith runs``: look back at runs; reads their event logs and changes nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Look back at runs.", no_args_is_help=True, rich_markup_mode=None)
State = Annotated[Path, typer.Option(help="Folder for runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_all(state: State = Path(".sysmith"), as_json: Json = False) -> None:
    """List the runs, oldest first."""
    from agents.run_dir import list_runs

    infos = list_runs(state)
    if as_json:
        rows = [{"id": i.id, "command": i.command, "created": i.created, "fault": i.fault} for i in infos]
        typer.echo(json.dumps({"schema_version": 1, "runs": rows}, indent=2))
        return
    for info in infos:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created)) if info.created else "-"
        typer.echo(f"{info.id}  {when}  {info.command or '-'}  {info.fault or ''}".rstrip())


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="The id of a run, or latest.")] = "latest",
    problem: Annotated[str, typer.Option(help="Show this problem's log in full.")] = "",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Show one run: its options and, for each problem, how it ended; with --problem, everything that happened to it."""
    from agents.artifacts import ArtifactStore
    from agents.events import read_events
    from agents.run_dir import latest, list_runs
    from sysmith_errors import InputError

    info = latest(state) if run == "latest" else next((i for i in list_runs(state) if i.id == run), None)
    if info is None:
        raise InputError(f"there is no run {run} in {state / 'runs'}", mend="See sysmith runs list.")
    path = info.path / "events.jsonl"
    events = read_events(path) if path.exists() else []
    if problem:
        events = [e for e in events if e.problem == problem]
        if not events:
            raise InputError(
                f"run {info.id} has no problem {problem!r}", mend="See sysmith runs show without --problem."
            )
    unpack = ArtifactStore(info.path / "artifacts").unpack
    rows: list[dict[str, Any]] = [
        {"seq": e.seq, "kind": e.kind, "problem": e.problem, "data": unpack(dict(e.data)) if problem else e.data}
        for e in events
        if problem or e.kind == "problem_finished"
    ]
    if as_json:
        head = {"schema_version": 1, "id": info.id, "fault": info.fault, "options": dict(info.options)}
        typer.echo(json.dumps(head | {"events": rows}, indent=2))
        return
    typer.echo(f"run {info.id}: {info.fault or info.command}")
    ends = {e.problem: e.data["evaluation"] for e in events if e.kind == "trial_finished"}
    for row in rows:
        if problem:
            typer.echo(f"{row['seq']:6} {row['kind']}\n{json.dumps(row['data'], indent=2)}")
            continue
        end = unpack(ends.get(row["problem"], {}))
        feedback = " ".join(str(end.get("feedback", "")).split())[:200]
        typer.echo(f"  {row['problem']}: {end.get('status', 'no trial')} ({row['data']['trials']} trials) {feedback}")
