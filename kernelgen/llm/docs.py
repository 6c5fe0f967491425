"""What PyTorch says of an overload and of the functions its text refers to; reads the installed PyTorch, calls nothing.

Docstrings come with PyTorch, yet a prompt quotes them as data like any other text from outside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

# Sphinx roles and plain double backticks that name something of torch's.
_REFERENCE = re.compile(r":(?:func|meth|class|attr|obj|mod):`~?([\w.]+)`|``(torch\.[\w.]+)``")
_PLACES = ("", "nn.functional", "Tensor", "special", "linalg", "fft", "sparse", "ops.aten")
_DEPTH = 2
_MOST = 6


@dataclass(frozen=True)
class Doc:
    """One docstring; ``name`` is where PyTorch keeps it."""

    name: str
    text: str


def overload_named(key: str) -> Any | None:
    """The ``OpOverload`` of ``add.Tensor`` or ``prims::sin.default``; None where this PyTorch has none."""
    import torch

    namespace, _, rest = key.rpartition("::")
    name, _, overload = rest.partition(".")
    packet = getattr(getattr(torch.ops, namespace or "aten"), name, None)
    return getattr(packet, overload, None)


def askable(key: str) -> bool:
    """Whether a kernel file can serve the overload: it exists, and its name makes a name of a function."""
    from kernelgen.runtime.overloads import function_name

    return function_name(key).isidentifier() and overload_named(key) is not None


def draws_random_numbers(key: str) -> bool:
    """Whether PyTorch tags the overload as drawing from a generator, whose numbers no kernel can reproduce."""
    import torch

    found = overload_named(key)
    return found is not None and torch.Tag.nondeterministic_seeded in found.tags


@cache
def overload_doc(key: str) -> Doc | None:
    """The docstring of the Python function behind an overload, where there is one."""
    name = key.rpartition("::")[2].partition(".")[0]
    names = [name, name.strip("_"), *(name.removeprefix(f"{place}_") for place in ("special", "linalg", "fft"))]
    for candidate in dict.fromkeys(names):
        for place in _PLACES[:-1]:
            doc = _doc(f"torch.{place}.{candidate}" if place else f"torch.{candidate}")
            if doc:
                return doc
    return None


def nested_docs(text: str, known: tuple[str, ...] = ()) -> list[Doc]:
    """The docstrings that ``text`` refers to, and those that they refer to: nearest first, at most six.

    ``known`` names what the prompt shows anyway.
    """
    seen, level = set(known), [text]
    found: list[Doc] = []
    for _ in range(_DEPTH):
        following = []
        for name in (name for piece in level for name in _references(piece)):
            doc = _doc(name) if name not in seen else None
            seen.add(name)
            if doc is not None and doc.text not in {text, *(one.text for one in found)}:
                found.append(doc)
                following.append(doc.text)
        level = following
    return found[:_MOST]


def _references(text: str) -> list[str]:
    names = []
    for role, plain in _REFERENCE.findall(text):
        name = role or plain
        names.append(name if name.startswith("torch.") else f"torch.{name}")
    return list(dict.fromkeys(names))


def _doc(name: str) -> Doc | None:
    import torch

    value: Any = torch
    for part in name.split(".")[1:]:
        # Private names and modules are no functions that a text would explain.
        if part.startswith("__"):
            return None
        value = getattr(value, part, None)
    text = getattr(value, "__doc__", None)
    if not callable(value) or isinstance(value, type) or not isinstance(text, str) or len(text.strip()) < 40:
        return None
    return Doc(name, text.strip())
