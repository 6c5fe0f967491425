"""Compile what ran: joins the specialisations of one operator with the targets of a run; runs no kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.cache import Cache
from kernelgen.compile.batch import CompileJob, compile_all
from kernelgen.compile.result import CompileResult
from kernelgen.compile.sandboxed import SandboxedCompiler
from kernelgen.compile.specialisation import Specialisation
from kernelgen.compile.targets import Target
from sysmith_errors import Interrupted


class Compiler:
    """Compiles kernels for the targets of a run, in a sandbox, through the cache; each result is made once."""

    def __init__(self, targets: Sequence[Target], cache: Cache | None, jobs: int, *, allow_unsandboxed: bool) -> None:
        self.targets = [target for target in targets if target.compiles]
        self._cache = cache
        self._workers = SandboxedCompiler(jobs, allow_unsandboxed=allow_unsandboxed)
        self._closed = False
        self._known: dict[tuple[str, str, str], CompileResult] = {}
        for target in self.targets:
            target.check_available()

    def compile(
        self, sources: Mapping[str, str], specialisations: Mapping[str, Sequence[Any]]
    ) -> dict[str, dict[str, CompileResult]]:
        """Return overload -> {"<target> <specialisation key>": result} for all in ``specialisations`` (JSON).

        Raises Interrupted when the compiler was closed meanwhile: what its dead servers left undone is no failure.
        """
        found: dict[str, dict[str, CompileResult]] = {}
        for overload, raw in specialisations.items():
            if overload in sources:
                wanted = [Specialisation.from_json(item) for item in raw]
                found[overload] = self._one(overload, sources[overload], wanted)
                if self._closed:
                    raise Interrupted(f"the run ended before {overload} was compiled")
        return found

    def _one(self, overload: str, source: str, wanted: Sequence[Specialisation]) -> dict[str, CompileResult]:
        results: dict[str, CompileResult] = {}
        missing = []
        for specialisation in wanted:
            known = {t.name: self._known.get((source, specialisation.key, t.name)) for t in self.targets}
            if None in known.values():
                missing.append(specialisation)
            else:
                results |= {f"{name} {specialisation.key}": r for name, r in known.items() if r is not None}

        def take(job: CompileJob, result: CompileResult) -> None:
            self._known[source, result.specialisation, result.target] = result
            results[f"{result.target} {result.specialisation}"] = result

        if missing:
            job = CompileJob(source, overload, tuple(missing))
            compile_all([job], self.targets, self._workers, self._cache, take)
        return results

    def close(self) -> None:
        """End the compile servers; compilations in flight are abandoned."""
        self._closed = True
        self._workers.close()
