"""Lines of a text file, plain or compressed, where a cut-off end costs nothing that is whole; it parses nothing."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.issues import Issues

COMPRESSED = (".gz", ".xz", ".bz2")
_CHUNK = 1 << 20


@dataclass
class Found:
    """What reading a file brought up: ``issues`` the user must mend, ``notes`` he should know. ``ragged`` is the number
    of a last line that ends without a newline (0: there is none)."""

    issues: Issues = field(default_factory=Issues)
    notes: list[str] = field(default_factory=list)
    ragged: int = 0

    def forgive_ragged(self, file: str) -> None:
        """Turn what is wrong with the ragged last line into a note: it was cut off, and nobody can mend it."""
        wrong = [issue for issue in self.issues.found if self.ragged and issue.line == self.ragged]
        if wrong:
            self.issues.found = [issue for issue in self.issues.found if issue not in wrong]
            self.issues.count -= len(wrong)
            self.notes.append(f"{file}: the last line ({self.ragged}) is cut off and was left out")


def ending(path: Path) -> str:
    """The file's ending in lower case, without that of a compression."""
    name = path.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def read_lines(path: Path, found: Found) -> Iterator[tuple[int, str, bool]]:
    """Each line with its number from 1 and whether it is whole (the last one of a file that ends without a newline may
    not be). Bytes that are not UTF-8 are an issue. Raises InputError where the file cannot be opened."""
    rest, number = b"", 0
    try:
        for chunk in _chunks(path):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                number += 1
                yield number, _text(line, number, path, found), True
        cut = False
    except EOFError:
        cut = True
    if rest:
        number += 1
        found.ragged = number
        yield number, _text(rest, number, path, found), False
    if cut:
        found.notes.append(f"{path}: the compressed file ends too early; what comes before line {number + 1} was read")


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked. Raises EOFError after the last of them where a compressed file is cut off, or damaged
    further on, and InputError for one that cannot be read at all."""
    make: dict[str, Callable[[], Any]] = {
        ".gz": lambda: zlib.decompressobj(wbits=31),
        ".xz": lzma.LZMADecompressor,
        ".bz2": bz2.BZ2Decompressor,
    }
    packing = make.get(path.suffix.lower())
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder", mend="Name a file.")
        stream = path.open("rb")
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path} cannot be read: {why}", mend="Check its name and rights.") from error
    with stream:
        if packing is None:
            while chunk := stream.read(_CHUNK):
                yield chunk
            return
        unpack: Any = packing()
        some = False
        while packed := stream.read(_CHUNK // 8):
            while packed:
                if unpack.eof:  # another part follows: packed files may be joined
                    unpack = packing()
                try:
                    plain = unpack.decompress(packed)
                except (lzma.LZMAError, zlib.error, OSError, ValueError) as error:
                    if some:
                        raise EOFError from error
                    mend = "Give a file that is what its ending says."
                    raise InputError(f"{path}: it cannot be unpacked: {error}", mend=mend) from error
                packed = unpack.unused_data
                if plain:
                    some = True
                    yield plain
        if not unpack.eof:
            raise EOFError


def _text(line: bytes, number: int, path: Path, found: Found) -> str:
    line = line.removesuffix(b"\r")
    if number == 1:
        line = line.removeprefix(b"\xef\xbb\xbf")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        found.issues.add(
            "encoding",
            str(path),
            number,
            "",
            f"byte {error.start + 1} is not UTF-8 (0x{line[error.start]:02x})",
            "Save the file as UTF-8.",
        )
        return line.decode("utf-8", "replace")
