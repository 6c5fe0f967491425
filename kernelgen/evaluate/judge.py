"""The trusted side of an evaluation: computes references, drives the sandboxed candidate and compares.

The judge never loads a candidate's code, and the candidate's server is a separate program started from scratch, so no
reference result is ever in its memory.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from harness import linux
from harness.pool import Worker
from harness.wire import Message
from kernelgen.evaluate.verdict import DtypeScore, Verdict
from sysmith_errors import InternalFault

_CATCHES = (
    "ForbiddenCompute",
    "NoLaunch",
    "mutated_input",
    "aliases_input",
    "dtype_mismatch",
    "wrong_value",
)
# Of this process and of the candidate's; see JudgePool.
HASH_SEED = "0"
_CATCH_NAMES = {"ForbiddenCompute": "aten_compute", "NoLaunch": "no_launch"}


class Judge:
    """Judges operators one after another with one sandboxed candidate server; use one judge in each process.

    ``timeout_s`` and ``memory_bytes`` bound one operator's candidate. Raises MissingPart when there is no sandbox.
    """

    def __init__(self, *, timeout_s: float, memory_bytes: int, allow_unsandboxed: bool = False) -> None:
        self.timeout_s, self.memory_bytes = timeout_s, memory_bytes
        self.worker = Worker(
            "kernelgen.evaluate.candidate:entry",
            preload=["kernelgen.evaluate.preload_candidate"],
            env={"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": HASH_SEED},
            profile="compute",
            allow_unsandboxed=allow_unsandboxed,
        )

    def close(self) -> None:
        """End the candidate server."""
        self.worker.close()

    def judge(
        self, name: str, dtypes: Sequence[str], sources: Mapping[str, str], *, limit: int | None = None
    ) -> Verdict:
        """Run every sample of ``name`` for ``dtypes`` on the kernels in ``sources`` and compare with PyTorch."""
        began = time.monotonic()
        run = _Run(name, dtypes, limit)
        outcome = self.worker.run(
            Message({"name": name, "dtypes": list(dtypes), "limit": limit, "sources": dict(sources)}),
            run.take,
            timeout_s=self.timeout_s,
            memory_bytes=self.memory_bytes,
        )
        if outcome.status == "ok" and not run.ended:
            run.fail("the candidate stopped before its last sample", "protocol")
        if outcome.status != "ok":
            text = f"{outcome.status}: {outcome.detail}".strip(": ")
            run.fail(f"after {run.done} of {run.total} calls the candidate ended: {text}", outcome.status)
        return run.verdict(
            "ok" if outcome.status == "ok" else outcome.status, time.monotonic() - began, self.worker.tier.name
        )


class _Run:
    """One operator's comparison in progress: the reference is computed as each message asks for it."""

    def __init__(self, name: str, dtypes: Sequence[str], limit: int | None) -> None:
        import torch

        from kernelgen.evaluate import opinfo, sampling

        torch.set_num_threads(1)
        self.name, self._opinfo, self._torch = name, opinfo, torch
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sampling.cases(name, dtypes, limit) + sampling.error_cases(name)
        self.digest, self.total = sampling.digest(found), len(found)
        self._reference = sampling.run(found)
        self.scores = {dtype: [sum(c.dtype == dtype for c in found), 0] for dtype in dtypes}
        self.scores = {dtype: score for dtype, score in self.scores.items() if score[0]}
        self.reason = self.catch = ""
        self.done, self.replays, self.errors = 0, [0, 0], [0, 0]
        self.culprits: tuple[str, ...] = ()
        self.missing: set[str] = set()
        self.ended: dict[str, Any] = {}

    def take(self, message: Any) -> None:
        """Take one message of the candidate. Raises InternalFault when the two sides no longer agree."""
        kind = message.body.get("kind")
        if kind == "samples":
            if message.body["digest"] != self.digest:
                raise InternalFault(f"the samples of {self.name} differ between two processes; they cannot be judged")
        elif kind == "case":
            self._compare(message)
        elif kind == "end":
            self.ended = message.body

    def _compare(self, message: Any) -> None:
        from kernelgen.evaluate.compare import difference
        from kernelgen.evaluate.leaves import unpack

        case, want = next(self._reference, (None, None))
        if case is None or want is None or message.body["label"] != case.label:
            raise InternalFault(f"the candidate of {self.name} answered {message.body['label']!r} out of turn")
        if case.replay and want.error:
            return  # reversed values are not valid for every operator
        if case.must_raise:
            if want.error:
                self.errors[1] += 1
                self.errors[0] += bool(_same_error(message.body["observation"], want.error))
            return
        details = message.body["observation"]
        got = unpack(details, message.arrays)
        tolerance = self._opinfo.tolerance(case.entry, getattr(self._torch, case.dtype))
        defined = self.name not in self._opinfo.UNDEFINED_VALUES
        text = difference(got, want, tolerance, check_values=defined)
        if not text and details["reused"]:
            text = f"stale_output: returned the same memory as for {details['reused']}"
        self.missing.update(details["missing"])
        if case.replay:
            self.replays[1] += 1
            self.replays[0] += not text
            if text and not self.reason:
                text = f"stale_output: on the second call with other values, {text}"
        else:
            self.done += 1
            self.scores[case.dtype][1] += not text
        if text:
            self._first(case, text, got.error, tuple(details["kernels"]))

    def _first(self, case: Any, text: str, error: str, kernels: tuple[str, ...]) -> None:
        caught = next((c for c in ("stale_output", *_CATCHES) if error == c or f"{c}:" in text), "")
        if caught in ("ForbiddenCompute", "NoLaunch", "stale_output", "mutated_input", "aliases_input"):
            self.catch = self.catch or _CATCH_NAMES.get(caught, caught)
        if not self.reason:
            self.reason = f"sample {case.label}: {_describe(case.sample)}: {text}"
            self.culprits = kernels

    def fail(self, text: str, kind: str) -> None:
        """Note that the run as a whole went wrong."""
        self.reason = self.reason or text
        if kind in ("timeout", "memory"):
            self.catch = self.catch or kind

    def verdict(self, status: str, seconds: float, tier: str) -> Verdict:
        """Return what was found."""
        return Verdict(
            self.name,
            {dtype: DtypeScore(*score) for dtype, score in self.scores.items()},
            self.reason,
            self.catch,
            status,
            tuple(self.ended.get("used", ())),
            tuple(sorted(self.missing)),
            self.culprits,
            self.ended.get("specialisations", {}),
            self.ended.get("refused", {}),
            self.ended.get("stats", {}),
            (self.replays[0], self.replays[1]),
            (self.errors[0], self.errors[1]),
            round(seconds, 3),
            tier,
        )


