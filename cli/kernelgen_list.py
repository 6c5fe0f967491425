"""``sysmith kernelgen list``: the catalog and how each overload is served, as text or JSON; it decides nothing."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from cli.progress import Progress
from sysmith_errors import InputError

SCHEMA_VERSION = 1
NOTHING = "nothing"
_FREE = ("view", "allocation", "metadata", "host_read")


def listing(family: str, *, only_missing: bool, details: bool, as_json: bool) -> str:
    """Return the catalog's operators, optionally of one family or with an unserved overload only.

    Records the catalog on first use (minutes, announced on stderr). Raises InputError for an unknown family.
    """
    from kernelgen.catalog.families import family_names
    from kernelgen.catalog.store import catalog

    if family and family not in family_names():
        raise InputError(f"--family: there is no family {family!r}", mend=f"Families: {', '.join(family_names())}.")
    with Progress().recording("recording the operators of this PyTorch, once (minutes)") as note:
        data = catalog(note)
    rows = describe(data)
    rows = [row for row in rows if (not family or row["family"] == family) and (row["missing"] or not only_missing)]
    if not details:
        for row in rows:
            del row["doc"]
    if as_json:
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "torch": data["torch"], "operators": rows}
        if details:
            used = {key for row in rows for key in row["overloads"]}
            document["overloads"] = {key: facts for key, facts in data["overloads"].items() if key in used}
        return json.dumps(document, indent=2)
    return _text(rows, data["overloads"], details)


def describe(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each operator of a catalog (see ``kernelgen.catalog.record.record``).

    ``overloads`` maps each overload to how it is served: ``synthesis`` (an entry of its own), ``derived`` (through its
    functional form's kernel and ``copy_``), ``composition`` (PyTorch's composite or decomposition over kernels),
    ``pytorch`` (a view, an allocation, metadata or one element read back) or ``nothing``.
    """
    served = serving(data["overloads"])
    rows = []
    for facts in data["operators"].values():
        keys = sorted({key for found in facts["overloads"].values() for key in found})
        overloads = {key: served[key] for key in keys}
        rows.append(
            {
                "name": facts["name"],
                "family": facts["family"],
                "entries": facts["entries"],
                "samples": sum(facts["samples"].values()),
                "dtypes": facts["samples"],
                "overloads": overloads,
                "missing": [key for key, how in overloads.items() if how == NOTHING],
                "doc": facts["doc"],
            }
        )
    return rows


def serving(overloads: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return overload -> how it is served, in the router's own order of preference.

    A composition is taken at its word here: whether all that it calls is served shows only when it runs.
    """
    from kernelgen.synthesis.registry import entries

    own = entries()
    return {
        key: "synthesis" if key in own else "pytorch" if facts["kind"] in _FREE else _indirect(key, own)
        for key, facts in overloads.items()
    }


def _indirect(key: str, own: Mapping[str, Any]) -> str:
    from torch._C import _dispatch_has_kernel_for_dispatch_key

    from kernelgen.runtime.compositions import COMPOSITES, decompositions
    from kernelgen.runtime.overloads import functional_of, overload_key

    func = _overload(key)
    if func is None:
        return NOTHING
    functional = functional_of(func)
    if functional is not None and key != "copy_.default":
        base = overload_key(functional)
        return "derived" if "copy_.default" in own and (base in own or _indirect(base, own) != NOTHING) else NOTHING
    composite = key in COMPOSITES or _dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    return "composition" if composite or func in decompositions() else NOTHING


def _overload(key: str) -> Any:
    import torch

    namespace, _, rest = key.rpartition("::")
    name, _, overload = rest.partition(".")
    packet = getattr(getattr(torch.ops, namespace or "aten"), name, None)
    return getattr(packet, overload, None)


def _text(rows: list[dict[str, Any]], facts: Mapping[str, Any], details: bool) -> str:
    if not rows:
        return "no operator matches"
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        own = {key: how for key, how in row["overloads"].items() if how != "pytorch"}
        how = ", ".join(f"{key} ({how})" for key, how in own.items()) or "metadata only"
        lines.append(
            f"{row['name']:{width}}  {row['family']}  {row['entries']} entries  {row['samples']} samples  "
            f"{len(row['dtypes'])} dtypes  {how}"
        )
        if details:
            lines += _details(row, facts)
    computing = {key: how for row in rows for key, how in row["overloads"].items() if how != "pytorch"}
    unserved = sum(how == NOTHING for how in computing.values())
    held = sum(bool(row["missing"]) for row in rows)
    lines.append(
        f"{len(rows)} operators, {len(computing)} computing overloads, {unserved} served by nothing; "
        f"{held} operators need one of those"
    )
    return "\n".join(lines)


def _details(row: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    lines = ["  samples: " + ", ".join(f"{dtype} {count}" for dtype, count in row["dtypes"].items())]
    for key, how in row["overloads"].items():
        fact = facts[key]
        decomposition = ", PyTorch has a decomposition" if fact["decomposition"] else ""
        lines.append(f"  {key}: {fact['kind']}, served by {how}{decomposition}")
        lines.append(f"    {fact['schema']}")
    if row["doc"]:
        lines.append(textwrap.indent(row["doc"], "  | ", lambda line: True))
    return lines
