"""Text from elsewhere (candidates, models, imported files) made fit for a terminal; it knows no command."""

from __future__ import annotations

from typing import Any


def safe(text: Any, most: int = 0) -> str:
    r"""``text`` with control and other invisible characters written out (``\x1b``), so that it cannot move the cursor
    or hide anything; line feeds stay. With ``most`` it is one line of at most so many characters."""
    from agents.llm.quote import visible

    clean = visible(str(text))
    if not most:
        return clean
    line = " ".join(clean.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def indented(text: str, by: str = "    ") -> str:
    """Each line of ``text`` moved to the right."""
    return "\n".join(f"{by}{line}" for line in text.splitlines())
