"""What passes between Sysmith and a language model: messages, requests, completions and the transports' protocol.

It sends nothing. All values are frozen; a request is known by the hash of its content (``Request.key``), which is what
recordings, mailboxes and the event log go by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from agents.protocols import Cost, canonical_json

Role = Literal["system", "user", "assistant"]
ROLES: tuple[str, ...] = ("system", "user", "assistant")

T = TypeVar("T")


@dataclass(frozen=True)
class Message:
    """One turn of a conversation. Raises ValueError for an unknown role."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"a message's role is one of {', '.join(ROLES)}, not {self.role!r}")


@dataclass(frozen=True)
class Request:
    """One question to one model.

    ``max_tokens`` limits the answer; ``temperature`` None leaves it to the provider; ``schema`` is the JSON schema of
    the answer; ``seed`` tells the samples of a best-of-n apart.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    schema: Mapping[str, Any] | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(self.messages))

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of the canonical JSON of all fields: equal requests have equal keys, on every machine."""
        return hashlib.sha256(canonical_json(self.to_json()).encode("utf-8", "surrogatepass")).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "schema": None if self.schema is None else dict(self.schema),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Completion:
    """What a model answered, and what that cost: ``dollars`` in US dollars, ``seconds`` of wall time.

    ``reported`` is False where the provider told no token counts, and the numbers are estimates. ``truncated`` says
    that the answer ran into ``max_tokens``.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0
    reported: bool = True
    truncated: bool = False

    @property
    def cost(self) -> Cost:
        """As a budget counts it: one call, all tokens."""
        return Cost(tokens=self.prompt_tokens + self.completion_tokens, dollars=self.dollars, calls=1)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A validated answer: ``value`` is an instance of the answer type asked for.

    ``source`` goes into proposals as it is. ``cost`` is what this asking added to the budget: nothing where the event
    log had the answer already (``replayed``). ``key`` is the request's, ``text`` the answer as the model wrote it.
    """

    value: T
    model: str
    key: str
    text: str
    cost: Cost = field(default_factory=Cost)
    replayed: bool = False

    @property
    def source(self) -> str:
        return f"llm:{self.model}"


@runtime_checkable
class Transport(Protocol):
    """Carries one request to a model and brings the completion back.

    ``model`` is the name requests carry. ``most(request)`` is the most that the request can cost, which is reserved
    beforehand. ``patient`` transports wait for a person, so that only the budget's clock limits them.
    ``complete`` raises ``Unreachable`` for what is worth another try, ``Refused`` for what is not.
    """

    model: str
    patient: bool

    def most(self, request: Request) -> Cost: ...

    def complete(self, request: Request, timeout_s: float | None) -> Completion: ...


def prompt_bytes(messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> int:
    """An upper bound on the tokens of a prompt: every tokenizer in use makes at most one token of a byte of UTF-8.

    The markers around each message, and the wrapping that providers put around a schema, are allowed for.
    """
    text = sum(len(message.content.encode("utf-8", "surrogatepass")) + 16 for message in messages)
    return 32 + text + (0 if schema is None else 512 + len(canonical_json(dict(schema)).encode()))
