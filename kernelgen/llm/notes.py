"""Notes on the dialect of Triton for the targets of a run, from the shipped knowledge; it adds none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = "sysmith:kernelgen"  # as knowledge.shipped calls its texts
# File names in knowledge/shipped/kernelgen by the family of targets they are about; the others are for all.
_ABOUT = {"cuda": ("cuda", "nvidia"), "hip": ("hip", "amd", "rocm"), "interpret": ("interpret",)}


@dataclass(frozen=True)
class Note:
    """One text; ``citation`` is its name among the shipped texts."""

    title: str
    text: str
    citation: str


def dialect_notes(targets: Sequence[str], folder: Path | None = None) -> list[Note]:
    """The notes for ``targets`` (``cuda:90``), by file name; none where the folder is not there."""
    families = {target.partition(":")[0] for target in targets} | {"interpret"}  # every kernel is tested there
    return [note for note, about in _all(folder or _shipped()) if not about or about & families]


def _shipped() -> Path:
    import knowledge

    return Path(knowledge.__file__).parent / "shipped" / "kernelgen"


@cache
def _all(folder: Path) -> tuple[tuple[Note, frozenset[str]], ...]:
    found = []
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8").strip()
        first, _, rest = text.partition("\n")
        title = first.lstrip("# ").strip() if first.startswith("#") else path.stem
        about = frozenset(family for family, words in _ABOUT.items() if any(word in path.stem for word in words))
        found.append((Note(title, rest.strip() if first.startswith("#") else text, f"{SOURCE}/{path.name}"), about))
    return tuple(found)
