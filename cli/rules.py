"""``sysmith rules``: look at, carry and correct what was learned from runs; parses, calls and renders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import llm_options
from cli.llm_open import open_llm

app = typer.Typer(
    help="Rules learned from runs: a condition, an advice, the evidence, how often it was confirmed and refuted.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
State = Annotated[Path, typer.Option(help="Folder for runs; its rules are in rules/.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
User = Annotated[bool, typer.Option("--user", help="The user's own rules, which hold in every folder.")]
RuleId = Annotated[str, typer.Argument(help="A rule's id, or the beginning of it.")]
Domain = Annotated[str, typer.Option(help="Only rules of this command, e.g. kernelgen.")]


@app.command("list")
def list_rules(
    domain: Domain = "",
    retired: Annotated[bool, typer.Option("--retired", help="Retired rules too.")] = False,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """List the rules, the strongest first."""
    from cli.rules_render import listing
    from knowledge.rules import rule_to_json
    from knowledge.rules_book import RuleBook

    known = RuleBook(state).read().values()
    chosen = [(p, r) for p, r in known if domain in ("", r.domain) and (retired or not r.retired)]
    chosen.sort(key=lambda pair: (pair[1].domain, bool(pair[1].retired), -pair[1].strength, pair[1].id))
    if as_json:
        rows = [{"place": place, "strength": rule.strength} | rule_to_json(rule) for place, rule in chosen]
        typer.echo(json.dumps({"schema_version": 1, "rules": rows}, indent=2))
        return
    typer.echo(listing(chosen, hidden=sum(bool(rule.retired) for _, rule in known) if not retired else 0))


@app.command()
def show(rule: RuleId, state: State = Path(".sysmith"), as_json: Json = False) -> None:
    """Show one rule in full: when it applies, what it says, and every trial that spoke for or against it."""
    from cli.rules_render import full
    from knowledge.rules import rule_to_json
    from knowledge.rules_book import RuleBook

    place, found = RuleBook(state).find(rule)
    if as_json:
        document = {"schema_version": 1, "place": place, "strength": found.strength} | rule_to_json(found)
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(full(place, found))


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to write; stdout without it.")] = None,
    domain: Domain = "",
    retired: Annotated[bool, typer.Option("--retired", help="Retired rules too.")] = False,
    state: State = Path(".sysmith"),
) -> None:
    """Write the rules as one JSON document that import takes."""
    from agents.run_export import write_file
    from knowledge.rules_book import RuleBook, document

    rules = [r for r in RuleBook(state).rules() if domain in ("", r.domain) and (retired or not r.retired)]
    text = json.dumps(document(rules), indent=2) + "\n"
    if file is None:
        typer.echo(text, nl=False)
        return
    write_file(file, text.encode())
    typer.echo(f"wrote {len(rules)} rules to {file}", err=True)


@app.command("import")
def import_rules(
    file: Annotated[Path, typer.Argument(help="A document that export wrote.")],
    user: User = False,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Take rules in: new ones are added, known ones get the evidence that is new. All of the file or nothing."""
    from knowledge.rules_book import RuleBook, read_document

    rules = read_document(file)
    done = RuleBook(state).merge(rules, "user" if user else "state")
    if as_json:
        typer.echo(json.dumps({"schema_version": 1} | {k: list(v) for k, v in vars(done).items()}, indent=2))
        return
    typer.echo(f"{len(done.added)} rules added, {len(done.merged)} merged, {len(done.unchanged)} already known")


@app.command()
def learn(
    run: Annotated[str, typer.Argument(help="The id of a run, or latest.")] = "latest",
    models: llm_options.Models = "",
    record: llm_options.Record = None,
    price_in: llm_options.PriceIn = None,
    price_out: llm_options.PriceOut = None,
    max_tokens_total: llm_options.MaxTokensTotal = 0,
    max_dollars: llm_options.MaxDollars = 0,
    max_calls: llm_options.MaxCalls = 0,
    llm_timeout: llm_options.Timeout = 300,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Reflect on a run that has ended; doing it twice changes nothing. A model, where --models names one, phrases new
    rules better; what they say is learned from the trials alone."""
    from agents.rules_learning import learn_from_run
    from agents.rules_words import phrased_by
    from kernelgen.learned import HABITS
    from knowledge.rules_book import RuleBook

    llm = open_llm(
        "the rules",
        models,
        record=record,
        price_in=price_in,
        price_out=price_out,
        max_tokens_total=max_tokens_total,
        max_dollars=max_dollars,
        max_calls=max_calls,
        llm_timeout=llm_timeout,
    )
    phrase = phrased_by(llm) if llm is not None else None
    changes = learn_from_run(state, run, RuleBook(state), phrase, habits=(HABITS,))
    if as_json:
        typer.echo(json.dumps({"schema_version": 1} | changes, indent=2))
        return
    counts = ", ".join(f"{len(ids)} {kind}" for kind, ids in changes.items() if isinstance(ids, list))
    typer.echo(f"run {changes['run']}, {changes['problems']} problems: {counts or 'nothing'}")


@app.command()
def retire(
    rule: RuleId,
    reason: Annotated[str, typer.Option(help="Why, for those who look later.")] = "",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Offer a rule no more; it stays in the store with the reason."""
    from knowledge.rules import rule_to_json
    from knowledge.rules_book import RuleBook

    after = RuleBook(state).retire(rule, reason)
    document: dict[str, Any] = {"schema_version": 1} | rule_to_json(after)
    typer.echo(json.dumps(document, indent=2) if as_json else f"rule {after.id} is retired: {after.retired}")
