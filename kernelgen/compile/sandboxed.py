"""The compile worker of kernelgen.compile.batch on top of harness.pool; decides no result."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from harness.pool import Worker as PoolWorker
from harness.wire import Message
from sysmith_errors import SysmithError

# Settings of the user that the parent's check of ptxas honours: the child must use the same tool.
_PASSED_ON = ("TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH")


class SandboxedCompiler:
    """``parallel`` sandboxed compile workers behind one call; safe to call from as many threads.

    ``timeout_s`` limits the wall time of one request (up to batch.CHUNK compilations) and ``memory_bytes`` the memory
    of the child that serves it. Workers start when first needed. Raises what harness.pool.Worker raises.
    """

    def __init__(
        self,
        parallel: int = 1,
        *,
        timeout_s: float = 120.0,
        memory_bytes: int = 4 << 30,
        allow_unsandboxed: bool = False,
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._allow_unsandboxed = allow_unsandboxed
        self._free: queue.SimpleQueue[PoolWorker | None] = queue.SimpleQueue()
        for _ in range(parallel):
            self._free.put(None)  # a place for a worker that is not started yet
        self._started: list[PoolWorker] = []

    def __enter__(self) -> SandboxedCompiler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        while self._started:
            self._started.pop().close()

    def __call__(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the bodies one child sent for ``body``, then raise SysmithError unless it ended well."""
        worker = self._free.get()
        bodies: list[dict[str, Any]] = []
        try:
            if worker is None:
                worker = self._start()
            outcome = worker.run(
                Message(body),
                lambda message: bodies.append(message.body),
                timeout_s=self._timeout_s,
                memory_bytes=self._memory_bytes,
            )
        finally:
            self._free.put(worker)
        yield from bodies
        if outcome.status != "ok":
            last = outcome.stderr_tail.strip().rsplit("\n", 1)[-1][:200]
            raise SysmithError(f"{outcome.status}: {outcome.detail or last or 'no reason given'}"[:400])

    def _start(self) -> PoolWorker:
        worker = PoolWorker(
            "kernelgen.compile.worker:entry",
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            profile="compile",
            allow_unsandboxed=self._allow_unsandboxed,
        )
        self._started.append(worker)
        return worker
