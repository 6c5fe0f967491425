"""What can go wrong with a language model, below ``SysmithError``; it handles nothing.

LLMError                  exit code 1
├── Refused               the provider said no, and would say it again (key, model name, request)
├── Unreachable           rate limit, server error, timeout, no connection: worth another try, then given up
└── MalformedAnswer       the answer did not fit its type, nor did the repaired one
"""

from __future__ import annotations

from sysmith_errors import SysmithError


class LLMError(SysmithError):
    """Base of everything that a model or the way to it did wrong."""


class Refused(LLMError):
    """The provider refused the request; the same request would be refused again.

    ``lasting`` means that every request to this model would be (a bad key, an unknown model), not just this one.
    """

    def __init__(self, message: str, *, mend: str = "", lasting: bool = False) -> None:
        super().__init__(message, mend=mend)
        self.lasting = lasting


class Unreachable(LLMError):
    """No completion came, for a reason that may pass.

    ``retry_after_s`` is what the provider asked us to wait, in seconds. ``perhaps_billed`` is True where the request
    may have been served although the answer was lost (a timeout, a broken connection).
    """

    def __init__(
        self, message: str, *, mend: str = "", retry_after_s: float | None = None, perhaps_billed: bool = False
    ) -> None:
        super().__init__(message, mend=mend)
        self.retry_after_s = retry_after_s
        self.perhaps_billed = perhaps_billed


class MalformedAnswer(LLMError):
    """The answer does not fit the type asked for; the message says where."""
