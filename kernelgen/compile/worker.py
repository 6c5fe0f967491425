"""Runs in a sandboxed child that forked from a warm process: compiles what one request asks for, and nothing else.

Importing this module imports torch, triton and its GPU backends, so that a fork starts warm. TRITON_INTERPRET must not
be set then: Triton decides at import whether its own library is compiled or interpreted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

# A pool of threads started by numpy's BLAS at import would not survive the fork.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: F401  # after the variables above; every kernel file imports it

from kernelgen.compile.kernel_file import KernelFile
from kernelgen.compile.specialisation import Specialisation
from kernelgen.compile.targets import find_target
from sysmith_errors import InputError


class Request(Protocol):
    """The part of harness.wire.Message that is used here."""

    @property
    def body(self) -> dict[str, Any]: ...


def entry(request: Request, send: Callable[[dict[str, Any], Sequence[bytes]], object]) -> None:
    """Compile and answer.

    The request's body has ``source`` (text of the kernel file), ``filename`` (what messages call it), ``pairs`` (a
    list of {"target": name, "specialisation": its JSON}). For each pair, in order, one message is sent: {"index": i,
    "result": CompileResult as JSON}. A file that does not import gives {"index": null, "error": text} alone.
    """
    body = request.body
    # Without line tables equal kernels give equal bytes wherever their file lay.
    os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
    pairs = [(find_target(pair["target"]), Specialisation.from_json(pair["specialisation"])) for pair in body["pairs"]]
    with tempfile.TemporaryDirectory(prefix="sysmith-compile-") as scratch:
        os.environ.setdefault("TRITON_CACHE_DIR", str(Path(scratch, "cache")))
        try:
            kernels = KernelFile.load(body["source"], body["filename"], Path(scratch))
        except InputError as error:
            send({"index": None, "error": str(error)}, ())
            return
        for index, (target, specialisation) in enumerate(pairs):
            send({"index": index, "result": target.compile(kernels, specialisation).to_json()}, ())
