"""Content-addressed files for what is too large for an event line; it knows nothing of what they mean.

A packed value is plain JSON in which every long text is replaced by ``{"$artifact": <sha256>, "bytes": n}``. Keys of
the caller's own that begin with ``$`` are doubled to ``$$``, so no value can be mistaken for a reference.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from sysmith_files import fsync_dir, write_atomic

INLINE_CHARACTERS = 4096
_REFERENCE = "$artifact"


class ArtifactStore:
    """Texts in ``root``, one file each, named by the SHA-256 of its bytes (UTF-8). Safe to use from many threads."""

    def __init__(self, root: Path, *, inline_characters: int = INLINE_CHARACTERS) -> None:
        self.root = root
        self.inline_characters = inline_characters

    def put(self, text: str) -> str:
        """Store ``text`` and return its hash; storing it again writes nothing. Raises OSError."""
        content = text.encode("utf-8", "surrogatepass")
        name = hashlib.sha256(content).hexdigest()
        path = self.root / name
        if not path.exists():
            if not self.root.exists():
                self.root.mkdir(parents=True, exist_ok=True)
                fsync_dir(self.root.parent)
            write_atomic(path, content)
        return name

    def get(self, name: str) -> str:
        """The text with this hash. Raises InputError where the file is missing or its bytes do not match its name."""
        path = self.root / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"artifact {path} cannot be read: {error.strerror}", mend="Start a new run.") from error
        if hashlib.sha256(content).hexdigest() != name:
            raise InputError(f"artifact {path} is damaged: its bytes do not match its name", mend="Start a new run.")
        return content.decode("utf-8", "surrogatepass")

    def pack(self, value: Any) -> Any:
        """``value`` with its long texts moved to files. Raises OSError, and TypeError for a key that is not text."""
        if isinstance(value, str) and len(value) > self.inline_characters:
            return {_REFERENCE: self.put(value), "bytes": len(value.encode("utf-8", "surrogatepass"))}
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise TypeError(f"keys must be text, not {key!r}")
            return {f"${key}" if key.startswith("$") else key: self.pack(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.pack(item) for item in value]
        return value

    def unpack(self, value: Any) -> Any:
        """The inverse of ``pack``. Raises InputError as ``get`` does."""
        if isinstance(value, dict):
            if _REFERENCE in value:
                return self.get(value[_REFERENCE])
            return {key[1:] if key.startswith("$") else key: self.unpack(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.unpack(item) for item in value]
        return value
