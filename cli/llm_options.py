"""The options that every subcommand with a language model shares, as annotated types; settings come from agents.llm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[
    str,
    typer.Option(
        "--models",
        "--model",
        help="Language models, cheapest first, commas between: any litellm name (openai/gpt-4o-mini; with "
        "OPENAI_BASE_URL a local server's openai/NAME), replay:DIR or mailbox:DIR. Without it none is asked.",
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        help="Keep each completion in this folder, or without the prompts in FILE.jsonl; --models replay:DIR (or "
        "replay:FILE.jsonl) answers from it.",
    ),
]
PriceIn = Annotated[float | None, typer.Option("--price-in", help="Dollars per million prompt tokens.")]
PriceOut = Annotated[float | None, typer.Option("--price-out", help="Dollars per million answer tokens.")]
MaxTokensTotal = Annotated[int, typer.Option("--max-tokens-total", min=0, help="Tokens for the run (0: no limit).")]
MaxDollars = Annotated[float, typer.Option("--max-dollars", min=0, help="Dollars for the run (0: no limit).")]
MaxCalls = Annotated[int, typer.Option("--max-calls", min=0, help="Model calls for the run (0: no limit).")]
MaxTokensEach = Annotated[int, typer.Option("--max-tokens-each", min=0, help="Tokens for one problem (0: no limit).")]
MaxDollarsEach = Annotated[
    float, typer.Option("--max-dollars-each", min=0, help="Dollars for one problem (0: no limit).")
]
MaxCallsEach = Annotated[
    int, typer.Option("--max-calls-each", min=0, help="Model calls for one problem (0: no limit).")
]
Timeout = Annotated[float, typer.Option("--llm-timeout", help="Seconds to wait for one answer of a model.")]
