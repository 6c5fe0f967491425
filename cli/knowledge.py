"""``sysmith knowledge``: manuals in, cited passages out; knowledge makes every decision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import knowledge_notes, llm_options
from cli import knowledge_render as render
from cli.halting import halt_on_signals
from sysmith_errors import BudgetExhausted

if TYPE_CHECKING:
    from agents.looking_up import AssistedSearch, Found
    from knowledge.store import KnowledgeStore

app = typer.Typer(
    help="Manuals in, cited passages out: what the optimizers look things up in.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
State = Annotated[Path, typer.Option(help="Folder for runs and knowledge.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Rewrite = Annotated[
    bool,
    typer.Option("--rewrite/--no-rewrite", help="With --models: ask for other words, and search for them too."),
]
Rerank = Annotated[
    bool,
    typer.Option("--rerank/--no-rerank", help="With --models: ask for the best of the 20 passages found."),
]


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _open(state: Path) -> KnowledgeStore:
    from knowledge.store import KnowledgeStore

    return KnowledgeStore.open(state, say=_say)


@contextlib.contextmanager
def _assisted(
    models: str, *, rewrite: bool, rerank: bool, jobs: int = 1, **options: Any
) -> Iterator[AssistedSearch | None]:
    """The model that helps with the search, stopped by ^C in good order; None where ``models`` names none."""
    if not models:
        yield None
        return
    from agents.llm import settings_from_options
    from agents.looking_up import AssistedSearch

    settings = settings_from_options(models, **options)
    with halt_on_signals() as halt:
        yield AssistedSearch.open(settings, rewrite=rewrite, rerank=rerank, jobs=jobs, halt=halt, say=_say)


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
        render.document({"sources": rows, "skipped": skipped, "passages": sum(counts.values())})
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
        render.document({"embedding": store.embedding, "sources": rows})
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
        render.document({"removed": [asdict(source) for source in gone]})
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
        render.document({"embedding": store.embedding, "sources": len(store.sources()), "passages": passages})
        return
    typer.echo(f"{len(store.sources())} manuals, {passages} passages, embedding {store.embedding}")


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="A question, or the name of a parameter.")],
    top: Annotated[int, typer.Option(min=1, help="How many passages.")] = 5,
    method: Annotated[str, typer.Option(help="hybrid, bm25 (exact terms) or vectors.")] = "hybrid",
    source: Annotated[str, typer.Option(help="Keep to manuals of this name or pattern, e.g. lustre/*.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Show long passages whole.")] = False,
    models: llm_options.Models = "",
    rewrite: Rewrite = True,
    rerank: Rerank = True,
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
    """Show the passages that answer a question, each with its citation. Exit code 1: none shares a word with it.

    What stands nearby in the same section is not shown but named in a line "also". A model, where --models names one,
    is asked twice: for other words to search for, and for the best of what was found. Exit code 3: its budget ended,
    and what is shown was found without it.
    """
    store = _open(state)
    opened = _assisted(
        models,
        rewrite=rewrite,
        rerank=rerank,
        record=record,
        price_in=price_in,
        price_out=price_out,
        max_tokens_total=max_tokens_total,
        max_dollars=max_dollars,
        max_calls=max_calls,
        timeout_s=llm_timeout,
    )
    look: Found | None = None
    stopped: BudgetExhausted | None = None
    chosen: Any = method  # the store checks it
    with opened as assisted:
        if assisted:
            from agents.looking_up import Asked

            try:
                (look,) = assisted.look_up(store, [Asked("the question", question, source or None)], top, chosen)
            except BudgetExhausted as error:
                stopped = error
    found = list(look.passages) if look else store.search(question, top, source or None, chosen)
    if as_json:
        rows = [render.passage_row(passage) for passage in found]
        proposed = look.to_json() if look else {"stopped": str(stopped)}
        extra = {"model": render.model_row(assisted) | proposed} if assisted else {}
        render.document({"question": question, "method": method, "passages": rows} | extra)
    else:
        render.passages(found, full=full)
        if assisted and look:
            render.one_look(look, assisted)
    if stopped:
        _say("what is shown was found without the model")
        raise stopped
    if not found:
        typer.echo(f"nothing was found for {question!r}", err=True)
        raise typer.Exit(1)


@app.command()
def score(
    questions: Annotated[Path, typer.Argument(help="Questions with their expected places, a JSON object a line.")],
    goal: Annotated[
        list[str] | None,
        typer.Option(
            help="KIND=RECALL: exit 1 where recall@5 is below, of hybrid, or with --models of model; may be given "
            "often."
        ),
    ] = None,
    within: Annotated[bool, typer.Option("--within", help="Search only the manual that each question names.")] = False,
    judged: Annotated[
        Path | None, typer.Option(help="Judgements of pooled passages (JSON lines): those called right count too.")
    ] = None,
    models: llm_options.Models = "",
    rewrite: Rewrite = True,
    rerank: Rerank = True,
    jobs: Annotated[int, typer.Option(min=1, help="Questions asked of a model at once (a mailbox gets all).")] = 8,
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
    """Measure retrieval: recall@1, @5, @10 and MRR of BM25, vectors and hybrid, with 95 % intervals.

    A line holds question, source and section (or expected, a list of such places), and may hold id, kind, split and
    manual. With --models there is one more method, model: hybrid, helped as in search. Exit code 1: a --goal is not
    reached; 3: the model's budget ended, and the figures are those of the other methods.
    """
    from knowledge.pool import read_judgements
    from knowledge.questions import read_goals, read_questions
    from knowledge.score import measure

    goals = read_goals(goal or [])
    right = read_judgements(judged) if judged else ()
    store = _open(state)
    asked = read_questions(questions)
    looks: dict[str, Found] = {}
    opened = _assisted(
        models,
        rewrite=rewrite,
        rerank=rerank,
        jobs=jobs,
        record=record,
        price_in=price_in,
        price_out=price_out,
        max_tokens_total=max_tokens_total,
        max_dollars=max_dollars,
        max_calls=max_calls,
        timeout_s=llm_timeout,
    )
    with opened as assisted:
        other = (assisted.name, assisted.answerer(store, looks)) if assisted else None
        report = measure(store, asked, goals=goals, within=within, judged=right, other=other)
    if as_json:
        extra = {"model": render.model_row(assisted) | render.looks_row(looks)} if assisted else {}
        render.document(report.document() | extra)
    else:
        render.table(report, goals=bool(goals))
    if assisted and not as_json:
        render.many_looks(looks, assisted)
    if report.stopped:
        raise BudgetExhausted(report.stopped)
    if report.missed_goals:
        raise typer.Exit(1)


knowledge_notes.register(app)
