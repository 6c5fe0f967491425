"""From the names on ``--models`` to transports, with everything checked that can be without a call; it asks nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agents.budget import Budget
from agents.llm.litellm_transport import LitellmTransport
from agents.llm.mailbox import Mailbox
from agents.llm.pricing import Price
from agents.llm.recordings import Recorder, Replay
from agents.llm.secrets import Redactor
from agents.llm.settings import LLMSettings
from agents.llm.types import Transport
from sysmith_errors import InputError

REPLAY, MAILBOX = "replay:", "mailbox:"


def open_transports(
    models: Sequence[str],
    settings: LLMSettings,
    budget: Budget,
    redactor: Redactor,
    *,
    pause: Callable[[float], None],
    tell: Callable[[str], None],
) -> list[Transport]:
    """One transport for each name, in order. Raises InputError for a name, folder, key or price that will not do, and
    MissingPart without litellm."""
    if not models:
        raise InputError("--models names no model", mend="Name one, for example --models openai/gpt-4o-mini.")
    price = Price.per_million(settings.price_in, settings.price_out)
    transports: list[Transport] = []
    for name in models:
        transport: Transport
        if name.startswith(REPLAY):
            transport = Replay(*_place(name, REPLAY))
        elif name.startswith(MAILBOX):
            folder, _ = _place(name, MAILBOX)
            # A person's time has no price here unless one is given.
            own = price if price.known else Price()
            transport = Mailbox(folder, price=own, redactor=redactor, pause=pause, tell=tell)
        else:
            transport = LitellmTransport(name, price, redactor)
            _check_price(transport, settings, budget)
        if settings.record is not None:
            transport = Recorder(transport, settings.record, redactor)
        transports.append(transport)
    return transports


def _place(name: str, prefix: str) -> tuple[Path, str | None]:
    """The folder after the prefix, and the model after ``#`` where the folder's own name holds none."""
    text = name.removeprefix(prefix)
    if not text:
        raise InputError(f"--models: {name!r} names no folder", mend=f"Write {prefix}DIR.")
    folder, mark, model = text.rpartition("#")
    if prefix == REPLAY and mark and folder and model and not Path(text).exists():
        return Path(folder), model
    return Path(text), None


def _check_price(transport: LitellmTransport, settings: LLMSettings, budget: Budget) -> None:
    if transport.price.known:
        return
    limits = (settings.limits, settings.limits_each, *(one.limits for one in budget.line()))
    mend = "Give --price-in and --price-out in dollars per million tokens (0 and 0 for a free one)"
    if any(limit.dollars is not None for limit in limits):
        raise InputError(f"--max-dollars cannot hold for {transport.model}, whose price is not known", mend=f"{mend}.")
    if not any(limit.tokens is not None for limit in (settings.limits, *(one.limits for one in budget.line()))):
        raise InputError(
            f"--models: the price of {transport.model} is not known, and no limit on tokens is set",
            mend=f"{mend}, or --max-tokens-total.",
        )
