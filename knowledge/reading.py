"""From a file to blocks: finds out the format, decompresses, decodes, and says in one sentence what cannot be read."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge.blocks import Block
from sysmith_errors import InputError

FORMATS = ("markdown", "html", "pdf", "man", "rst", "docbook", "text")
# Bytes: no manual comes near; a compressed file that does is a trap.
LARGEST = 128 * 1024 * 1024
_SUFFIXES = {
    ".md": "markdown", ".markdown": "markdown", ".mdown": "markdown", ".mkd": "markdown",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf", ".rst": "rst", ".rest": "rst",
    ".xml": "docbook", ".dbk": "docbook", ".docbook": "docbook", ".txt": "text", ".text": "text",
    ".man": "man", ".mdoc": "man", ".roff": "man",
}  # fmt: skip
_PAGE = re.compile(r"\.[1-9][a-z0-9]{0,8}$")
_MEND = f"Known formats: {', '.join(FORMATS)}; name one with --format."


@dataclass(frozen=True)
class ManualFile:
    """A file to read, the name it is cited by, and whether it was named itself or found in a folder."""

    path: Path
    name: str
    named: bool


def manual_files(paths: Sequence[Path]) -> list[ManualFile]:
    """The files that ``paths`` mean: a folder stands for the manuals below it.

    A file is cited by its name, one of a folder by the folder's name and its place in it. Links out of a folder and
    hidden files are not followed. Raises InputError for a path that is not there, cannot be read or holds no manual.
    """
    found: list[ManualFile] = []
    for path in paths:
        try:
            if path.is_dir():
                inside = sorted(p for p in path.rglob("*") if not _hidden(p, path))
                files = [p for p in inside if p.is_file() and not p.is_symlink() and _by_name(p.name)]
                if not files:
                    raise InputError(f"the folder {path} holds no manual", mend=f"Name files. {_MEND}")
                top = path.resolve().name
                found += [ManualFile(f, f"{top}/{f.relative_to(path).as_posix()}", False) for f in files]
            elif path.exists():
                found.append(ManualFile(path, path.name, True))
            else:
                raise InputError(f"{path} does not exist", mend="Name a file or a folder of manuals.")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}", mend="Check its permissions.") from None
    return list(dict.fromkeys(found))


def _hidden(path: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(top).parts)


def load(path: Path) -> bytes:
    """The bytes of a manual. Raises InputError where they cannot be had or are too many."""
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a regular file", mend="Name a file or a folder of manuals.")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB", mend="Split it.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", mend="Check its permissions.") from None


def detect(name: str, content: bytes) -> str:
    """The format of a file called ``name``, by its name, then by how it begins. Raises InputError for neither."""
    head = _unpacked(name, content)[:4096]
    if head.startswith(b"%PDF-"):
        return "pdf"
    by_name = _by_name(name)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")) or (by_name == "docbook" and b"<html" in start[:600]):
        return "html"
    if by_name and by_name != "pdf":
        return by_name
    if re.search(rb"^[.'](?:TH|Dd|SH|so)\b", head, re.MULTILINE):
        return "man"
    if start.startswith(b"<?xml") or re.match(rb"<(?:book|chapter|article|section|refentry)\b", start):
        return "docbook"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name} is not a manual in a format known here", mend=_MEND)
    return "text"


def read(name: str, content: bytes, format_: str) -> list[Block]:
    """The blocks of a manual. Raises InputError naming ``name`` and what is wrong where it cannot be read."""
    plain = _unpacked(name, content)
    try:
        blocks = list(_reader(name, plain, format_))
    except ValueError as error:
        raise InputError(f"{name} cannot be read as {format_}: {error}", mend=f"Leave it out. {_MEND}") from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply to be read as {format_}", mend="Leave it out.") from None
    if not any(block.kind != "heading" for block in blocks):
        raise InputError(f"{name} holds no text as {format_}", mend=f"Leave it out, or correct the format. {_MEND}")
    return blocks


def _reader(name: str, plain: bytes, format_: str) -> Iterator[Block]:
    from knowledge.readers import docbook, html, man, markdown, pdf, rst
    from knowledge.readers import plain as text

    if format_ == "pdf":
        return pdf.read(plain)
    decoded = _decoded(name, plain)
    if format_ == "man":
        target = man.redirect(decoded)
        if target:
            raise ValueError(f"it only points to {target}; add that page")
        return man.read(decoded)
    readers = {"markdown": markdown, "html": html, "rst": rst, "docbook": docbook, "text": text}
    return readers[format_].read(decoded)


def _by_name(name: str) -> str:
    """The format that a file's name says, or an empty text."""
    name = name.lower().removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    return "man" if _PAGE.search(name) and not re.search(r"\d\.\d+$", name) else ""


def _unpacked(name: str, content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(content, LARGEST)
    except zlib.error as error:
        raise InputError(f"{name} is damaged: {error}", mend="Fetch it again.") from None
    if unzip.unconsumed_tail:
        raise InputError(f"{name} is larger than {LARGEST >> 20} MiB when unpacked", mend="Split it.")
    if not unzip.eof:
        raise InputError(f"{name} is cut short", mend="Fetch it again.")
    return plain


def _decoded(name: str, plain: bytes) -> str:
    if plain.startswith((b"\xff\xfe", b"\xfe\xff")):
        return plain.decode("utf-16", "replace")
    if b"\0" in plain[:4096]:
        raise InputError(f"{name} is not text", mend=_MEND)
    try:
        return plain.decode("utf-8-sig")
    except UnicodeDecodeError:
        return plain.decode("latin-1")  # older manual pages; every byte means something there
