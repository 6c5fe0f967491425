"""``sysmith knowledge``: manuals in, cited passages out; knowledge makes every decision."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from knowledge.score import Report
    from knowledge.store import KnowledgeStore

app = typer.Typer(
    help="Manuals in, cited passages out: what the optimizers look things up in.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
State = Annotated[Path, typer.Option(help="Folder for runs and knowledge.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_LINES = 12


def _open(state: Path) -> KnowledgeStore:
    from knowledge.store import KnowledgeStore

    return KnowledgeStore.open(state, say=lambda line: typer.echo(line, err=True))


def _print(document: dict[str, Any]) -> None:
    typer.echo(json.dumps({"schema_version": 1} | document, indent=2, ensure_ascii=False))


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help="Manuals, or folders of manuals.", metavar="PATH...")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="Format of the files where the name does not say: markdown, html, pdf, man, rst, docbook, text.",
        ),
    ] = "",
    embedding: Annotated[
        str,
        typer.Option(help="Embedding of a new store: minilm (the default where it is installed) or lsa (built in)."),
    ] = "",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Take in manuals: Markdown, HTML, PDF, man pages, reStructuredText, DocBook, plain text, each also as .gz.

    Adding a manual again changes nothing, or replaces it where its content changed. Nothing is taken
    where a file named here cannot be read; one found in a folder is skipped and named.
    """
    from knowledge.reading import FORMATS
    from sysmith_errors import InputError

    if format_ and format_ not in FORMATS:
        raise InputError(f"--format {format_!r} is not known", mend=f"Choose one of {', '.join(FORMATS)}.")
    store = _open(state)
    done = store.add(paths, format_=format_ or None, embedding_name=embedding or None)
    counts = store.counts()
    if as_json:
        rows = [
            asdict(d.source) | {"outcome": d.outcome, "passages": counts[d.name]} for d in done if d.source is not None
        ]
        skipped = [{"name": d.name, "reason": d.reason} for d in done if d.source is None]
        _print({"sources": rows, "skipped": skipped, "passages": sum(counts.values())})
        return
    for item in done:
        about = f"({item.source.format}, {counts[item.name]} passages)" if item.source else item.reason
        typer.echo(f"{item.outcome:9} {item.name}  {about}")


@app.command("list")
def list_all(state: State = Path(".sysmith"), as_json: Json = False) -> None:
    """List the manuals with their formats, passages and ids."""
    store = _open(state)
    sources, counts = store.sources(), store.counts()
    if as_json:
        rows = [asdict(source) | {"passages": counts[source.name]} for source in sources]
        _print({"embedding": store.embedding, "sources": rows})
        return
    for source in sources:
        typer.echo(f"{source.id[:12]}  {source.format:8} {counts[source.name]:6} passages  {source.name}")
    typer.echo(f"{len(sources)} manuals, {sum(counts.values())} passages, embedding {store.embedding}", err=True)


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="Names, patterns (lustre/*) or ids, as list shows them.")],
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Remove manuals."""
    gone = _open(state).remove(names)
    if as_json:
        _print({"removed": [asdict(source) for source in gone]})
        return
    for source in gone:
        typer.echo(f"removed   {source.name}")


@app.command()
def rebuild(
    embedding: Annotated[
        str, typer.Option(help="Change to this embedding: minilm (needs its package) or lsa (built in).")
    ] = "",
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Build the index anew from the manuals that were kept."""
    store = _open(state)
    passages = store.rebuild(embedding_name=embedding or None)
    if as_json:
        _print({"embedding": store.embedding, "sources": len(store.sources()), "passages": passages})
        return
    typer.echo(f"{len(store.sources())} manuals, {passages} passages, embedding {store.embedding}")


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="A question, or the name of a parameter.")],
    top: Annotated[int, typer.Option(min=1, help="How many passages.")] = 5,
    method: Annotated[str, typer.Option(help="hybrid, bm25 (exact terms) or vectors.")] = "hybrid",
    source: Annotated[str, typer.Option(help="Keep to manuals of this name or pattern, e.g. lustre/*.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Show long passages whole.")] = False,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Show the passages that answer a question, each with its citation. Exit code 1: none shares a word with it.

    What stands nearby in the same section is not shown but named in a line "also".
    """
    found = _open(state).search(question, top, source or None, method)  # type: ignore[arg-type]  # search checks it
    if as_json:
        rows = [asdict(passage) | {"citation": passage.citation} for passage in found]
        _print({"question": question, "method": method, "passages": rows})
    else:
        for number, passage in enumerate(found, 1):
            lines = passage.text.split("\n")
            shown = lines if full or len(lines) <= _LINES else [*lines[: _LINES - 1], "..."]
            also = [f"    also: {', '.join(passage.also)}"] if passage.also else []
            typer.echo("\n".join([f"[{number}] {passage.citation}", *(f"    {line}" for line in shown), *also, ""]))
    if not found:
        typer.echo(f"nothing was found for {question!r}", err=True)
        raise typer.Exit(1)


@app.command()
def score(
    questions: Annotated[Path, typer.Argument(help="Questions with their expected places, a JSON object a line.")],
    goal: Annotated[
        list[str] | None, typer.Option(help="KIND=RECALL: exit 1 where hybrid recall@5 is below; may be given often.")
    ] = None,
    within: Annotated[bool, typer.Option("--within", help="Search only the manual that each question names.")] = False,
    judged: Annotated[
        Path | None, typer.Option(help="Judgements of pooled passages (JSON lines): those called right count too.")
    ] = None,
    state: State = Path(".sysmith"),
    as_json: Json = False,
) -> None:
    """Measure retrieval: recall@1, @5, @10 and MRR of BM25, vectors and hybrid, with 95 % intervals.

    A line holds question, source and section (or expected, a list of such places), and may hold id, kind, split and
    manual. Exit code 1: a --goal is not reached.
    """
    from knowledge.pool import read_judgements
    from knowledge.questions import read_goals, read_questions
    from knowledge.score import measure

    goals = read_goals(goal or [])
    right = read_judgements(judged) if judged else ()
    store = _open(state)
    report = measure(store, read_questions(questions), goals=goals, within=within, judged=right)
    if as_json:
        _print(report.document())
    else:
        _table(report)
    if report.missed_goals:
        raise typer.Exit(1)


def _table(report: Report) -> None:
    typer.echo(
        f"{'split':12} {'kind':11} {'method':8} {'n':>3}  {'recall@1':>8} {'recall@5':>22} {'recall@10':>9} {'MRR':>20}"
    )
    for row in report.rows:
        five, mrr = row.recall[5], row.mrr
        typer.echo(
            f"{row.split:12} {row.kind:11} {row.method:8} {row.count:3}  {row.recall[1].value:8.3f} "
            f"{five.value:8.3f} [{five.low:.3f}, {five.high:.3f}] {row.recall[10].value:8.3f} "
            f"{mrr.value:6.3f} [{mrr.low:.3f}, {mrr.high:.3f}]"
        )
    for goal in report.missed_goals:
        typer.echo(goal, err=True)
