"""Keeps secrets out of whatever leaves the process: one redactor for prompts, logs, recordings, errors and children.

A secret is the value of an environment variable whose name says so (``OPENAI_API_KEY``, ``HF_TOKEN``), anything given
by name, and anything of a well-known shape (a bearer token, an AWS key id, a password inside a URL).
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 8  # a shorter value would also be found in innocent text, and it is no secret worth the name

_NAME = re.compile(
    r"(^|_)(API_?KEYS?|ACCESS_KEY(_ID)?|SECRETS?(_ACCESS)?(_KEYS?)?|PRIVATE_KEY|AUTH|TOKENS?|PASSWORD|PASSWD|PASS|PAT)$",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"(^|_)MAX_(\w+_)?TOKENS?$", re.IGNORECASE)
# Shapes that providers document for their keys; the group is what is replaced.
_SHAPES = (
    re.compile(r"\b(sk-[A-Za-z0-9_-]{16,}|sk-ant-[A-Za-z0-9_-]{16,})"),
    re.compile(r"\b((?:AKIA|ASIA)[A-Z0-9]{16})\b"),
    re.compile(
        r"\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,})"
    ),
    re.compile(r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{12,})"),
    re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL),
)


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name holds a secret."""
    return bool(_NAME.search(name)) and not _NOT_SECRET.search(name)


class Redactor:
    """Replaces every known secret in a text by ``[redacted NAME]``, also where it is escaped or encoded.

    ``secrets`` maps names to values; values under 8 characters are ignored.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms: dict[str, str] = {}
        for name, value in secrets.items():
            if len(value.strip()) >= SHORTEST:
                for form in _forms(value.strip()):
                    forms.setdefault(form, name)
        self._names = forms
        # Longest first, so that a secret which contains another is replaced whole.
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    @classmethod
    def of_environment(cls, extra: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> Redactor:
        """The secrets of ``environment`` (this process's by default), and ``extra`` values that were passed in."""
        source = os.environ if environment is None else environment
        secrets = {name: value for name, value in source.items() if is_secret_name(name)}
        return cls(secrets | {f"secret {number}": value for number, value in enumerate(extra, start=1)})

    def text(self, text: str) -> str:
        """``text`` without secrets; equal where it holds none."""
        if self._pattern is not None:
            text = self._pattern.sub(lambda found: f"[redacted {self._names[found[0]]}]", text)
        for shape in _SHAPES:
            text = shape.sub(_blank, text)
        return text

    def value(self, value: Any) -> Any:
        """The same for every text in a JSON-like value, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def child_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment (this process's by default) for a child that needs one: without the secrets, by name or shape."""
    source = dict(os.environ if environment is None else environment)
    redactor = Redactor.of_environment(environment=source)
    return {name: value for name, value in source.items() if not is_secret_name(name) and redactor.text(value) == value}


def _blank(found: re.Match[str]) -> str:
    if found[1].startswith("[redacted"):
        return found[0]
    begin, end = found.start(1) - found.start(), found.end(1) - found.start()
    return f"{found[0][:begin]}[redacted]{found[0][end:]}"


def _forms(value: str) -> set[str]:
    """The ways in which a value turns up: plain, in JSON, in a URL, in hexadecimal, in base64 at any offset."""
    forms = {value, json.dumps(value)[1:-1], quote(value, safe=""), quote_plus(value)}
    raw = value.encode("utf-8", "surrogatepass")
    forms |= {raw.hex(), raw.hex().upper()}
    for shift in range(3):
        # The first and last characters of each alignment depend on the neighbours, so they are left out.
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        core = encoded[(0, 2, 3)[shift] :].rstrip("=")[: -1 if (len(raw) + shift) % 3 else None]
        if len(core) >= SHORTEST + 2:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return {form for form in forms if form}
