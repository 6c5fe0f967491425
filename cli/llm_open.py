"""A model opened from the options that subcommands share, for commands that have no run of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_llm(
    purpose: str,
    models: str,
    *,
    record: Path | None,
    price_in: float | None,
    price_out: float | None,
    max_tokens_total: int,
    max_dollars: float,
    max_calls: int,
    llm_timeout: float,
) -> Any:
    """The ``agents.llm.LLM``, or None where ``models`` names none. Nothing of it is logged: these commands change no
    run. Raises InputError and MissingPart as ``LLM.open`` does."""
    if not models:
        return None
    from agents.budget import Budget
    from agents.llm import LLM, settings_from_options

    settings = settings_from_options(
        models,
        record=record,
        price_in=price_in,
        price_out=price_out,
        timeout_s=llm_timeout,
        max_tokens_total=max_tokens_total,
        max_dollars=max_dollars,
        max_calls=max_calls,
    )
    return LLM.open(settings.models, settings=settings, budget=Budget(settings.limits, name=purpose), log=None)
