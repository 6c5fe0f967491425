"""``sysmith knowledge notes``: read the notes that come with Sysmith, which its proposals cite; parses and prints."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(notes)


def notes(
    name: Annotated[
        str, typer.Argument(help="A topic, a text, or a citation such as sysmith:upgrade_sched/admission.md > Title.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Read the notes that come with Sysmith: without a name what there is, else the text or the section cited."""
    from knowledge.shipped import find, texts

    if not name:
        rows = texts()
        if as_json:
            typer.echo(json.dumps({"schema_version": 1, "texts": rows}, indent=2))
            return
        for row in rows:
            typer.echo(f"{row['name']:40}  {row['title']}")
        return
    found = find(name)
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "texts": found}, indent=2))
        return
    typer.echo("\n\n".join(row["text"] for row in found))
