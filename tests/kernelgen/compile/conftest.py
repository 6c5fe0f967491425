"""A compile child for tests: kernelgen.compile.worker.entry behind a pipe, started once for all tests of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sysmith_errors import SysmithError

_CHILD = """
import json, os, sys
from types import SimpleNamespace
answers = os.fdopen(os.dup(1), "w", buffering=1)
from kernelgen.compile.worker import entry
answers.write(json.dumps({"threads": len(os.listdir("/proc/self/task"))}) + "\\n")
for line in sys.stdin:
    try:
        entry(SimpleNamespace(body=json.loads(line)), lambda body, arrays: answers.write(json.dumps(body) + "\\n"))
    except Exception as error:
        answers.write(json.dumps({"raised": f"{type(error).__name__}: {error}"}) + "\\n")
    answers.write(json.dumps({"end": True}) + "\\n")
"""


class CompileChild:
    """Answers requests as a pool of sandboxed children would, but in one process and without a sandbox."""

    def __init__(self, scratch: Path) -> None:
        # Other tests may set TRITON_INTERPRET in this process; the child must not see it.
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("TRITON_", "OMP_", "OPENBLAS_"))
        }
        env["PYTHONPATH"] = os.pathsep.join([str(scratch / "plugins"), *sys.path])
        env["TRITON_CACHE_DIR"] = str(scratch / "triton")
        command = [sys.executable, "-c", _CHILD]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.requests: list[dict[str, Any]] = []
        self.threads = int(self._read()["threads"])

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SysmithError(f"the child died with exit status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __call__(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.requests.append(body)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(body) + "\n")
        self.process.stdin.flush()
        fault = ""
        while "end" not in (answer := self._read()):
            if "raised" in answer:
                fault = answer["raised"]
            else:
                yield answer
        if fault:
            raise SysmithError(fault)


@pytest.fixture(scope="session")
def plugin_scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where plug-ins for the child are laid down; ``plugins`` below it is on the child's path."""
    scratch = tmp_path_factory.mktemp("compile-child")
    (scratch / "plugins").mkdir()
    return scratch


@pytest.fixture(scope="session")
def compile_child(plugin_scratch: Path) -> Iterator[CompileChild]:
    child = CompileChild(plugin_scratch)
    yield child
    assert child.process.stdin is not None
    child.process.stdin.close()
    assert child.process.stdout is not None
    child.process.stdout.close()
    child.process.wait(timeout=30)
