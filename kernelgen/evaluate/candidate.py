"""The sandboxed side of an evaluation: runs an operator's samples on generated kernels and reports what happened.

It judges nothing and knows no reference results. Its server imports PyTorch, Triton's interpreter and OpInfo once; a
forked child makes the samples before the candidate's code is first loaded.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from kernelgen.compile.launch import NotSpecialisable, specialise
from kernelgen.evaluate import opinfo, sampling
from kernelgen.evaluate.leaves import pack
from kernelgen.evaluate.loader import LazyKernels, overload_of_file
from kernelgen.evaluate.observe import input_tensors
from kernelgen.runtime import interpreter
from kernelgen.runtime.compositions import COMPOSITES, decompositions
from kernelgen.runtime.router import RouteStats, RoutingMode

_POISON = {torch.bool: True, torch.uint8: 0xA5}


def preload() -> None:
    """Import and build all that every child needs; called once in the server, before any fork."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    opinfo.database()
    interpreter.install()
    decompositions()
    for name in ("add", "sum", "nn.functional.conv2d"):
        for case in sampling.cases(name, ["float32"], limit=1):
            next(sampling.run([case]))


def poison(x: Any) -> None:
    """Fill a fresh allocation with values no kernel would compute, so that reading it shows."""
    if isinstance(x, torch.Tensor) and x.numel() and x.layout is torch.strided:
        if x.dtype.is_floating_point or x.dtype.is_complex:
            x.fill_(float("nan"))
        else:
            x.fill_(_POISON.get(x.dtype, 0x5A) if x.dtype not in (torch.int32, torch.int64) else 0x5A5A5A5A)


class _Recorder:
    """Collects each distinct specialisation under the file that launched it, with the dtypes of the samples in which
    it ran; error inputs do not count."""

    def __init__(self) -> None:
        self.dtype = ""
        self.seen: dict[str, dict[str, tuple[Any, set[str]]]] = {}
        self.refused: dict[str, dict[str, str]] = {}

    def __call__(self, function: Any, arguments: dict[str, Any], options: dict[str, Any]) -> None:
        if not self.dtype:
            return
        label = overload_of_file(function.fn.__code__.co_filename)
        try:
            found = specialise(function, (), {**arguments, **options})
        except NotSpecialisable as error:
            self.refused.setdefault(label, {}).setdefault(self.dtype, str(error))
            return
        self.seen.setdefault(label, {}).setdefault(found.key, (found, set()))[1].add(self.dtype)

    def to_json(self) -> dict[str, Any]:
        """Return ``specialisations`` and ``refused`` as a verdict keeps them."""
        launched = {
            label: [{"launch": found.to_json(), "dtypes": sorted(dtypes)} for found, dtypes in seen.values()]
            for label, seen in self.seen.items()
        }
        return {"specialisations": launched, "refused": self.refused}


class _Returned:
    """Keeps every result alive and notices one whose memory was handed out before: a buffer the candidate kept."""

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}
        self._kept: list[Any] = []
        self.reused: dict[str, str] = {}

    def __call__(self, case: sampling.Case, result: Any) -> None:
        inputs = {x.untyped_storage().data_ptr() for x in input_tensors(case.sample) if x.layout is torch.strided}
        mine = set()
        for x in tree_leaves(result):
            if isinstance(x, torch.Tensor) and x.layout is torch.strided and x.numel():
                pointer = x.untyped_storage().data_ptr()
                if pointer in inputs:
                    continue
                if pointer in self._owners:
                    self.reused[case.label] = self._owners[pointer]
                mine.add(pointer)
                self._kept.append(x)
        self._owners.update(dict.fromkeys(mine, case.label))


def entry(request: Any, send: Callable[[dict[str, Any], Sequence[Any]], object]) -> None:
    """Serve one request: ``name``, ``dtypes``, ``limit``, ``sources`` (overload -> text); sends one message a case."""
    body = request.body
    found = sampling.cases(body["name"], body["dtypes"], body.get("limit")) + sampling.error_cases(body["name"])
    send({"kind": "samples", "count": len(found), "digest": sampling.digest(found)}, [])
    kernels, recorder, returned, rules = LazyKernels(body["sources"]), _Recorder(), _Returned(), decompositions()
    interpreter.LAUNCHES.hook = recorder
    total = RouteStats()
    latest = RouteStats()

    @contextlib.contextmanager
    def around(case: sampling.Case) -> Iterator[None]:
        nonlocal latest
        mode = RoutingMode(
            kernels,
            composites=COMPOSITES,
            decompositions=rules,
            launch_count=lambda: interpreter.LAUNCHES.count,
            on_allocation=poison,
        )
        latest = mode.stats
        recorder.dtype = case.dtype
        with mode:
            yield

    for case, observation in sampling.run(found, around, returned):
        if not case.must_raise:
            total.add(latest)
        details, buffers = pack(observation)
        details["missing"], details["kernels"] = sorted(latest.missing), sorted(latest.kernel)
        details["reused"] = returned.reused.get(case.label, "")
        send({"kind": "case", "label": case.label, "observation": details}, buffers)
    send(
        {
            "kind": "end",
            "stats": total.to_json(),
            "used": sorted(kernels.used()),
            **recorder.to_json(),
        },
        [],
    )
