"""A target from outside: the made-up accelerator Brook, which is cuda:90 without fp64 and with 64 KiB a block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kernelgen.compile.gpu_targets import CudaTarget
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation
from sysmith_errors import InputError

VERSION = "1"


class BrookTarget(CudaTarget):
    """Compiles as cuda:90 does, then refuses what Brook's hardware lacks."""

    def __init__(self) -> None:
        super().__init__("90")
        self.name = f"brook:{VERSION}"
        self.max_shared_bytes = 64 * 1024  # the base class refuses kernels that need more

    def toolchain(self) -> str:
        """Part of the cache's key: raise the number when the constraints below change."""
        return f"{super().toolchain()}; brook constraints 1"

    def objection(self, specialisation: Specialisation, asm: Mapping[str, Any], result: CompileResult) -> str:
        """Why Brook cannot run the kernel, or ""."""
        # Triton's own representation shows every fp64 value, also those that no parameter has as its type.
        if re.search(r"\bf64\b", asm["ttir"]):
            return f"computes in fp64, which {self.name} does not have: cast to fp32"
        return super().objection(specialisation, asm, result)


def brook(version: str) -> BrookTarget:
    """The entry point: called with the text after ``brook:``. Raises InputError for a version that does not exist."""
    if version != VERSION:
        raise InputError(f"--target: brook:{version} is not known", mend=f"Write brook:{VERSION}.")
    return BrookTarget()
