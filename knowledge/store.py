"""The knowledge store: manuals kept whole below the state folder, and the index that is built from them.

    sources.json       the manuals and the embedding: the only truth, replaced atomically
    originals/<hash>   each manual's bytes, named by their SHA-256
    index/<name>/      built indexes (see knowledge.index); ``current`` names the one in use

Whatever else is lost can be built again from these, and is, when it does not fit ``sources.json``: after a kill at any
moment the store holds the manuals of before or after, and the next search mends the index.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from knowledge import chunks, embedding, reading
from knowledge.expansion import Expansion
from knowledge.files import locked
from knowledge.index import VERSION as INDEX_VERSION
from knowledge.index import Index, Row, build
from knowledge.manuals import Manual, manuals
from knowledge.passages import Passage, passage
from knowledge.ranking import METHODS, Method
from sysmith_errors import InputError, SysmithError
from sysmith_files import fsync_dir, write_atomic

SCHEMA_VERSION = 1
FOLDER = "knowledge"
_ADD = "Add manuals first: sysmith knowledge add PATH."
Say = Callable[[str], None]


def _silent(_: str) -> None: ...


@dataclass(frozen=True)
class Source:
    """One manual. ``name`` is what citations show, ``id`` the SHA-256 of its bytes, ``added`` Unix seconds."""

    name: str
    id: str
    path: str
    format: str
    bytes: int
    added: float


@dataclass(frozen=True)
class Added:
    """What became of one file given to ``add``: ``added``, ``replaced`` (its content had changed), ``unchanged``, or
    ``skipped`` for the ``reason`` given, and then there is no source."""

    name: str
    outcome: str
    source: Source | None = None
    reason: str = ""


class KnowledgeStore:
    """The manuals below one state folder. Several processes may read while one writes."""

    def __init__(self, folder: Path, say: Say = _silent) -> None:
        self.folder = folder
        self._say = say
        self._index: Index | None = None

    @classmethod
    def open(cls, state: Path = Path(".sysmith"), say: Say = _silent) -> KnowledgeStore:
        """The store of a state folder, which need not exist yet. ``say`` takes progress, a line at a time.

        Raises InputError where the list of manuals is unreadable.
        """
        store = cls(state / FOLDER, say)
        store.sources()
        return store

    def sources(self) -> list[Source]:
        """The manuals, by name. Raises InputError where the list is damaged."""
        return sorted((Source(**entry) for entry in self._manifest()["sources"]), key=lambda source: source.name)

    @property
    def embedding(self) -> str:
        """The name of the embedding in use."""
        return str(self._manifest()["embedding"])

    def counts(self) -> dict[str, int]:
        """How many passages each manual gave; builds the index where it is behind."""
        found = dict.fromkeys((source.name for source in self.sources()), 0)
        for name, _ in self.rows() if found else []:
            found[name] += 1
        return found

    def rows(self) -> list[Row]:
        """All passages, as pairs of source and chunk."""
        return self._current().rows

    def add(
        self, paths: Sequence[Path], *, format_: str | None = None, embedding_name: str | None = None
    ) -> list[Added]:
        """Take in manuals, in one step; adding the same content again changes nothing.

        A file whose content changed replaces what was read from it before. A file found in a folder that cannot be
        read is skipped, and the answer says why. ``embedding_name`` chooses the embedding of a store that holds no
        manual yet; without it that is the best one installed. Raises InputError, before anything is stored, for a file
        named itself that cannot be read, where all would be skipped, and for an embedding that is unknown or not the
        one in use; MissingPart for one that is not installed.
        """
        self._check_embedding(embedding_name)
        given: list[tuple[Path, str, str, bytes]] = []
        skipped: list[Added] = []
        for file in reading.manual_files(paths):
            try:
                content = reading.load(file.path)
                kind = format_ or reading.detect(file.path.name, content)
                reading.read(file.path.name, content, kind)
            except InputError as error:
                if file.named:
                    raise
                skipped.append(Added(file.name, "skipped", reason=error.message))
                self._say(f"skipped {file.name}: {error.message}")
                continue
            self._say(f"read {file.name} ({kind})")
            given.append((file.path, file.name, kind, content))
        if skipped and not given:
            raise InputError(f"no file could be read; the first: {skipped[0].reason}", mend="Name other files.")
        with locked(self.folder, say=self._say):
            self._check_embedding(embedding_name)
            manifest = self._manifest()
            kept = [Source(**entry) for entry in manifest["sources"]]
            if not kept:
                manifest["embedding"] = embedding_name or manifest["embedding"]
            done = [self._take(kept, *one) for one in given]
            if any(item.outcome != "unchanged" for item in done):
                self._commit(manifest, kept)
            self._built()
        return done + skipped

    def _check_embedding(self, name: str | None) -> None:
        if name is None:
            return
        embedding.make(name)
        manifest = self._manifest()
        if manifest["sources"] and manifest["embedding"] != name:
            raise InputError(
                f"--embedding {name}: the manuals here are embedded by {manifest['embedding']}",
                mend=f"Leave it out, or change all of them: sysmith knowledge rebuild --embedding {name}.",
            )

    def _take(self, kept: list[Source], path: Path, name: str, kind: str, content: bytes) -> Added:
        digest = hashlib.sha256(content).hexdigest()
        place = str(path.resolve())
        same = next((s for s in kept if s.id == digest and s.format == kind), None)
        old = next((s for s in kept if s.path == place), None)
        if same is not None:
            if old is None or old is same:
                return Added(same.name, "unchanged", same)
            kept.remove(old)  # it now says what another manual says already
            return Added(same.name, "replaced", same)
        source = Source(old.name if old else _free(name, path, kept), digest, place, kind, len(content), time.time())
        originals = self.folder / "originals"
        originals.mkdir(exist_ok=True)
        if not (originals / digest).exists():
            write_atomic(originals / digest, content)
        if old is not None:
            kept[kept.index(old)] = source
            return Added(source.name, "replaced", source)
        kept.append(source)
        return Added(source.name, "added", source)

    def remove(self, patterns: Sequence[str]) -> list[Source]:
        """Remove the manuals whose name matches a pattern (``lustre/*``, a bare file name, the start of an id).

        Raises InputError for a pattern that matches nothing, before anything changes.
        """
        with locked(self.folder, say=self._say):
            manifest = self._manifest()
            kept = [Source(**entry) for entry in manifest["sources"]]
            gone: list[Source] = []
            for pattern in patterns:
                gone += [s for s in self._matching(kept, pattern, ids=True) if s not in gone]
            self._commit(manifest, [source for source in kept if source not in gone])
            self._built()
        return gone

    def rebuild(self, *, embedding_name: str | None = None) -> int:
        """Build the index anew from the originals, with another embedding where one is named; returns its passages.

        Raises InputError for an unknown embedding or a damaged original, MissingPart for one that is not installed.
        """
        with locked(self.folder, say=self._say):
            manifest = self._manifest()
            if embedding_name is not None:
                embedding.make(embedding_name)  # refuses before anything changes
                manifest["embedding"] = embedding_name
                self._write(manifest)
            return len(self._build(manifest).rows)

    def search(
        self,
        query: str,
        top: int = 5,
        source: str | None = None,
        method: Method = "hybrid",
        expansion: Expansion | None = None,
    ) -> list[Passage]:
        """The passages that answer ``query`` best, best first, at most ``top``; empty where nothing shares a word.

        They lie in distinct places: neighbours in one section are folded into the best of them (``Passage.also``).
        ``source`` keeps to manuals whose name matches it; ``expansion`` is searched for beside the query. Raises
        InputError for an empty store or query, an unknown method and a ``source`` that matches no manual.
        """
        within = self.check(query, top, source, method)
        index = self._current()
        found = index.retriever.places(query, method, top, within, expansion)
        return [passage(*index.rows[p.row], p.score, (index.rows[row][1] for row in p.also)) for p in found]

    def check(self, query: str, top: int, source: str | None, method: str) -> set[str] | None:
        """The names of the manuals to search, None for all. Raises InputError as ``search`` does, and searches nothing:
        for callers who pay for something before they search."""
        if method not in METHODS:
            raise InputError(f"--method {method!r} is not known", mend=f"Choose one of {', '.join(METHODS)}.")
        if not query.strip():
            raise InputError("the question is empty", mend="Say what to look for.")
        if top < 1:
            raise InputError(f"--top {top} is not a positive number", mend="Ask for one passage or more.")
        return self._within(source)

    def manuals(self, source: str | None = None) -> list[Manual]:
        """What there is to search, with titles, only of manuals whose name matches ``source``.

        Raises InputError for an empty store and a ``source`` that matches no manual.
        """
        return manuals(self._current().rows, self._within(source))

    def _within(self, source: str | None) -> set[str] | None:
        sources = self.sources()
        if not sources:
            raise InputError(f"there is no manual in {self.folder}", mend=_ADD)
        return None if source is None else {s.name for s in self._matching(sources, source)}

    def _matching(self, sources: Sequence[Source], pattern: str, *, ids: bool = False) -> list[Source]:
        found = [
            s
            for s in sources
            if fnmatchcase(s.name, pattern)
            or s.name.endswith(f"/{pattern}")
            or s.name.startswith(pattern.rstrip("/") + "/")
            or (ids and len(pattern) >= 6 and s.id.startswith(pattern))
        ]
        if not found:
            some = ", ".join(s.name for s in sources[:5]) or "none"
            raise InputError(f"no manual is called {pattern!r}", mend=f"There are: {some}. See sysmith knowledge list.")
        return found

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / "sources.json"
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
            if document["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"its schema version is {document['schema_version']!r}, not {SCHEMA_VERSION}")
            [Source(**entry) for entry in document["sources"]]
            return document
        except FileNotFoundError:
            return {"schema_version": SCHEMA_VERSION, "embedding": embedding.preferred(), "sources": []}
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}", mend="Check --state.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged: {error}", mend="Remove its folder and add them again.") from None

    def _commit(self, manifest: dict[str, Any], sources: list[Source]) -> None:
        manifest["sources"] = [asdict(source) for source in sources]
        self._write(manifest)

    def _write(self, manifest: dict[str, Any]) -> None:
        write_atomic(self.folder / "sources.json", json.dumps(manifest, indent=1).encode() + b"\n")

    def _current(self) -> Index:
        """The index that fits the list of manuals; it is built where there is none."""
        wanted = _fingerprint(self._manifest())
        if self._index is not None and self._index.meta.get("fingerprint") == wanted:
            return self._index
        self._index = self._usable(wanted)
        if self._index is None:
            self._say("the index is missing or behind; building it")
            with locked(self.folder, say=self._say):
                self._index = self._built()
        return self._index

    def _built(self) -> Index:
        """With the lock held: the fitting index, built where there is none."""
        manifest = self._manifest()
        return self._usable(_fingerprint(manifest)) or self._build(manifest)

    def _usable(self, fingerprint: str) -> Index | None:
        index = self._newest()
        return index if index is not None and index.meta.get("fingerprint") == fingerprint else None

    def _newest(self) -> Index | None:
        """The index in use, fitting or not; None where there is none that can be read."""
        try:
            name = (self.folder / "index" / "current").read_text(encoding="utf-8").strip()
            return Index(self.folder / "index" / name)
        except (OSError, SysmithError):
            return None

    def _build(self, manifest: dict[str, Any]) -> Index:
        rows: list[Row] = []
        for entry in sorted(manifest["sources"], key=lambda entry: str(entry["name"])):
            source = Source(**entry)
            blocks = reading.read(source.name, self._original(source), source.format)
            in_rows = source.format in ("markdown", "text")
            rows += [(source.name, chunk) for chunk in chunks.chunk(blocks, rows=in_rows)]
        place = self.folder / "index"
        place.mkdir(exist_ok=True)
        target = place / secrets.token_hex(6)
        target.mkdir()
        before = self._newest()
        build(target, rows, manifest["embedding"], {"fingerprint": _fingerprint(manifest)}, self._say, before)
        write_atomic(place / "current", target.name.encode())
        self._sweep(manifest, {target.name, before.folder.name if before else ""})
        return Index(target)

    def _original(self, source: Source) -> bytes:
        path = self.folder / "originals" / source.id
        mend = f"Run sysmith knowledge remove {source.id[:12]}, then add it again."
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}, kept of {source.name}, cannot be read: {error.strerror}", mend=mend) from None
        if hashlib.sha256(content).hexdigest() != source.id:
            raise InputError(f"{path}, kept of {source.name}, is damaged", mend=mend)
        return content

    def _sweep(self, manifest: dict[str, Any], indexes: set[str]) -> None:
        """Remove what nothing refers to. The index before this one stays for processes that are reading it."""
        originals = {entry["id"] for entry in manifest["sources"]}
        for path in (self.folder / "index").iterdir():
            if path.is_dir() and path.name not in indexes:
                shutil.rmtree(path, ignore_errors=True)
        if (self.folder / "originals").is_dir():
            for path in (self.folder / "originals").iterdir():
                if path.name not in originals:
                    path.unlink(missing_ok=True)
        fsync_dir(self.folder)


def _free(name: str, path: Path, kept: Sequence[Source]) -> str:
    """``name``, with folders of ``path`` before it until no other manual is called so."""
    taken = {source.name for source in kept}
    parts = list(path.resolve().parts)
    shown, depth = name, name.count("/") + 2
    while shown in taken and depth <= len(parts):
        shown, depth = "/".join(parts[-depth:]).lstrip("/"), depth + 1
    return shown if shown not in taken else f"{name}#{len(taken)}"


def _fingerprint(manifest: dict[str, Any]) -> str:
    """What an index depends on: the manuals, how they are cut and indexed, and the embedding."""
    sources = sorted((entry["name"], entry["id"], entry["format"]) for entry in manifest["sources"])
    basis = json.dumps([sources, manifest["embedding"], chunks.VERSION, INDEX_VERSION])
    return hashlib.sha256(basis.encode()).hexdigest()
