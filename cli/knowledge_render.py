"""What ``sysmith knowledge`` prints: passages, figures, and what a model had to do with them; it decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from cli.text import safe

if TYPE_CHECKING:
    from agents.looking_up import AssistedSearch, Found
    from knowledge.passages import Passage
    from knowledge.score import Report

_LINES = 12


def document(values: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps({"schema_version": 1} | dict(values), indent=2, ensure_ascii=False))


def passage_row(passage: Passage) -> dict[str, Any]:
    """A passage as plain JSON."""
    return asdict(passage) | {"citation": passage.citation}


def passages(found: Sequence[Passage], *, full: bool) -> None:
    """Print passages, each below its citation; without ``full`` the beginning of long ones."""
    for number, passage in enumerate(found, 1):
        lines = passage.text.split("\n")
        shown = lines if full or len(lines) <= _LINES else [*lines[: _LINES - 1], "..."]
        also = [f"    also: {', '.join(passage.also)}"] if passage.also else []
        typer.echo("\n".join([f"[{number}] {passage.citation}", *(f"    {line}" for line in shown), *also, ""]))


def table(report: Report, *, goals: bool) -> None:
    """Print the figures; on stderr, with ``goals``, whose recall they judge, and those that are not reached."""
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
    if goals:
        typer.echo(f"goals are those of the method {report.goal_method}", err=True)
    for goal in report.missed_goals:
        typer.echo(goal, err=True)


def one_look(found: Found, assisted: AssistedSearch) -> None:
    """Say on stderr what the model proposed for one question, and what it cost."""
    words = found.expansion
    if words and words.phrases:
        typer.echo(f"also searched for: {safe('; '.join(words.phrases), 400)}", err=True)
    if words and words.manuals:
        typer.echo(f"preferred: {safe(', '.join(words.manuals), 200)}", err=True)
    if assisted.reranks and "rerank" not in found.failures:
        first = ", ".join(map(str, found.before[: found.named]))
        put = f"put passages {first} of the search first" if found.named else "put no passage first"
        typer.echo(f"the model {put}", err=True)
    typer.echo(_cost(assisted), err=True)


def many_looks(found: Mapping[str, Found], assisted: AssistedSearch) -> None:
    """Say on stderr for how many questions the model's answers were used, and what they cost."""
    for phase, wanted in (("rewrite", assisted.rewrites), ("rerank", assisted.reranks)):
        failed = [name for name, one in found.items() if phase in one.failures]
        if wanted and failed:
            some = ", ".join(failed[:10]) + (", ..." if len(failed) > 10 else "")
            typer.echo(f"model: {len(failed)} of {len(found)} questions went without its {phase}: {some}", err=True)
    typer.echo(_cost(assisted), err=True)


def model_row(assisted: AssistedSearch) -> dict[str, Any]:
    """Which models were asked for what, and the cost, as plain JSON."""
    cost = assisted.cost
    return {
        "models": list(assisted.models),
        "asked_for": [
            name for name, wanted in (("rewrite", assisted.rewrites), ("rerank", assisted.reranks)) if wanted
        ],
        "cost": {"calls": cost.calls, "tokens": cost.tokens, "dollars": round(cost.dollars, 8)},
    }


def looks_row(found: Mapping[str, Found]) -> dict[str, Any]:
    """By question what a model proposed, and the ids of those that went without an answer of it."""
    failed = {phase: [name for name, one in found.items() if phase in one.failures] for phase in ("rewrite", "rerank")}
    return {"without": failed, "questions": {name: one.to_json() for name, one in found.items()}}


def _cost(assisted: AssistedSearch) -> str:
    cost = assisted.cost
    return f"model {', '.join(assisted.models)}: {cost.calls} calls, {cost.tokens} tokens, ${cost.dollars:.4f}"
