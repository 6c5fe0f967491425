"""Reads rule packs (TOML) and merges them; what the rules mean is decided by the checkers."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from sysmith_files import why_unreadable

_HERE = Path(__file__).parent / "packs"
_SEVERITIES = ("error", "warning", "info")
_LISTS = {
    "imports": ("modules", "from"),
    "kernel": ("tl", "math", "builtins", "triton", "attributes"),
    "wrapper": (
        *("alloc", "views", "meta", "constants", "triton", "tl", "math", "attributes", "view_attributes"),
        *("meta_methods", "view_methods", "alloc_methods", "host_read_methods", "python_attributes"),
        *("python_methods", "ambiguous", "mutators", "builtins", "decorators"),
    ),
}
_TABLES = ("forbidden", "forbidden_modules", "forbidden_attributes")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id, how much it weighs, why it exists and how to mend a breach."""

    id: str
    severity: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Packs:
    """Merged packs. ``lists`` is keyed ``section.name``; ``tables`` maps a forbidden name to the id of its rule."""

    targets: tuple[str, ...]
    rules: dict[str, Rule]
    lists: dict[str, frozenset[str]]
    tables: dict[str, dict[str, str]]

    def allows(self, list_name: str, name: str) -> bool:
        """Whether ``name`` is in an allow-list; ``*`` in the list allows everything."""
        names = self.lists[list_name]
        return name in names or "*" in names

    def forbidden(self, dotted: str) -> str | None:
        """The rule id of a dotted name or of its nearest forbidden parent, if there is one."""
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            rule = self.tables["forbidden"].get(".".join(parts[:end]))
            if rule:
                return rule
        return None


def load_packs(targets: Sequence[str] = ("interpret",), extra_paths: Iterable[str | Path] = ()) -> Packs:
    """The common pack, one pack for each target, then the caller's own packs, later ones last.

    A target is ``interpret``, ``cuda``, ``hip`` or one of these with an architecture (``cuda:90``). A target without a
    pack, such as one from a plug-in, gets the common rules. The strictest severity among targets wins, names that any
    target denies are denied, and names that only some targets add are not added.

    Raises:
        InputError: a pack cannot be read, or a field in it is unknown or of the wrong type.
    """
    families = tuple(dict.fromkeys(target.split(":")[0] for target in targets))
    builtin = [_parse(_HERE / f"{name}.toml") for name in families if (_HERE / f"{name}.toml").is_file()]
    common = _parse(_HERE / "common.toml")
    lists = {key: set(value) for key, value in common.lists.items()}
    for key in lists:
        added = [pack.lists.get(key, frozenset()) for pack in builtin]
        if added and len(added) == len(families):
            lists[key] |= frozenset.intersection(*map(frozenset, added))
    rules = {key: dict(value) for key, value in _parse(_HERE / "rules.toml").rules.items()}
    for rule_id in rules:
        versions = [{**rules[rule_id], **pack.rules.get(rule_id, {})} for pack in builtin]
        if versions:
            rules[rule_id] = min(versions, key=lambda rule: _SEVERITIES.index(rule["severity"]))
    tables = {key: dict(value) for key, value in common.tables.items()}
    own = [_parse(Path(path)) for path in extra_paths]
    for pack in [*builtin, *own]:
        for key, denied in pack.deny.items():
            lists[key] -= denied
        for key, table in pack.tables.items():
            tables[key].update(table)
    for pack in own:
        for key, added_names in pack.lists.items():
            lists[key] |= added_names
        for rule_id, fields in pack.rules.items():
            rules[rule_id] = {**rules.get(rule_id, {}), **fields}
    built = {rule_id: _rule(rule_id, fields, own) for rule_id, fields in rules.items()}
    for pack in own:
        for key, table in pack.tables.items():
            for name, rule_id in table.items():
                if rule_id not in built:
                    raise _damaged(pack.path, f"{key}.{name}", f"names no known rule: {rule_id!r}")
    return Packs(tuple(targets), built, {key: frozenset(value) for key, value in lists.items()}, tables)


@dataclass(frozen=True, slots=True)
class _Pack:
    path: Path
    rules: dict[str, dict[str, str]]
    lists: dict[str, frozenset[str]]
    deny: dict[str, frozenset[str]]
    tables: dict[str, dict[str, str]]


def _damaged(path: Path, field: str, problem: str) -> InputError:
    return InputError(
        f"rule pack {path}: {field} {problem}", mend="Correct the pack; kernelgen/lint/packs has examples."
    )


def _rule(rule_id: str, fields: dict[str, str], own: Sequence[_Pack]) -> Rule:
    for name in ("severity", "why", "mend"):
        if name not in fields:
            path = next((pack.path for pack in own if rule_id in pack.rules), _HERE / "rules.toml")
            raise _damaged(path, f"rules.{rule_id}.{name}", "is missing")
    return Rule(rule_id, fields["severity"], fields["why"], fields["mend"])


def _parse(path: Path) -> _Pack:
    try:
        data = _read(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"rule pack {path} cannot be read: {why_unreadable(error)}", mend="Give the path of a TOML file."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise _damaged(path, "the file", f"is not valid TOML ({error})") from None
    unknown = set(data) - {*_LISTS, *_TABLES, "rules", "deny"}
    if unknown:
        raise _damaged(path, sorted(unknown)[0], "is not a section of a pack")
    return _Pack(
        path,
        _rules(path, data.get("rules", {})),
        _name_lists(path, data, ""),
        _name_lists(path, data.get("deny", {}), "deny."),
        {key: _string_table(path, key, data[key]) for key in _TABLES if key in data},
    )


@lru_cache(maxsize=64)
def _read(path: Path, _changed_ns: int) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def _rules(path: Path, section: Any) -> dict[str, dict[str, str]]:
    if not isinstance(section, dict):
        raise _damaged(path, "rules", "is not a table")
    out = {}
    for rule_id, fields in section.items():
        table = _string_table(path, f"rules.{rule_id}", fields)
        for name in table:
            if name not in ("severity", "why", "mend"):
                raise _damaged(path, f"rules.{rule_id}.{name}", "is not a field of a rule")
        if table.get("severity", "error") not in _SEVERITIES:
            raise _damaged(path, f"rules.{rule_id}.severity", f"is {table['severity']!r}, not error, warning or info")
        out[rule_id] = table
    return out


def _string_table(path: Path, field: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _damaged(path, field, "is not a table")
    for name, text in value.items():
        if not isinstance(text, str):
            raise _damaged(path, f"{field}.{name}", "is not a string")
    return dict(value)


def _name_lists(path: Path, data: Any, prefix: str) -> dict[str, frozenset[str]]:
    if not isinstance(data, dict):
        raise _damaged(path, prefix.rstrip("."), "is not a table")
    out = {}
    for section, names in _LISTS.items():
        table = data.get(section, {})
        if not isinstance(table, dict):
            raise _damaged(path, prefix + section, "is not a table")
        for name, value in table.items():
            if name not in names:
                raise _damaged(path, f"{prefix}{section}.{name}", "is not a list that packs have")
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise _damaged(path, f"{prefix}{section}.{name}", "is not a list of strings")
            out[f"{section}.{name}"] = frozenset(value)
    if prefix and set(data) - set(_LISTS):
        raise _damaged(path, prefix + sorted(set(data) - set(_LISTS))[0], "is not a section of a pack")
    return out
