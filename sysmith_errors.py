"""Every error a user can meet, as one tree; this module renders nothing and imports nothing.

SysmithError                 exit code 1
├── InputError               2   bad usage or bad input: names the file, the field, the value and the mend
├── BudgetExhausted          3   a limit was reached before the goal
├── MissingPart              4   a sandbox, compiler or tool that the work needs is not there
├── Interrupted            130   stopped by the user; the run can be resumed
└── InternalFault            1   a part broke its own promise (a crashed worker, a damaged file)
"""

from __future__ import annotations

from typing import ClassVar


class SysmithError(Exception):
    """Base of all errors that are reported as one sentence, without a traceback.

    ``mend`` says what the user can do about it; it is part of the message.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, mend: str = "") -> None:
        self.message = message
        self.mend = mend
        super().__init__(f"{message.rstrip('.')}. {mend}" if mend else message)


class InputError(SysmithError):
    """Bad usage or bad input."""

    exit_code = 2


class BudgetExhausted(SysmithError):
    """A budget ended before the goal was met; everything so far is kept."""

    exit_code = 3


class MissingPart(SysmithError):
    """Something the work needs is not on this machine."""

    exit_code = 4


class Interrupted(SysmithError):
    """The user stopped the run; what finished is kept and can be resumed."""

    exit_code = 130


class InternalFault(SysmithError):
    """A part of Sysmith broke its own promise; the message says which."""
