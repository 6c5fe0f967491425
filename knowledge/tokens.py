"""From text to search terms: whole names of parameters, their parts, and words without endings; English only."""

from __future__ import annotations

import re

# A name may hold dots, dashes, slashes and wild cards inside: osc.*.max_dirty_mb, --numjobs, cluster.min-free-disk.
_TERM = re.compile(r"[A-Za-z0-9_*{$<][\w.*{}$<>\-/:+=]*[\w*}]|\w", re.ASCII)
_SPLIT = re.compile(r"[^A-Za-z0-9]+")
_WILD = re.compile(r"[*{}$<>\[\]]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = """
    a about after all also am an and any are as at be because been before being below between both but by can cannot
    could did do does doing done down during each either else etc even ever every few for from further had has have
    having he her here hers him his how however i if in into is it its itself just like made make makes many may me
    might more most much must my need needs no nor not now of off on once only or other others our out over own per
    rather same shall she should since so some such than that the their them then there these they this those though
    through to too under until up upon us use used user uses using very via was we were what when where whether which
    while who whom whose why will with within without would yes yet you your
"""
_STOP = frozenset(_WORDS.split())


def terms(text: str) -> list[str]:
    """The search terms of ``text`` in order, with repetitions.

    A word gives its stem. A name gives itself in lower case without leading dashes, itself without wild cards
    (``osc.*.max_dirty_mb`` also gives ``osc.max_dirty_mb``), each tail after a dot (``max_dirty_mb``) and its words.
    """
    found: list[str] = []
    for match in _TERM.finditer(text):
        raw = match.group(0)
        if "=" in raw:  # --max-jobs=nr, timeo=n: the name and what it is set to
            raw, _, value = raw.partition("=")
            if value and not _WILD.search(value):
                found.extend(_name(value))
        found.extend(_name(raw))
    return found


def words(text: str) -> list[str]:
    """The stems of all words in order, those too that are no search terms: for phrases such as ``turn off``."""
    return [stem(word) for word in _SPLIT.split(text.lower()) if word]


def _name(raw: str) -> list[str]:
    lower = raw.lower().strip("-.:/+*")
    if not lower:
        return []
    words = [word for word in _SPLIT.split(lower) if word]
    if len(words) <= 1 and words == [lower]:
        parts = _CAMEL.split(raw)
        extra = [stem(part.lower()) for part in parts if len(part) > 1] if len(parts) > 1 else []
        return ([] if lower in _STOP else [stem(lower)]) + extra
    segments = [part for part in re.split(r"[./:]", lower) if part and not _WILD.search(part)]
    names: list[str] = []
    if len(segments) > 1:
        names.append(".".join(segments))
    names += [part for part in segments if "_" in part or "-" in part]
    # A name with dashes and one with underscores are often the same one.
    names += [name.replace("-", "_") for name in names if "-" in name]
    return names + [stem(word) for word in words if word not in _STOP and (len(word) > 1 or word.isdigit())]


def stem(word: str) -> str:
    """``word`` without the commonest English endings (steps 1a to 1c of Porter, 1980, with a few more)."""
    if len(word) < 4 or not word.isascii() or any(c.isdigit() for c in word):
        return word
    for ending, put in (("sses", "ss"), ("ies", "y"), ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", "")):
        if word.endswith(ending):
            word = word[: len(word) - len(ending)] + put
            break
    for ending in ("edly", "ingly", "ing", "ed", "er", "ly"):
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) > 2 and re.search(r"[aeiouy]", base):
            if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            word = base
            break
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word
