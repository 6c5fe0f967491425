"""Detection rules of ``sysmith runs audit``: reads them from TOML, ours and the user's; it looks at no run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sysmith_errors import InputError

BUILTIN = Path(__file__).with_name("audit_rules.toml")
SEVERITIES = ("severe", "warning", "note")
CHANNELS = ("candidate", "verdict", "prompt", "answer", "analysis", "options", "other")
SECRET = "secret"  # its detection needs the environment, so it is in agents.audit; the file may change its severity
_TEXTS, _LISTS = ("id", "severity", "title", "why", "like"), ("channels", "patterns", "paths", "commands")
_MEND = "Correct it; agents/audit_rules.toml explains the form."


@dataclass(frozen=True)
class AuditRule:
    """One rule; see the head of ``audit_rules.toml`` for its fields. ``patterns`` and ``paths`` are compiled."""

    id: str
    severity: str
    title: str
    why: str
    channels: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    paths: tuple[re.Pattern[str], ...] = ()
    commands: tuple[str, ...] = ()

    def looks_at(self, channel: str, path: str, command: str) -> bool:
        """Whether the rule is about a text in this place of a run of ``command``."""
        return (
            channel in self.channels
            and (not self.commands or command in self.commands)
            and (not self.paths or any(pattern.search(path) for pattern in self.paths))
        )


def load_rules(extra: Iterable[Path] = ()) -> list[AuditRule]:
    """Our rules and those in the files ``extra``, later ones in place of earlier ones of the same id.

    Raises InputError naming file, rule and field for a file that cannot be read or holds what no rule has.
    """
    rules: dict[str, AuditRule] = {}
    for path in (BUILTIN, *extra):
        _read(path, rules)
    return [rule for rule in rules.values() if rule.severity != "off"]


def _read(path: Path, known: dict[str, AuditRule]) -> None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"audit rules {path} cannot be read: {error.strerror}", mend="Give a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"audit rules {path} are not valid TOML: {error}", mend=_MEND) from error
    unknown = set(data) - {"rule"}
    if unknown or not isinstance(data.get("rule", []), list):
        name = sorted(unknown)[0] if unknown else "rule"
        raise InputError(f"audit rules {path}: {name} is not a list of [[rule]] tables", mend=_MEND)
    for number, table in enumerate(data.get("rule", []), start=1):
        rule = _rule(path, number, table, known)
        known[rule.id] = rule


def _rule(path: Path, number: int, table: Any, known: dict[str, AuditRule]) -> AuditRule:
    where = f"audit rules {path}: rule {number}"
    if not isinstance(table, dict) or not isinstance(table.get("id"), str) or not table["id"]:
        raise InputError(f"{where} has no id", mend=_MEND)
    where = f"{where} ({table['id']})"
    for name, value in table.items():
        if name not in (*_TEXTS, *_LISTS):
            raise InputError(f"{where}: {name} is not a field of a rule", mend=_MEND)
        if name in _TEXTS and not isinstance(value, str):
            raise InputError(f"{where}: {name} = {value!r} is not a text", mend=_MEND)
        if name in _LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise InputError(f"{where}: {name} = {value!r} is not a list of texts", mend=_MEND)
    severity = table.get("severity", "")
    if severity not in (*SEVERITIES, "off"):
        raise InputError(f"{where}: severity is {severity!r}, not severe, warning, note or off", mend=_MEND)
    old = known.get(table["id"])
    if severity == "off" or (table["id"] == SECRET and old is None):
        return AuditRule(table["id"], severity, "", "", (), ())
    if "like" in table and table["like"] not in known:
        raise InputError(f"{where}: like names no rule before it: {table['like']!r}", mend=_MEND)
    like = known.get(table.get("like", ""), old)
    for name in ("title", "why", "channels", *(() if like else ("patterns",))):
        if name not in table and old is None:
            raise InputError(f"{where}: {name} is missing", mend=_MEND)
    for channel in table.get("channels", ()):
        if channel not in CHANNELS:
            raise InputError(f"{where}: channel {channel!r} is unknown", mend=f"Known are {', '.join(CHANNELS)}.")
    return AuditRule(
        id=table["id"],
        severity=severity,
        title=table.get("title", old.title if old else ""),
        why=table.get("why", old.why if old else ""),
        channels=tuple(table.get("channels", old.channels if old else ())),
        patterns=_compiled(where, table, "patterns", like.patterns if like else ()),
        paths=_compiled(where, table, "paths", old.paths if old else ()),
        commands=tuple(table.get("commands", old.commands if old else ())),
    )


def _compiled(
    where: str, table: dict[str, Any], name: str, otherwise: tuple[re.Pattern[str], ...]
) -> tuple[re.Pattern[str], ...]:
    if name not in table:
        return otherwise
    compiled = []
    for text in table[name]:
        try:
            compiled.append(re.compile(text, re.IGNORECASE | re.MULTILINE))
        except re.error as error:
            raise InputError(f"{where}: {name} has {text!r}, no regular expression: {error}", mend=_MEND) from error
    return tuple(compiled)
