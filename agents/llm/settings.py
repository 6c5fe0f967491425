"""How models are reached and what they may cost, as read from the command line; it opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.budget import Limits
from sysmith_errors import InputError

MAX_TOKENS = 8192


@dataclass(frozen=True)
class LLMSettings:
    """``models`` come cheapest first; none means that nothing is ever asked.

    Prices are in US dollars per million tokens and stand above what litellm knows. ``max_tokens`` limits one answer,
    ``timeout_s`` one call; ``attempts`` is how often a call is tried in all. ``limits`` are for the run,
    ``limits_each`` for each problem: make the budgets with them.
    """

    models: tuple[str, ...] = ()
    record: Path | None = None
    price_in: float | None = None
    price_out: float | None = None
    max_tokens: int = MAX_TOKENS
    temperature: float | None = None
    timeout_s: float = 300.0
    attempts: int = 6
    limits: Limits = field(default_factory=Limits)
    limits_each: Limits = field(default_factory=Limits)

    def recorded(self) -> dict[str, Any]:
        """What decides the answers, for ``run.json``. Limits and prices are left out: a resumed run may raise them."""
        return {"models": list(self.models), "max_tokens": self.max_tokens, "temperature": self.temperature}


def settings_from_options(
    models: str | Sequence[str] = (),
    *,
    record: Path | None = None,
    price_in: float | None = None,
    price_out: float | None = None,
    max_tokens: int = MAX_TOKENS,
    temperature: float | None = None,
    timeout_s: float = 300.0,
    max_tokens_total: int | None = None,
    max_dollars: float | None = None,
    max_calls: int | None = None,
    max_tokens_each: int | None = None,
    max_dollars_each: float | None = None,
    max_calls_each: int | None = None,
) -> LLMSettings:
    """Settings from the options that all subcommands share (``cli/llm_options.py``); 0 or None is no limit.

    ``models`` is a list or comma-separated. Raises InputError naming the option that makes no sense.
    """
    names = models.split(",") if isinstance(models, str) else list(models)
    names = [name.strip() for name in names if name.strip()]
    if (price_in is None) != (price_out is None):
        given, other = ("--price-in", "--price-out") if price_out is None else ("--price-out", "--price-in")
        raise InputError(f"{given} is given without {other}", mend="Give both, in dollars per million tokens.")
    numbers = {
        "--price-in": price_in,
        "--price-out": price_out,
        "--llm-timeout": timeout_s,
        "--max-answer-tokens": max_tokens,
        "--max-tokens-total": max_tokens_total,
        "--max-dollars": max_dollars,
        "--max-calls": max_calls,
        "--max-tokens-each": max_tokens_each,
        "--max-dollars-each": max_dollars_each,
        "--max-calls-each": max_calls_each,
    }
    for option, value in numbers.items():
        positive = option in ("--llm-timeout", "--max-answer-tokens")
        # The negations also catch NaN, which no comparison is true of.
        if value is not None and not (0 < value < float("inf") if positive else 0 <= value < float("inf")):
            raise InputError(f"{option} is {value}", mend=f"Give a number {'above' if positive else 'of at least'} 0.")
    return LLMSettings(
        models=tuple(names),
        record=record,
        price_in=price_in,
        price_out=price_out,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout_s=timeout_s,
        limits=Limits(tokens=max_tokens_total or None, dollars=max_dollars or None, calls=max_calls or None),
        limits_each=Limits(
            tokens=max_tokens_each or None, dollars=max_dollars_each or None, calls=max_calls_each or None
        ),
    )