def _same_error(details: dict[str, Any], wanted: str) -> bool:
    return details.get("error") == wanted and not details.get("missing")


def _describe(sample: Any) -> str:
    def text(x: Any) -> str:
        import torch

        if isinstance(x, torch.Tensor):
            strided = x.layout is torch.strided
            layout = "" if strided else f"{str(x.layout).removeprefix('torch.')} "
            strides = f" strides {list(x.stride())}" if strided and not x.is_contiguous() else ""
            return f"{layout}{str(x.dtype).removeprefix('torch.')}{list(x.shape)}{strides}"
        if isinstance(x, (list, tuple)):
            return "[" + ", ".join(text(item) for item in x) + "]"
        return repr(x)

    parts = [text(sample.input), *(text(a) for a in sample.args), *(f"{k}={text(v)}" for k, v in sample.kwargs.items())]
    return f"({', '.join(parts)})"[:800]


_judge: Judge | None = None


def start_process(timeout_s: float, memory_bytes: int, allow_unsandboxed: bool) -> None:
    """Initialise a judging process of a pool."""
    import signal

    global _judge
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)  # a killed parent leaves no judge behind
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group, and the parent's to handle
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _judge = Judge(timeout_s=timeout_s, memory_bytes=memory_bytes, allow_unsandboxed=allow_unsandboxed)


def judge_in_process(name: str, dtypes: Sequence[str], sources: Mapping[str, str], limit: int | None) -> dict[str, Any]:
    """Judge one operator in a process that :func:`start_process` initialised; returns a Verdict as JSON."""
    if _judge is None:
        raise InternalFault("the judging process was not started")
    return _judge.judge(name, dtypes, sources, limit=limit).to_json()
