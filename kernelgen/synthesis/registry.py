"""Collects the families' entries and renders them; the one place that knows which overloads synthesis covers."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

from kernelgen.synthesis import families
from kernelgen.synthesis.entry import Entry, KernelSource
from kernelgen.synthesis.inline import standalone

TEMPLATES = Path(__file__).parent / "templates"


@cache
def entries() -> dict[str, tuple[Entry, ...]]:
    """Return overload -> its entries (variants), gathered from ``ENTRIES`` of every module in ``families``."""
    found: dict[str, tuple[Entry, ...]] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(families.__path__)):
        for entry in importlib.import_module(f"{families.__name__}.{module}").ENTRIES:
            same = [e for e in found.get(entry.overload, ()) if e.variant == entry.variant]
            if same:
                raise ValueError(f"{module} defines {entry.overload} variant {entry.variant} a second time")
            found[entry.overload] = (*found.get(entry.overload, ()), entry)
    return found


def family_of(overload: str) -> str:
    """Return the archetype that serves an overload (``pointwise``, ``reduction``, ...); ``""`` if none does."""
    known = entries().get(overload)
    return known[0].template.partition(".")[0] if known else ""


@cache
def _environment() -> Any:
    import jinja2

    from kernelgen.synthesis import schema

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals["signature"] = schema.signature
    return environment


def render(entry: Entry) -> KernelSource:
    """Render one entry to a kernel file. Raises jinja2 or SyntaxError when template and entry do not fit."""
    op, _, overload = entry.overload.partition(".")
    function = f"{op}__{overload}_kernel_impl"
    template = _environment().get_template(entry.template)
    body = template.render(overload=entry.overload, function=function, **entry.params)
    archetype = entry.template.partition(".")[0]
    docstring = f"aten::{entry.overload}, from the {archetype} archetype, variant {entry.variant}."
    return KernelSource(entry.overload, entry.variant, archetype, standalone(body, docstring))


@cache
def sources(overload: str) -> tuple[KernelSource, ...]:
    """Return the rendered variants of an overload, best guess first; empty when synthesis has no entry for it."""
    return tuple(render(entry) for entry in entries().get(overload, ()))
