"""Closing a run while operators are in flight: they end as interrupted, never as trials that failed."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from kernelgen.compile.batch import CompileSummary
from kernelgen.compiling import Compiler
from kernelgen.judging import JudgePool
from sysmith_errors import InternalFault, Interrupted


class DyingPool:
    """Every process of it dies, the first time with what ``meanwhile`` does."""

    _processes: dict[int, Any] = {}  # noqa: RUF012  # the name and the type are those of ProcessPoolExecutor

    def __init__(self, meanwhile: Any) -> None:
        self.meanwhile = meanwhile

    def submit(self, *arguments: Any) -> Future[Any]:
        self.meanwhile()
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("died"))
        return future

    def shutdown(self, **options: Any) -> None:
        pass


class Judges(JudgePool):
    closes = False

    def _start(self) -> Any:
        return DyingPool(lambda: self.close() if self.closes else None)


def test_an_operator_in_flight_when_the_judges_are_closed_is_interrupted() -> None:
    judges = Judges(1, timeout_s=1, memory_bytes=1, allow_unsandboxed=False)
    judges.closes = True
    with pytest.raises(Interrupted, match="before it judged add"):
        judges.judge("add", ["float32"], {}, None)


def test_a_process_that_dies_twice_is_a_fault() -> None:
    with pytest.raises(InternalFault, match="judged add died twice"):
        Judges(1, timeout_s=1, memory_bytes=1, allow_unsandboxed=False).judge("add", ["float32"], {}, None)


def test_an_operator_in_flight_when_the_compiler_is_closed_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler([], None, 1, allow_unsandboxed=True)
    asked = {"neg.default": [{"kernel": "k", "signature": [], "constants": {}, "options": {}}]}
    closes = False

    def compile_all(*arguments: Any, **options: Any) -> CompileSummary:
        if closes:
            compiler.close()
        return CompileSummary(0, 0, 0, 0)

    class Known:
        name, compiles = "cuda:90", True

    compiler.targets = [Known()]  # type: ignore[list-item]  # a stand-in
    monkeypatch.setattr("kernelgen.compiling.compile_all", compile_all)
    assert compiler.compile({"neg.default": "x"}, asked) == {"neg.default": {}}
    closes = True
    with pytest.raises(Interrupted, match=r"before neg\.default was compiled"):
        compiler.compile({"neg.default": "x"}, asked)
