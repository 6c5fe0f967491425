"""Gathers what a prompt says of an operator: overloads, docs, examples, notes, what went wrong; it words nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.protocols import Trial
from kernelgen.lint import Packs
from kernelgen.llm.assemble import outline
from kernelgen.llm.docs import Doc, nested_docs, overload_doc, overload_named
from kernelgen.llm.examples import Example, nearest
from kernelgen.llm.notes import Note, dialect_notes
from kernelgen.llm.situation import Situation, step_of
from kernelgen.proposer import choose
from kernelgen.runtime.overloads import function_name
from kernelgen.synthesis.entry import KernelSource

# Characters of library functions, and of kernels to replace, in a prompt.
HELPERS = 20_000
CURRENT = 30_000


@dataclass(frozen=True)
class Operator:
    """What stays the same while an operator is worked on. ``docs`` are the docstrings of its OpInfo entry; ``advice``
    the rules learned from earlier runs, in words."""

    name: str
    family: str
    doc: str
    dtypes: tuple[str, ...]
    targets: tuple[str, ...]
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """One overload to write: ``state`` is ``missing``, ``failing`` or ``slow``, ``current`` the kernel it has now."""

    overload: str
    schema: str
    wrapper: str
    state: str
    current: str = ""


@dataclass(frozen=True)
class Question:
    """All that the first message of a conversation shows."""

    operator: Operator
    wanted: tuple[Wanted, ...]
    evidence: str
    docs: tuple[Doc, ...]
    nested: tuple[Doc, ...]
    examples: tuple[Example, ...]
    helpers: Mapping[str, str]
    notes: tuple[Note, ...]
    names: Mapping[str, str]
    measure: Mapping[str, int] = field(default_factory=dict)
    tried: tuple[str, ...] = ()


def wanted_overload(key: str, state: str, current: str = "") -> Wanted:
    """Describe one overload; its schema becomes the wrapper's parameter list."""
    from kernelgen.synthesis.schema import signature

    schema = overload_named(key)._schema  # type: ignore[union-attr]  # only overloads that PyTorch has get here
    parameters = signature(key) if "::" not in key else ", ".join(argument.name for argument in schema.arguments)
    return Wanted(key, str(schema), f"{function_name(key)}({parameters})", state, current)


def ask_about(
    operator: Operator,
    found: Situation,
    earlier: Sequence[Trial],
    library: Mapping[str, Sequence[KernelSource]],
    packs: Packs,
) -> Question:
    """Build the question of a new conversation; ``earlier`` are the trials before it."""
    base = found.base
    metrics = base.evaluation.metrics if base is not None else {}
    payload = base.proposal.payload if base is not None else {}
    current = choose(library, payload.get("variants", {}), payload.get("kernels", {}))
    wanted, room = [], CURRENT
    for key, state in found.wanted.items():
        shown = _short(current.get(key, "")) if state != "missing" else ""
        shown = shown if len(shown) <= room else ""
        room -= len(shown)
        wanted.append(wanted_overload(key, state, shown))
    docs = [Doc(f"the operator {operator.name}", operator.doc)] if operator.doc else []
    for key in found.wanted:
        doc = overload_doc(key)
        if doc is not None and doc.text not in {one.text for one in docs}:
            docs.append(doc)
    nested = nested_docs("\n".join(doc.text for doc in docs), tuple(doc.name for doc in docs))
    nested = [doc for doc in nested if doc.text not in {one.text for one in docs}]
    failing = set(metrics.get("culprits", ())) | set(metrics.get("lint", {}))
    examples = nearest(list(found.wanted), operator.family, library, failing)
    return Question(
        operator,
        tuple(wanted),
        str(metrics.get("reason", "")) if not found.improving else "",
        tuple(docs),
        tuple(nested),
        tuple(examples),
        _helpers(examples),
        tuple(dialect_notes(operator.targets)),
        allowed_names(packs),
        _numbers(metrics) if found.improving else {},
        tuple(_tried(earlier)),
    )


def _short(text: str) -> str:
    """One of our own kernels without the library functions it carries."""
    try:
        return outline(text)[1]
    except SyntaxError:
        return text


def _helpers(examples: Sequence[Example]) -> dict[str, str]:
    """The library functions that the examples use, whole ones only, the nearest example's first."""
    helpers: dict[str, str] = {}
    room = HELPERS
    for example in examples:
        for name, text in example.helpers.items():
            if name not in helpers and len(text) <= room:
                helpers[name] = text
                room -= len(text)
    return helpers


def _numbers(metrics: Mapping[str, Any]) -> dict[str, int]:
    from kernelgen.llm.measure import Measure

    return Measure.from_json(metrics["measure"]).named() if "measure" in metrics else {}


def _tried(earlier: Sequence[Trial]) -> list[str]:
    """One line for each earlier answer: how it went about it and where it ended."""
    lines = []
    for trial in earlier:
        if step_of(trial) is not None:
            stage = trial.evaluation.metrics.get("stage", "")
            end = " ".join(trial.evaluation.feedback.split())[:300]
            lines.append(f"{' '.join(trial.proposal.rationale.split())[:400]} It ended at: {stage}. {end}")
    return lines


def allowed_names(packs: Packs) -> dict[str, str]:
    """What lint allows, as lists to read: the same lists that it judges by."""
    shown = {
        "kernel": "kernel.tl",
        "allocations": "wrapper.alloc",
        "views": "wrapper.views",
        "view methods": "wrapper.view_methods",
        "questions": "wrapper.meta",
        "attributes": "wrapper.attributes",
        "methods": "wrapper.meta_methods",
    }
    return {what: ", ".join(sorted(packs.lists[name])) for what, name in shown.items()}
