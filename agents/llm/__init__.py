"""Asking language models: ``LLM.open`` and ``LLM.ask`` are the way in, the other names are what they take and give.

    llm = LLM.open(settings.models, settings=settings, budget=run_budget, log=run.log, halt=halt)
    answer = llm.ask(messages, AnswerType, problem="add", phase="propose", tier=0, budget=problem_budget)
    answer.value      # an instance of AnswerType, a pydantic model

Nothing heavy is imported before a model is opened.
"""

from agents.llm.client import LLM
from agents.llm.errors import LLMError, MalformedAnswer, Refused, Unreachable
from agents.llm.prompt import Evidence, compose
from agents.llm.proposer import LLMProposer
from agents.llm.quote import clip, quoted, visible
from agents.llm.secrets import Redactor, child_environment
from agents.llm.settings import LLMSettings, settings_from_options
from agents.llm.types import Answer, Completion, Message, Request, Transport

__all__ = [
    "LLM",
    "Answer",
    "Completion",
    "Evidence",
    "LLMError",
    "LLMProposer",
    "LLMSettings",
    "MalformedAnswer",
    "Message",
    "Redactor",
    "Refused",
    "Request",
    "Transport",
    "Unreachable",
    "child_environment",
    "clip",
    "compose",
    "quoted",
    "settings_from_options",
    "visible",
]
