"""``sysmith upgrade-sched claims``: the claims of backtest reports as one table; tables.py lays it out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Reports = Annotated[
    list[Path], typer.Argument(metavar="REPORT.json...", help="Files of backtest --json or --report FILE.json.")
]


def register(app: typer.Typer) -> None:
    """Add the command to ``sysmith upgrade-sched``."""
    app.command("claims")(claims)


def claims(
    reports: Reports,
    beyond: Annotated[
        bool, typer.Option("--beyond", help="Also squared error in its best order, which no claim is about.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Put the claims of one or more backtests into one Markdown table.

    Every cell stands in it: history, load, goal, ratio with its 95 % interval, met or why not. Exit code 0; 2: a file
    is no report of a backtest.
    """
    from cli.text import safe
    from tuners.upgrade_sched.backtest.saved import read_report
    from tuners.upgrade_sched.backtest.tables import claims_markdown, claims_rows

    rows = claims_rows([read_report(path) for path in reports], beyond=beyond)
    if as_json:
        met = sum(row["met"] for row in rows if row["claim"])
        document = {"schema_version": 1, "met": met, "of": sum(row["claim"] for row in rows), "claims": rows}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(safe(claims_markdown(rows)))
