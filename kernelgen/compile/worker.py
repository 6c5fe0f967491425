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
import triton.backends.amd.compiler
import triton.backends.nvidia.compiler
import triton.compiler.code_generator  # Triton imports this one and the next two at the first compile
import triton.language.extra.cuda
import triton.language.extra.hip
import triton.runtime.cache

from kernelgen.compile.kernel_file import KernelFile
from kernelgen.compile.specialisation import Specialisation
from kernelgen.compile.targets import find_target
from sysmith_errors import InputError

# Triton hashes its own installation at the first compile, a third of a second, and remembers it: once for all forks.
if _hash_triton := getattr(triton.runtime.cache, "triton_key", None):  # not in every version
    _hash_triton()


class Request(Protocol):
    """The part of harness.wire.Message that is used here."""

    @property
    def body(self) -> dict[str, Any]: ...


def entry(request: Request, send: Callable[[dict[str, Any], Sequence[bytes]], object]) -> None:
    """Compile and answer.

    The request's body has ``source`` (text of the kernel file), ``filename`` (what messages call it), ``pairs`` (a
    list of {"target": name, "specialisation": its JSON}). It sends {"imported": true}, then for each pair, in order,
    {"index": i, "result": CompileResult as JSON}. A file that does not import gives {"imported": false, "error": text}.
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
            send({"imported": False, "error": str(error)}, ())
            return
        send({"imported": True}, ())
        for index, (target, specialisation) in enumerate(pairs):
            send({"index": index, "result": target.compile(kernels, specialisation).to_json()}, ())
