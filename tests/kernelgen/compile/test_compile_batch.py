"""The parent's side: caching, chunking, and children that die, with scripted workers and once with the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cache import Cache
from kernelgen.compile.batch import CompileJob, CompileSummary, compile_all
from kernelgen.compile.kernel_file import KernelFile
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation
from kernelgen.compile.targets import Target, parse_targets
from sysmith_errors import MissingPart, SysmithError

from .test_compile_targets import MATMUL, POINTWISE, SOURCE, spec


class FakeTarget(Target):
    """Never compiled here: the scripted workers answer for it."""

    def __init__(self, name: str, version: str = "1") -> None:
        super().__init__(name, "cuda")
        self.version = version

    def toolchain(self) -> str:
        return self.version

    def compile(self, kernels: KernelFile, specialisation: Specialisation) -> CompileResult:
        raise AssertionError("the parent compiles nothing")


class ScriptedWorker:
    """Answers every pair; dies when it meets a kernel in ``deadly``, and after ``patience`` pairs of one request."""

    def __init__(self, deadly: frozenset[str] = frozenset(), patience: int = 10**6) -> None:
        self.deadly = deadly
        self.patience = patience
        self.sizes: list[int] = []

    def __call__(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.sizes.append(len(body["pairs"]))
        yield {"imported": True}
        for index, pair in enumerate(body["pairs"]):
            asked = Specialisation.from_json(pair["specialisation"])
            if asked.kernel in self.deadly:
                raise SysmithError("killed by signal 6")
            if index >= self.patience:
                raise SysmithError("no answer within 10 s")
            yield {"index": index, "result": CompileResult(pair["target"], asked.kernel, asked.key, ok=True).to_json()}


def job(*kernels: str, source: str = "x = 1\n") -> CompileJob:
    return CompileJob(source, "k.py", tuple(spec(kernel, x="*fp32") for kernel in kernels))


def run(
    jobs: list[CompileJob], worker: Any, cache: Any = None, targets: list[Target] | None = None, **options: int
) -> tuple[CompileSummary, dict[tuple[str, str], CompileResult]]:
    found: dict[tuple[str, str], CompileResult] = {}

    def keep(_: CompileJob, result: CompileResult) -> None:
        assert (result.kernel, result.target) not in found
        found[result.kernel, result.target] = result

    return compile_all(jobs, targets or [FakeTarget("a"), FakeTarget("b")], worker, cache, keep, **options), found


@pytest.mark.parametrize("parallel", [1, 3])
def test_each_distinct_pair_once(parallel: int) -> None:
    worker = ScriptedWorker()
    summary, found = run([job("f", "g", "f"), job("h"), job("f")], worker, parallel=parallel)
    assert summary == CompileSummary(asked=6, from_cache=0, compiled=6, failed=0)
    assert set(found) == {(kernel, target) for kernel in "fgh" for target in "ab"}
    assert sum(worker.sizes) == 6


def test_the_interpreter_needs_no_worker() -> None:
    summary, found = run([job("f")], ScriptedWorker(), targets=parse_targets("interpret"))
    assert (summary.asked, found) == (0, {})


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_chunks(chunk: int) -> None:
    worker = ScriptedWorker()
    run([job(*"abcdefg"), job("z", source="y = 2\n")], worker, chunk=chunk)
    assert max(worker.sizes) <= chunk
    assert sum(worker.sizes) == 16


def test_a_second_run_is_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first, found = run([job("f", "g")], ScriptedWorker(), cache)
    worker = ScriptedWorker()
    second, again = run([job("f", "g")], worker, cache)
    assert (first.compiled, second) == (4, CompileSummary(asked=4, from_cache=4, compiled=0, failed=0))
    assert again == found
    assert worker.sizes == []


@pytest.mark.parametrize("change", ["source", "toolchain", "target"])
def test_what_changes_is_compiled_again(tmp_path: Path, change: str) -> None:
    cache = Cache(tmp_path)
    run([job("f")], ScriptedWorker(), cache, [FakeTarget("a")])
    target = FakeTarget("b" if change == "target" else "a", "2" if change == "toolchain" else "1")
    source = "x = 2\n" if change == "source" else "x = 1\n"
    summary, _ = run([job("f", source=source)], ScriptedWorker(), cache, [target])
    assert (summary.from_cache, summary.compiled) == (0, 1)


def test_an_equal_kernel_of_another_file_is_not_compiled_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    kernel = "import triton\n\n\n@triton.jit\ndef f(x):\n    pass\n"
    run([job("f", source=kernel)], ScriptedWorker(), cache)
    summary, found = run([job("f", source=kernel + "\n\ndef wrapper():\n    pass\n")], ScriptedWorker(), cache)
    assert (summary.from_cache, summary.compiled) == (2, 0)
    assert all(result.ok for result in found.values())


def test_a_failure_is_kept_for_its_own_file_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    kernel = "import triton\n\n\n@triton.jit\ndef f(x):\n    pass\n"

    def failing(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"imported": True}
        for index, pair in enumerate(body["pairs"]):
            asked = Specialisation.from_json(pair["specialisation"])
            result = CompileResult(pair["target"], "f", asked.key, ok=False, error="k.py:5: no")
            yield {"index": index, "result": result.to_json()}

    run([job("f", source=kernel)], failing, cache)
    again, _ = run([job("f", source=kernel)], ScriptedWorker(), cache)
    assert (again.from_cache, again.failed) == (2, 2)
    other, _ = run([job("f", source=kernel + "\nx = 1\n")], ScriptedWorker(), cache)
    assert (other.from_cache, other.failed) == (0, 0)


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_kernel_that_kills_the_compiler_fails_alone(tmp_path: Path, parallel: int) -> None:
    cache = Cache(tmp_path)
    worker = ScriptedWorker(deadly=frozenset({"bomb", "mine"}))
    summary, found = run([job("f", "bomb", "g", "mine", "h")], worker, cache, parallel=parallel)
    assert summary == CompileSummary(asked=10, from_cache=0, compiled=10, failed=4)
    for (kernel, _), result in found.items():
        assert result.ok == (kernel not in worker.deadly)
        if not result.ok:
            assert result.error == "the compiler did not finish: killed by signal 6"
    # A death may be the machine's fault: it is tried again next time, the rest is not.
    again, _ = run([job("f", "bomb", "g", "mine", "h")], ScriptedWorker(), cache)
    assert again == CompileSummary(asked=10, from_cache=6, compiled=4, failed=0)


def test_a_file_that_kills_its_child_on_import_costs_two_children() -> None:
    calls = []

    def worker(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        calls.append(len(body["pairs"]))
        raise SysmithError("killed")
        yield {}

    summary, _ = run([job(*"abcdefg")], worker)
    assert (summary.failed, calls) == (14, [14, 1])


def test_a_child_that_runs_out_of_time_is_not_held_against_a_kernel() -> None:
    summary, found = run([job(*"abcdefg")], ScriptedWorker(patience=3))
    assert summary.failed == 0
    assert len(found) == 14


def test_a_file_that_does_not_import_fails_all_its_pairs_and_is_remembered(tmp_path: Path) -> None:
    def worker(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"imported": False, "error": "k.py does not import: NameError"}

    cache = Cache(tmp_path)
    summary, found = run([job("f", "g")], worker, cache)
    assert (summary.compiled, summary.failed) == (4, 4)
    assert {result.error for result in found.values()} == {"k.py does not import: NameError"}
    assert run([job("f", "g")], ScriptedWorker(), cache)[0].from_cache == 4


def test_answers_out_of_order_are_not_believed() -> None:
    def worker(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"index": 1, "result": {}}

    summary, found = run([job("f")], worker)
    assert summary.failed == 2
    assert all("answered 1 when 0 was due" in result.error for result in found.values())


def test_a_damaged_record_is_compiled_again() -> None:
    class Damaged(dict[str, Any]):
        def get(self, key: str) -> Any:  # type: ignore[override]  # narrower on purpose: the cache's own signature
            return {"ok": "perhaps"}

        def put(self, key: str, value: dict[str, Any]) -> None:
            self[key] = value

    cache = Damaged()
    summary, _ = run([job("f")], ScriptedWorker(), cache)
    assert (summary.from_cache, summary.compiled, len(cache)) == (0, 2, 2)


def test_a_missing_tool_stops_before_anything_runs() -> None:
    class Toolless(FakeTarget):
        def check_available(self) -> None:
            raise MissingPart("no ptxas")

    worker = ScriptedWorker()
    with pytest.raises(MissingPart):
        run([job("f")], worker, targets=[Toolless("a")])
    assert worker.sizes == []


def test_real_compiles_end_to_end(compile_child: Any, tmp_path: Path) -> None:
    bad = spec("bad_helper", x="*fp32", N=[16])
    jobs = [CompileJob(SOURCE, "k.py", (POINTWISE, MATMUL, bad))]
    targets = parse_targets("interpret,cuda:90,hip:gfx942")
    cache = Cache(tmp_path)
    summary, found = run(jobs, compile_child, cache, targets)
    assert summary == CompileSummary(asked=6, from_cache=0, compiled=6, failed=2)
    assert [key for key, result in found.items() if not result.ok] == [
        ("bad_helper", "cuda:90"),
        ("bad_helper", "hip:gfx942"),
    ]
    again, cached = run(jobs, ScriptedWorker(), cache, targets)
    assert again == CompileSummary(asked=6, from_cache=6, compiled=0, failed=2)
    assert cached == found
