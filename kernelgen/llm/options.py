"""How far a model is asked for one operator: conversations, repairs, candidates; it asks nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.llm.settings import LLMSettings
from sysmith_errors import InputError

SESSIONS = 2
ATTEMPTS = 4


@dataclass(frozen=True)
class LLMOptions:
    """``sessions`` fresh conversations for an operator, each with up to ``attempts`` answers, each of ``best_of``
    candidates asked for at once. ``improve`` asks for operators that pass too. Make it with :func:`resolve`."""

    settings: LLMSettings
    sessions: int = SESSIONS
    attempts: int = ATTEMPTS
    best_of: int = 1
    improve: bool = False

    def tier(self, session: int) -> int:
        """Which model (0: the cheapest) leads a conversation, counted from 0: the conversations are dealt out evenly,
        cheapest model first."""
        return session * len(self.settings.models) // self.sessions

    def recorded(self) -> dict[str, Any]:
        """What decides the outcome, for ``run.json``. Limits are left out: a resumed run may raise them."""
        return self.settings.recorded() | {
            "sessions": self.sessions,
            "attempts": self.attempts,
            "best_of": self.best_of,
            "improve": self.improve,
        }


def resolve(
    settings: LLMSettings, *, sessions: int = 0, attempts: int = ATTEMPTS, best_of: int = 1, improve: bool = False
) -> LLMOptions | None:
    """The options, or None where no model is named. ``sessions`` 0 is 2, or one for each model where there are more.

    Raises InputError for fewer conversations than models, and for ``improve`` without a model.
    """
    if not settings.models:
        if improve:
            raise InputError("--improve is given without --models", mend="Name a model: --models NAME.")
        return None
    models = len(settings.models)
    if sessions and sessions < models:
        raise InputError(
            f"--sessions {sessions} is fewer than the {models} models of --models",
            mend="Give each model a session, or name fewer models.",
        )
    return LLMOptions(settings, sessions or max(SESSIONS, models), attempts, best_of, improve)
