"""Words a question and the feedback on an answer, from the templates beside it; it decides nothing.

Everything that was not written here (docstrings, test output, lint and compiler messages, a model's own words) is
fenced with ``agents.llm.quoted``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from agents.llm.prompt import DATA_RULE
from agents.llm.quote import quoted
from agents.llm.types import Message
from kernelgen.llm.feedback import Feedback
from kernelgen.llm.measure import MARGIN
from kernelgen.llm.options import LLMOptions
from kernelgen.llm.question import Question

_STATES = {
    "missing": "no kernel serves it now",
    "failing": "the kernel it has now, without the library functions it uses",
    "slow": "the kernel it has now, without the library functions it uses",
}


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # The result is read as plain text by a model or a person; nothing renders it.
        autoescape=False,
    )
    environment.filters["quoted"] = lambda text, label, limit: quoted(text, label, limit=limit)
    return environment


def _render(template: str, **values: Any) -> str:
    text = _environment().get_template(template).render(states=_STATES, **values)
    lines: list[str] = []
    for line in text.splitlines():
        # Parts that are absent leave their empty lines behind.
        if line.strip() or (lines and lines[-1].strip()):
            lines.append(line.rstrip() if not line.strip() else line)
    return "\n".join(lines).strip()


def opening(question: Question, session: int, options: LLMOptions) -> list[Message]:
    """The messages that begin a conversation (``session`` from 0). The format of the answer is added by ``LLM.ask``."""
    task = _render(
        "task.md.j2",
        **{name: getattr(question, name) for name in vars(question)},
        improving=any(one.state == "slow" for one in question.wanted),
        helper_text="\n\n\n".join(question.helpers.values()),
        margin=MARGIN,
        session=session,
        sessions=options.sessions,
    )
    return [Message("system", _render("role.md.j2", data_rule=DATA_RULE)), Message("user", task)]


def reply(feedback: Feedback, attempt: int, options: LLMOptions) -> Message:
    """The message that asks for a mended answer; ``attempt`` is that of the answer to come, from 0."""
    values: Mapping[str, Any] = {name: getattr(feedback, name) for name in vars(feedback)}
    return Message("user", _render("feedback.md.j2", **values, attempt=attempt, attempts=options.attempts))
