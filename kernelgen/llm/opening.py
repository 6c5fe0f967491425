"""Opens the models of a run and makes each operator's proposer; the one module of this package that a run imports for
it, and only when a model is named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from agents.budget import Budget
from agents.events import EventLog
from agents.llm import LLM
from agents.protocols import Problem
from kernelgen.catalog.record import OperatorFacts
from kernelgen.lint import Packs
from kernelgen.llm.options import LLMOptions
from kernelgen.llm.proposer import KernelProposer, Workshop
from kernelgen.llm.question import Operator
from kernelgen.synthesis.entry import KernelSource

ADVICE = "llm_advice"  # lines


def open_shop(
    options: LLMOptions,
    budget: Budget,
    log: EventLog,
    halt: threading.Event,
    library: Mapping[str, Sequence[KernelSource]],
    library_hash: str,
    packs: Packs,
    say: Callable[[str], object],
) -> Workshop:
    """Open the models. Raises InputError for a name, key, price or folder that will not do, MissingPart without
    litellm."""

    def tell(text: str) -> None:
        say(text)

    settings = options.settings
    llm = LLM.open(settings.models, settings=settings, budget=budget, log=log, halt=halt, say=tell)
    return Workshop(llm, options, library, library_hash, packs, say)


def proposer_for(
    shop: Workshop,
    facts: OperatorFacts,
    dtypes: Sequence[str],
    targets: str,
    advice: Sequence[str],
    budget: Budget,
) -> KernelProposer:
    """The proposer of one operator, on the problem's own budget."""
    names = tuple(name.strip() for name in targets.split(",") if name.strip() not in ("", "interpret"))
    operator = Operator(facts.name, facts.family, facts.doc, tuple(dtypes), names, tuple(advice))
    return KernelProposer(shop, operator, budget)


def advice_for(problem: Problem, log: EventLog, ask: Callable[[Problem], Sequence[str]]) -> tuple[str, ...]:
    """What earlier runs taught, asked once for a problem: a resumed run must ask a model the same question again."""
    for event in log.of(problem.name):
        if event.kind == ADVICE:
            return tuple(map(str, log.unpack(event)["lines"]))
    lines = tuple(ask(problem))
    log.append(ADVICE, {"lines": list(lines)}, problem=problem.name)
    return lines
