"""The meaningful part of a compiler's complaint, with its line in the kernel file; explains and mends nothing."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from kernelgen.compile.kernel_file import KernelFile

_LIMIT = 1200  # characters of an error that are kept
_NOISE = re.compile(
    r"Pipeline failed while executing|Failures have been detected|see current operation|^note:|reproducer",
    re.IGNORECASE,
)


@contextmanager
def captured_output() -> Iterator[IO[bytes]]:
    """Send file descriptors 1 and 2 into a temporary file, which is yielded.

    MLIR, LLVM and ptxas write their reasons there and raise an exception that only says that they failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield sink
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)


def read_captured(sink: IO[bytes]) -> str:
    """The first megabyte of what was captured."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.pread(sink.fileno(), 1 << 20, 0).decode(errors="replace")


def explain(error: BaseException, output: str, kernels: KernelFile, kernel: str) -> str:
    """One short text: place, reason, source line.

    ``output`` is what the compiler printed, ``kernel`` the function it worked on.
    """
    place, reason, excerpt = _front_end(error, kernels)
    if not reason:
        reason = _from_output(str(error) + "\n" + output, kernels) or f"{type(error).__name__}: {error}"
        if isinstance(error, AssertionError) and not str(error):
            reason = "an assertion in the compiler failed"
        place = f"{kernels.name} in {kernel}"
    text = f"{place}: {reason}" if place else reason
    text = text.replace(str(kernels.path), kernels.name).strip()
    if len(text) > _LIMIT:
        text = text[:_LIMIT].rstrip() + " ..."
    return f"{text}\n    {excerpt}" if excerpt else text


def _front_end(error: BaseException, kernels: KernelFile) -> tuple[str, str, str]:
    """Place, reason and source line of a Triton CompilationError, or three empty strings.

    Triton chains one error for each call it is inside of, outermost first. The reason is the innermost one's, the
    place is the innermost line that the kernel file itself holds (the rest is Triton's own library).
    """
    from triton.compiler.errors import CompilationError

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    compile_errors = [entry for entry in chain if isinstance(entry, CompilationError)]
    if not compile_errors:
        return "", "", ""
    reason = next((entry.error_message for entry in reversed(compile_errors) if entry.error_message), "")
    if not reason:
        last = chain[-1]
        reason = f"{type(last).__name__}: {last}" if not isinstance(last, CompilationError) else "it does not compile"
    if type(compile_errors[-1]).__name__ == "CompileTimeAssertionFailure":
        reason = f"static_assert failed: {reason}" if reason != "it does not compile" else "static_assert failed"
    # Triton writes an exception of its library as its repr: ValueError('text').
    reason = re.sub(r"^(\w+)\((['\"])(.*)\2\)$", r"\1: \3", str(reason).strip(), flags=re.DOTALL)
    functions = {function.src: function for function in kernels.functions()}
    for entry in reversed(compile_errors):
        function, line = functions.get(entry.src), getattr(entry.node, "lineno", None)
        if function is not None and line is not None:
            number = _first_line(function) + line - 1
            lines = kernels.path.read_text(encoding="utf-8").splitlines()
            excerpt = lines[number - 1].strip() if 0 < number <= len(lines) else ""
            return f"{kernels.name}:{number} in {function.fn.__name__}", reason, excerpt
    return kernels.name, reason, ""


def _first_line(function: object) -> int:
    """The line of ``def`` in the file: Triton cuts the decorators off the source it numbers."""
    from triton.runtime.jit import get_jit_fn_file_line

    return int(get_jit_fn_file_line(function)[1])


def _from_output(output: str, kernels: KernelFile) -> str:
    """The lines that state an error, without repetition: `file:line:col: error: ...`, ptxas, LLVM."""
    kept: list[str] = []
    for line in output.splitlines():
        line = line.strip()
        if assertion := re.search(r"Assertion `(.*)' failed", line):
            line = f"internal error of the compiler: {assertion[1]}"
        stated = re.search(r"\b(error|fatal|LLVM ERROR)\b\s*:?", line, re.IGNORECASE)
        if stated is None or _NOISE.search(line) or "PassManager::run failed" in line:
            continue
        line = re.sub(r"(\S+\.py):(\d+):\d+: error:", r"\1:\2:", line)
        line = re.sub(r"^ptxas (/\S+), line \d+; ", "ptxas ", line)
        if line not in kept:
            kept.append(line)
    return "\n".join(kept[:4])
