"""Fences untrusted text, so that a prompt shows it as data; it judges no content.

Manuals, traces, kernel output, compiler messages and a model's own earlier answers may hold instructions meant for the
model. ``quoted`` puts them between two marker lines the text cannot imitate, makes invisible characters visible, blanks
secrets and caps the length. What protects the tool is a second thing: an answer is only ever parsed into its answer
type.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from agents.llm.secrets import Redactor

LIMIT = 8000
# Categories (Unicode 15, table 4-4): controls, invisible formatting, surrogates, private use, not assigned, and the two
# separators that end a line without being a line feed.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SUSPECT = re.compile(r"[^\t\n\x20-\x7e]")


def quoted(text: str, label: str, *, limit: int = LIMIT) -> str:
    """``text`` as a fenced block of data called ``label``, for a prompt.

    At most ``limit`` characters of it are shown, two thirds from its head and one from its tail, with a line that says
    how much is left out. The marker is made from a hash of the text, so equal texts give equal prompts (a request's key
    depends on them), and it is made anew should the text hold it. The code fence is longer than any run of backticks
    inside.
    """
    # Before it is cut: half a key would not be known as one.
    shown = clip(visible(Redactor.of_environment().text(text)), limit)
    name = " ".join(visible(label).split())[:80] or "data"
    marker = _marker(shown, name)
    ticks = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"BEGIN DATA {marker}: {name}\n{fence}text\n{shown}\n{fence}\nEND DATA {marker}"


def visible(text: str) -> str:
    r"""``text`` with every control and invisible character written out (``\x1b``, ``\u202e``); only tab and line feed
    stay. CR LF becomes LF."""
    return _SUSPECT.sub(_written_out, text.replace("\r\n", "\n"))


def clip(text: str, limit: int) -> str:
    """``text``, or its head and tail where it is longer than ``limit`` characters. Raises ValueError below 3."""
    if limit < 3:
        raise ValueError(f"a limit is at least 3 characters, not {limit}")
    if len(text) <= limit:
        return text
    tail = limit // 3
    head = limit - tail
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[-tail:]}"


def _written_out(found: re.Match[str]) -> str:
    character = found[0]
    # Variation selectors and combining grapheme joiners are marks (Mn), and can smuggle text all the same.
    code = ord(character)
    smuggles = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or code == 0x034F
    if unicodedata.category(character) not in _INVISIBLE and not smuggles:
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _marker(text: str, label: str) -> str:
    for attempt in range(1000):
        marker = hashlib.sha256(f"{attempt}\n{label}\n{text}".encode()).hexdigest()[:12]
        if marker not in text and marker not in label:
            return marker
    raise ValueError("no marker was found that the text does not hold")  # 48 bits a thousand times: it does not happen
