"""Which operators and dtypes a run works on: parses --ops and --dtypes; touches no kernels."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path

from kernelgen.catalog.families import family_names
from sysmith_errors import InputError
from sysmith_files import why_unreadable

REFERENCE_DTYPES = ("bfloat16", "float16", "float32", "int32", "int64")
DTYPES = (
    *REFERENCE_DTYPES,
    *("bool", "uint8", "int8", "int16", "float64"),
    *("complex32", "complex64", "complex128"),
)


def select(text: str, families: Mapping[str, str], reference: Sequence[str]) -> list[str]:
    """Return the OpInfo names that ``--ops`` asks for, in the catalog's order.

    ``text`` is a comma list of names, shell patterns (``linalg.*``), ``all``, ``reference``, ``family:NAME`` or
    ``@FILE`` with a name on each line. ``families`` maps every name of the catalog to its family. Raises InputError
    naming the item that selects nothing.
    """
    chosen: set[str] = set()
    for item in _items(text):
        found = _expand(item, families, reference)
        if not found:
            close = [name for name in families if item in name][:5]
            mend = f"Close names: {', '.join(close)}." if close else "See sysmith kernelgen list."
            raise InputError(f"--ops: no operator is called {item!r}", mend=mend)
        chosen.update(found)
    if not chosen:
        raise InputError("--ops is empty", mend="Name operators, for example --ops add,mm or --ops all.")
    return [name for name in families if name in chosen]


def _items(text: str) -> list[str]:
    items: list[str] = []
    for part in (p.strip() for p in text.split(",")):
        if part.startswith("@"):
            path = Path(part[1:])
            try:
                lines = path.read_text().splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(
                    f"--ops: {path} cannot be read: {why_unreadable(error)}",
                    mend="Name a text file, a name on each line.",
                ) from None
            items.extend(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
        elif part:
            items.append(part)
    return items


def _expand(item: str, families: Mapping[str, str], reference: Sequence[str]) -> list[str]:
    if item == "all":
        return list(families)
    if item == "reference":
        return [name for name in reference if name in families]
    if item.startswith("family:"):
        family = item.removeprefix("family:")
        if family not in family_names():
            raise InputError(f"--ops: there is no family {family!r}", mend=f"Families: {', '.join(family_names())}.")
        return [name for name, own in families.items() if own == family]
    return fnmatch.filter(families, item) if any(c in item for c in "*?[") else [item] if item in families else []


def parse_dtypes(text: str) -> tuple[str, ...]:
    """Return the dtypes of ``--dtypes``: ``all``, ``reference`` or a list. Raises InputError on an unknown one."""
    if text == "all":
        return DTYPES
    if text == "reference":
        return REFERENCE_DTYPES
    names = [part.strip().removeprefix("torch.") for part in text.split(",") if part.strip()]
    for name in names:
        if name not in DTYPES:
            raise InputError(
                f"--dtypes: {name!r} is not a dtype OpInfo tests", mend=f"Use {', '.join(DTYPES)}, reference or all."
            )
    if not names:
        raise InputError("--dtypes is empty", mend="Use reference, all or a list such as float32,int64.")
    return tuple(dict.fromkeys(names))
