"""The parent's side of compiling: asks the cache first, a worker for the rest; imports neither torch nor triton."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from harness.cache import canonical_hash
from kernelgen.compile.closure import reachable_text
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation
from kernelgen.compile.targets import Target
from sysmith_errors import InternalFault, SysmithError

CHUNK = 24  # compilations asked of one child: a few seconds of work, so that a lost child costs little

_SCHEMA = 2  # of the cached records; raise it when what a result means changes


class ResultCache(Protocol):
    """The part of harness.cache.Cache that is used here."""

    def get(self, key: str) -> dict[str, Any] | None: ...

    def put(self, key: str, value: dict[str, Any]) -> None: ...


class Worker(Protocol):
    """Runs kernelgen.compile.worker.entry on ``body`` in a fresh sandboxed child.

    Yields the bodies the child sends, as they come. Raises SysmithError, saying why, when the child died or was
    killed; what it had sent before counts.
    """

    def __call__(self, body: dict[str, Any]) -> Iterable[dict[str, Any]]: ...


@dataclass(frozen=True)
class CompileJob:
    """A kernel file and the specialisations of its kernels that ran. ``filename`` is what messages call the file."""

    source: str
    filename: str
    specialisations: tuple[Specialisation, ...]


@dataclass(frozen=True)
class CompileSummary:
    """How the results came about. ``asked`` counts distinct (file, specialisation, target)."""

    asked: int
    from_cache: int
    compiled: int
    failed: int


@dataclass(frozen=True)
class _Pair:
    job: CompileJob
    specialisation: Specialisation
    target: Target
    key: str
    shared: str  # the key under which a success also serves other files


def compile_all(
    jobs: Iterable[CompileJob],
    targets: Sequence[Target],
    worker: Worker,
    cache: ResultCache | None,
    on_result: Callable[[CompileJob, CompileResult], object],
    *,
    parallel: int = 1,
    chunk: int = CHUNK,
) -> CompileSummary:
    """Compile every specialisation of every job for every target that compiles; each result goes to ``on_result``.

    ``on_result`` is called in this thread, in no promised order, once for each distinct (file, specialisation,
    target). ``parallel`` children work at a time. A child that dies fails only the pair it died on, after that pair
    has had one more try alone; such a result is not cached. Raises MissingPart when a target's tool is not there.
    """
    wanted = [target for target in targets if target.compiles]
    for target in wanted:
        target.check_available()
    toolchains = {target.name: target.toolchain() for target in wanted}
    seen: set[str] = set()
    from_cache = compiled = failed = 0
    misses: list[list[_Pair]] = []
    for job in jobs:
        missing = []
        for specialisation in job.specialisations:
            for target in wanted:
                pair = _pair(job, specialisation, target, toolchains[target.name])
                if pair.key in seen:
                    continue
                seen.add(pair.key)
                result = _cached(cache, pair.shared) or _cached(cache, pair.key)
                if result is None:
                    missing.append(pair)
                    continue
                from_cache += 1
                failed += not result.ok
                on_result(job, result)
        misses += [missing[start : start + chunk] for start in range(0, len(missing), chunk)]
    for pair, result, keep in _spread(worker, misses, parallel):
        if keep and cache is not None:
            # An error names its file and line, so it serves no other file.
            cache.put(pair.shared if result.ok else pair.key, result.to_json())
        compiled += 1
        failed += not result.ok
        on_result(pair.job, result)
    return CompileSummary(len(seen), from_cache, compiled, failed)


def _pair(job: CompileJob, specialisation: Specialisation, target: Target, toolchain: str) -> _Pair:
    common = [_SCHEMA, specialisation.key, target.name, toolchain]
    key = canonical_hash(["compile", *common, canonical_hash(job.source), job.filename])
    # A function passed as a constant is reached by its name alone, which the closure does not see.
    passed = '"function"' in specialisation.text
    reached = job.source if passed else reachable_text(job.source, specialisation.kernel)
    return _Pair(job, specialisation, target, key, canonical_hash(["compile shared", *common, canonical_hash(reached)]))


def _cached(cache: ResultCache | None, key: str) -> CompileResult | None:
    record = cache.get(key) if cache is not None else None
    try:
        return None if record is None else CompileResult.from_json(record)
    except InternalFault:
        return None  # a damaged record is a miss: it is compiled again and written over


_Outcome = tuple[_Pair, CompileResult, bool]


def _spread(worker: Worker, chunks: list[list[_Pair]], parallel: int) -> Iterator[_Outcome]:
    """Run chunks on ``parallel`` threads (each only waits for its child) and yield results as chunks end."""
    if parallel <= 1:
        for pairs in chunks:
            yield from _run(worker, pairs)
        return
    waiting = iter(chunks)
    with ThreadPoolExecutor(parallel) as pool:
        running: set[Future[list[_Outcome]]] = set()
        while True:
            for pairs in islice(waiting, parallel - len(running)):
                running.add(pool.submit(lambda pairs=pairs: list(_run(worker, pairs))))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()


def _run(worker: Worker, pairs: list[_Pair]) -> Iterator[_Outcome]:
    """Results of one chunk, all from one file. Each round answers at least one pair, so it ends."""
    alone = False
    while pairs:
        batch = pairs[:1] if alone else pairs
        answered = 0
        fault = ""
        imported = False
        try:
            for message in worker(_request(batch)):
                if message.get("imported") is True:
                    imported = True
                    continue
                if message.get("imported") is False:
                    text = str(message.get("error") or "the file does not import")
                    yield from ((pair, _failure(pair, text), True) for pair in pairs)
                    return
                if message.get("index") != answered or answered >= len(batch):
                    raise InternalFault(f"the compile worker answered {message.get('index')} when {answered} was due")
                yield batch[answered], CompileResult.from_json(message["result"]), True
                answered += 1
        except SysmithError as error:
            fault = str(error)
        pairs = pairs[answered:]
        if answered == len(batch):
            alone = False
        elif alone:
            # A child that died twice while it imported the file dies on the file, not on this pair.
            lost = pairs[:1] if imported else pairs
            text = f"the compiler did not finish: {fault or 'it ended early'}"
            yield from ((pair, _failure(pair, text), False) for pair in lost)
            pairs, alone = pairs[len(lost) :], False
        else:
            alone = True  # not the pair's fault yet: the child may have run out of time on all of them together


def _request(pairs: Sequence[_Pair]) -> dict[str, Any]:
    job = pairs[0].job
    return {
        "source": job.source,
        "filename": job.filename,
        "pairs": [{"target": pair.target.name, "specialisation": pair.specialisation.to_json()} for pair in pairs],
    }


def _failure(pair: _Pair, text: str) -> CompileResult:
    return CompileResult(pair.target.name, pair.specialisation.kernel, pair.specialisation.key, ok=False, error=text)
