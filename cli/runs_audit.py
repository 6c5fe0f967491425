"""``sysmith runs audit``: search a run for what its candidates should not have tried; parses, calls and renders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import llm_options
from cli.llm_open import open_llm
from cli.text import safe


def audit(
    run: Annotated[str, typer.Argument(help="The id of a run, the beginning of one, or latest.")] = "latest",
    rules: Annotated[list[Path] | None, typer.Option(help="More detection rules (TOML); may be given often.")] = None,
    models: llm_options.Models = "",
    record: llm_options.Record = None,
    price_in: llm_options.PriceIn = None,
    price_out: llm_options.PriceOut = None,
    max_tokens_total: llm_options.MaxTokensTotal = 0,
    max_dollars: llm_options.MaxDollars = 0,
    max_calls: llm_options.MaxCalls = 0,
    llm_timeout: llm_options.Timeout = 300,
    state: Annotated[Path, typer.Option(help="Folder for runs.")] = Path(".sysmith"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Search a run for network and file access, denied system calls, escapes, injections and secrets.

    Rules look at everything; what they flag is looked at closer, and shown to a model where --models names one. Its
    opinion is printed and changes nothing. Exit code 1 if anything severe is found, else 0.
    """
    from agents.audit import audit as search
    from agents.audit_rules import load_rules
    from agents.run_reading import find_run, read_run

    chosen = load_rules(rules or ())
    view = read_run(find_run(state, run))
    llm = open_llm(
        "the audit",
        models,
        record=record,
        price_in=price_in,
        price_out=price_out,
        max_tokens_total=max_tokens_total,
        max_dollars=max_dollars,
        max_calls=max_calls,
        llm_timeout=llm_timeout,
    )
    opinion = None
    if llm is not None:
        from agents.audit_opinion import opinion_of

        opinion = opinion_of(llm)
    document = search(view, chosen, opinion=opinion)
    typer.echo(json.dumps(document, indent=2) if as_json else render(document))
    raise typer.Exit(1 if document["severe"] else 0)


def render(document: Mapping[str, Any]) -> str:
    """The findings as text, the severe ones first."""
    lines = []
    for finding in document["findings"]:
        trial = "" if finding["trial"] is None else f", trial {finding['trial']}"
        place = f"{safe(finding['problem'] or 'the run', 60)}{trial} (event {finding['event']}, {finding['where']})"
        more = f" ({finding['matches']} places)" if finding["matches"] > 1 else ""
        lines.append(f"{finding['severity']:8} {finding['rule']}: {finding['title']}{more}")
        lines.append(f"         in {safe(place, 160)}")
        lines.append(f"         {safe(finding['excerpt'], 240)}")
        lines.append(f"         why it matters: {finding['why']}")
        for key, title in (("deeper", "a closer look"), ("opinion", "a model says")):
            if finding[key]:
                lines.append(f"         {title}: {safe(finding[key], 400)}")
    counts = document["counts"]
    lines.append(
        f"run {document['run']}: {counts['severe']} severe, {counts['warning']} warnings, {counts['note']} notes "
        f"in {document['events']} events ({len(document['rules'])} rules)"
    )
    return "\n".join(lines)
