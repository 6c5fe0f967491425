"""What tokens cost: prices in US dollars for one token, and the most a request can cost; it knows no price by heart."""

from __future__ import annotations

from dataclasses import dataclass

from agents.llm.types import Request, prompt_bytes
from agents.protocols import Cost


@dataclass(frozen=True)
class Price:
    """US dollars for one token. ``known`` is False where nobody has named a price, and the zeros mean nothing."""

    prompt: float = 0.0
    completion: float = 0.0
    known: bool = True

    @classmethod
    def per_million(cls, prompt: float | None, completion: float | None) -> Price:
        """From the options ``--price-in`` and ``--price-out``; unknown where they are None."""
        if prompt is None or completion is None:
            return cls(known=False)
        return cls(prompt / 1e6, completion / 1e6)

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        return prompt_tokens * self.prompt + completion_tokens * self.completion

    def most(self, request: Request) -> Cost:
        """An upper bound for one call: as many prompt tokens as bytes, and all of ``max_tokens``."""
        prompt = prompt_bytes(request.messages, request.schema)
        return Cost(tokens=prompt + request.max_tokens, dollars=self.of(prompt, request.max_tokens), calls=1)


def estimated_usage(request: Request, text: str) -> tuple[int, int]:
    """Tokens of the prompt and of the answer ``text``, guessed, for a transport that counts none."""
    return sum(estimate_tokens(message.content) for message in request.messages), estimate_tokens(text)


def estimate_tokens(text: str) -> int:
    """A guess for texts that no provider counted: four bytes a token, as English has."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)
