"""The manuals of a store as a reader knows them: a folder of files is one manual; it reads no file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from knowledge.chunks import Chunk


@dataclass(frozen=True)
class Manual:
    """``name`` is a file's name or, where a folder has several, the folder's with a slash behind. ``files`` counts
    them. ``titles`` are the outermost title of each file in a folder; of a file by itself all outermost ones, and
    those below them where there is but one."""

    name: str
    files: int
    titles: tuple[str, ...]


def manuals(rows: Sequence[tuple[str, Chunk]], within: Collection[str] | None = None) -> list[Manual]:
    """The manuals that the passages ``rows`` (source and chunk) come from, by name, only of ``within`` where given."""
    titles: dict[str, dict[tuple[str, ...], None]] = {}
    for source, chunk in rows:
        if within is None or source in within:
            # An entry's own label is no title.
            path = chunk.section[:-1] if chunk.entry else chunk.section
            titles.setdefault(source, {})[path[:2]] = None
    folders: dict[str, list[str]] = {}
    for source in sorted(titles):
        folder, slash, _ = source.rpartition("/")
        folders.setdefault(f"{folder}/" if slash else source, []).append(source)
    found = []
    for name, sources in folders.items():
        paths = [[path for path in titles[source] if path] for source in sources]
        if len(sources) > 1:
            shown = dict.fromkeys(of_file[0][0] for of_file in paths if of_file)
        else:
            shown = dict.fromkeys(path[0] for path in paths[0])
            if len(shown) == 1:
                shown |= dict.fromkeys(path[1] for path in paths[0] if len(path) > 1)
        found.append(Manual(name if len(sources) > 1 else sources[0], len(sources), tuple(shown)))
    return found
