"""What every reader hands on: a manual as a stream of headings, entries and texts; it knows no file format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_PARAMETER = re.compile(r"(?:--?[A-Za-z0-9]|[A-Za-z_*{$])[\w.*\-/:+{}$|]*")


@dataclass(frozen=True)
class Block:
    """One piece of a manual, in reading order.

    ``heading`` opens a section of ``level`` (1 is the outermost) called ``text``. ``entry`` explains one parameter or
    term, ``label``. ``text`` is a paragraph, a listing or a table. ``line`` counts from 1 in the file (decompressed);
    ``page`` counts from 1 where the format has pages, and is 0 elsewhere.
    """

    kind: Literal["heading", "entry", "text"]
    text: str
    line: int
    level: int = 0
    label: str = ""
    page: int = 0


def clean(text: str) -> str:
    """``text`` without control characters and invisible ones: a manual must not steer a terminal or hide words."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " "))


def flat(text: str) -> str:
    """``text`` on one line, with single spaces."""
    return " ".join(clean(text).split())


def looks_like_parameter(text: str) -> bool:
    """Whether ``text`` reads as the name of a parameter: one word with ``.``, ``_``, ``-``, ``=`` or a capital inside.

    A value or place holder may follow: ``--max-jobs=nr``, ``nfs.port <PORT>``.
    """
    word = re.split(r"[=<\[(,\s]", text.strip().strip("`*\"'"), maxsplit=1)[0].rstrip(":")
    if not _PARAMETER.fullmatch(word) or len(word) < 2 or len(text) > 120:
        return False
    if word == text.strip() or "=" in text or "<" in text:
        return bool(re.search(r"[._\-*]|[a-z][A-Z]", word)) or "=" in text
    return word.startswith("-") or (bool(re.search(r"[a-z][._][a-z]", word)) and len(text.split()) <= 4)
