"""Compiling in the real sandbox: results arrive, and a hostile file costs only its own pairs."""

from __future__ import annotations

import pytest

from harness import sandbox
from kernelgen.compile.batch import CompileJob, CompileSummary, compile_all
from kernelgen.compile.result import CompileResult
from kernelgen.compile.sandboxed import SandboxedCompiler
from kernelgen.compile.targets import parse_targets
from sysmith_errors import MissingPart

from .test_compile_targets import GOOD, MATMUL, POINTWISE, SOURCE

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _needs_a_sandbox() -> None:
    try:
        sandbox.require_tier(allow_unsandboxed=False)
    except MissingPart as error:
        pytest.skip(f"no sandbox on this machine: {error}")


def test_all_kinds_of_kernel_compile_in_the_sandbox() -> None:
    found: list[CompileResult] = []
    jobs = [CompileJob(SOURCE, "k.py", tuple(GOOD))]
    with SandboxedCompiler(parallel=2) as compiler:
        summary = compile_all(
            jobs,
            parse_targets("cuda:90,hip:gfx942"),
            compiler,
            None,
            lambda _, result: found.append(result),
            parallel=2,
            chunk=8,
        )
    assert [result.error for result in found if not result.ok] == []
    assert summary == CompileSummary(asked=16, from_cache=0, compiled=16, failed=0)


def test_a_file_that_ends_its_process_fails_only_its_own_pairs() -> None:
    found: dict[str, list[bool]] = {}
    deadly = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n" + SOURCE
    jobs = [CompileJob(deadly, "deadly.py", (POINTWISE, MATMUL)), CompileJob(SOURCE, "k.py", (POINTWISE, MATMUL))]
    with SandboxedCompiler() as compiler:
        compile_all(
            jobs,
            parse_targets("cuda:90"),
            compiler,
            None,
            lambda job, result: found.setdefault(job.filename, []).append(result.ok),
        )
    assert found == {"deadly.py": [False, False], "k.py": [True, True]}
