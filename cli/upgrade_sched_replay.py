"""``sysmith upgrade-sched replay``: a history under one policy, window by window; the backtest's parts play it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.text import safe
from cli.upgrade_sched_history import table
from sysmith_errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to ``sysmith upgrade-sched``."""
    app.command("replay")(replay)


def replay(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="Past upgrades; .gz, .xz and .bz2 are unpacked.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="cutoff:M, timeout:M, per-type-mean, median-N, p95, squared-error, oracle, sysmith, "
            "sysmith:risk=0.7,lean=1, run:ID (what a backtest selected), run:ID@4 (for cost ratio 4); repeatable. "
            "Default: sysmith."
        ),
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Which column says what (TOML), for tables.")] = None,
    form: Annotated[str, typer.Option("--format", help="As for backtest. Default: by the file's name.")] = "",
    window: Annotated[
        float | None, typer.Option(min=1, max=14400, help="Minutes of a maintenance window. Default: 120.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=0, max=10000, help="Upgrades at a time (0: as fits the history). Default: 0.")
    ] = None,
    load: Annotated[
        float | None,
        typer.Option(min=0.1, max=100, help="Work offered over capacity. Default: 2, or the first of the run."),
    ] = None,
    splits: Annotated[int | None, typer.Option(min=1, max=20, help="Rolling splits. Default: 5.")] = None,
    windows: Annotated[int | None, typer.Option(min=4, help="At most N windows for each split. Default: 120.")] = None,
    order: Annotated[
        str, typer.Option(help="Order in which baselines admit: shortest-first, as-due or longest-first.")
    ] = "shortest-first",
    models: Annotated[str | None, typer.Option(help="Duration models to fit. Default: all.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31, help="Draws windows. Default: 0.")] = None,
    totals: Annotated[bool, typer.Option("--totals", help="Print the totals only.")] = False,
    events: Annotated[
        Path | None, typer.Option(help="Write each admission: FILE.csv as CSV, else as JSON lines.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out records that are wrong.")] = False,
    state: Annotated[Path, typer.Option(help="Folder for runs.")] = Path(".sysmith"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Replay a history under a policy: each window, each admission, and the totals.

    The windows are those of the backtest's test blocks, played by the same simulation: run:ID gives its figures again,
    window by window, with its setup. Exit code 0; 2: bad input.
    """
    from cli.kernelgen_files import check_writable_file, write_all
    from cli.upgrade_sched_backtest import chosen_models
    from tuners.upgrade_sched.backtest import named, tables
    from tuners.upgrade_sched.backtest.blocks import Blocks
    from tuners.upgrade_sched.backtest.replay import document
    from tuners.upgrade_sched.backtest.replay import replay as play
    from tuners.upgrade_sched.history.read import read_history

    # What is wrong with the command line is said before the history is read.
    for option, value in (("--window", window), ("--load", load)):
        if value is not None and math.isnan(value):
            raise InputError(f"{option} is not a number", mend="Give one.")
    names = list(dict.fromkeys(policy or ["sysmith"]))
    saved = named.saved_run_of(names, state)
    policies = {name: named.policy_named(name, order, saved) for name in names}
    families = chosen_models(models) if models else None
    if events:
        check_writable_file("--events", events)
    known = read_history(history, mapping, form, skip_bad=skip_bad)
    window_s = None if window is None else window * 60
    asked = named.Asked(window_s, slots or None, load, splits, windows, seed, families)
    setup, offered = asked.setup(known, saved)
    typer.echo(f"{len(known)} records, windows of {setup.window_s / 60:g} min x {setup.slots} slots", err=True)
    blocks = Blocks(known, setup)
    played = play(blocks, policies, offered, lambda text: typer.echo(text, err=True))
    if events:
        rows = [event for one in played for event in one.events]
        text = tables.events_csv(rows) if events.suffix.lower() == ".csv" else tables.events_lines(rows)
        write_all({events: text})
    answer = document(played, blocks, offered)
    typer.echo(json.dumps(answer, indent=1) if as_json else render(answer, totals_only=totals))


def render(value: Mapping[str, Any], *, totals_only: bool) -> str:
    """For each policy a line a window, then the totals of all."""
    from tuners.upgrade_sched.backtest.tables import utc

    lines = []
    head = (
        *("window", "split", "opens (UTC)", "offered", "admitted", "completed", "cancelled", "deferred"),
        *("idle min", "wasted min", "used"),
    )
    for one in value["policies"] if not totals_only else ():
        rows: list[Sequence[str]] = [head]
        for w in one["windows"]:
            counts = [str(w[name]) for name in ("offered", "admitted", "completed", "cancelled", "deferred")]
            minutes = [f"{w[name]:.0f}" for name in ("idle_minutes", "wasted_minutes")]
            used = f"{w['utilisation']:.0%}"
            rows.append((str(w["window"]), str(w["split"]), utc(w["opens"])[:16], *counts, *minutes, used))
        lines += [f"{safe(one['policy'])}:", table(rows), ""]
    total: list[Sequence[str]] = [
        (
            *("policy", "windows", "offered", "admitted", "completed", "cancelled", "deferred", "idle min"),
            *("wasted min", "used"),
        )
    ]
    for one in value["policies"]:
        t = one["total"]
        total.append(
            (
                safe(one["policy"]),
                str(t["windows"]),
                str(t["offered"]),
                f"{t['scheduled']['value']:.0f}",
                f"{t['completed']['value']:.0f}",
                f"{t['cancelled']} ({t['cancelled_share']['value']:.1%})",
                str(t["deferred"]),
                f"{t['idle_minutes']['value']:.0f}",
                f"{t['wasted_minutes']['value']:.0f}",
                f"{t['utilisation']['value']:.1%}",
            )
        )
    return "\n".join([*lines, f"load {value['setup']['load']:g}, all windows:", table(total)])
