"""What compiling one specialisation for one target gave; holds no artifact, only its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sysmith_errors import InternalFault


@dataclass(frozen=True)
class CompileResult:
    """The outcome for one specialisation on one target.

    ``registers``: 32-bit registers (NVIDIA) or vector registers (AMD) of one thread. ``spills``: 32-bit values of one
    thread that did not fit and live in memory. ``shared_bytes``: shared memory (LDS) of one block. Each is None where
    the tool chain does not tell. ``seconds``: wall time of this compilation, also when it is read back from a cache.
    ``error``: empty when ``ok``, else one short text that starts with the place in the kernel file where one is known.
    """

    target: str
    kernel: str
    specialisation: str  # key of the Specialisation
    ok: bool
    artifact: str = ""  # "cubin", "hsaco", ...; empty when nothing was made
    size: int = 0  # bytes of the artifact
    sha256: str = ""
    registers: int | None = None
    spills: int | None = None
    shared_bytes: int | None = None
    seconds: float = 0.0
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """A flat JSON object with every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CompileResult:
        """Read :meth:`to_json`. Raises InternalFault on a damaged record, as this text is never written by hand."""
        try:
            result = cls(**data)
        except TypeError:
            raise InternalFault(f"a compile result has the fields {sorted(map(str, data))}") from None
        for spec in fields(cls):
            value = getattr(result, spec.name)
            if type(value).__name__ not in str(spec.type).replace("None", "NoneType").split(" | "):
                raise InternalFault(f"a compile result has {str(value)[:80]!r} as {spec.name}, not {spec.type}")
        return result
