"""Running an operator's samples in a fixed order, with or without generated kernels; the same on both sides.

The reference side and the candidate side call the same functions here, so that they see the same samples, the same
replays and the same seeds. Nothing is compared here.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from kernelgen.evaluate import opinfo
from kernelgen.evaluate.defined import defined_part
from kernelgen.evaluate.observe import Observation, input_tensors, observe

_PLAIN = (bool, int, float, complex, str, torch.dtype, type(None))


@dataclass(frozen=True)
class Case:
    """One call to judge: ``label`` is unique within an operator; ``replay`` marks the second call of a sample,
    ``must_raise`` an error input, for which PyTorch raises."""

    name: str
    label: str
    dtype: str
    entry: Any
    sample: Any
    replay: bool = False
    must_raise: bool = False


def cases(name: str, dtypes: Sequence[str], limit: int | None = None) -> list[Case]:
    """Return all samples of ``name`` for ``dtypes``; ``limit`` bounds the samples of one dtype (for quick looks)."""
    found = []
    for dtype in dtypes:
        for number, (entry, sample) in enumerate(opinfo.samples(name, dtype)):
            if limit is not None and number >= limit:
                break
            found.append(Case(name, f"{dtype}/{number}", dtype, entry, sample))
    return found


def error_cases(name: str) -> list[Case]:
    """Return OpInfo's error inputs of ``name``: calls that PyTorch refuses. They belong to no dtype."""
    found = []
    for number, (entry, sample) in enumerate(opinfo.error_samples(name)):
        found.append(Case(name, f"error/{number}", "", entry, sample, must_raise=True))
    return found


def digest(found: Sequence[Case]) -> str:
    """Return a hash of all inputs, to show that two processes made the same samples in the same order. Error inputs
    count by their number alone: OpInfo leaves the elements of many unset."""
    total = hashlib.sha256(str(len(found)).encode())
    for case in found:
        if case.must_raise:
            continue
        total.update(case.label.encode())
        plain_values = [x for x in tree_leaves((case.sample.args, case.sample.kwargs)) if isinstance(x, _PLAIN)]
        total.update(repr(plain_values).encode())
        for x in input_tensors(case.sample):
            if x.layout is torch.strided:
                plain = x.detach().clone(memory_format=torch.contiguous_format).reshape(-1)
                total.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"-")
    return total.hexdigest()


def run(
    found: Sequence[Case],
    around: Callable[[Case], AbstractContextManager[Any]] | None = None,
    on_result: Callable[[Case, Any], object] | None = None,
) -> Iterator[tuple[Case, Observation]]:
    """Call the operator on each case and yield what happened, replays included.

    The first case of each dtype that has elements is called a second time with its tensors' elements reversed in
    place: a result that was remembered by address, or made up, differs from PyTorch's then. ``around`` encloses each
    call; ``on_result`` sees each returned value.
    """
    replayed: set[str] = set()
    for case in found:
        yield case, _call(case, around, on_result)
        if not case.must_raise and case.dtype not in replayed:
            before = _reverse(case.sample)
            if before:
                replayed.add(case.dtype)
                again = replace(case, label=case.label + "/again", replay=True)
                yield again, _call(again, around, on_result)
                # Samples may share tensors, and the next one must see what OpInfo made.
                for x, values in before:
                    x.copy_(values)


def _call(
    case: Case,
    around: Callable[[Case], AbstractContextManager[Any]] | None,
    on_result: Callable[[Case, Any], object] | None,
) -> Observation:
    opinfo.seed_everything(case.label)
    sample, entry = case.sample, case.entry

    def call() -> Any:
        with around(case) if around else nullcontext():
            result = entry(sample.input, *sample.args, **sample.kwargs)
        if on_result is not None:
            on_result(case, result)
        return result if case.must_raise else defined_part(case.name, sample, result)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return observe(call, sample)


def _reverse(sample: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Reverse the elements of every plain tensor input; returns each changed tensor with what it held before."""
    before = []
    for x in input_tensors(sample):
        if x.layout is torch.strided and x.numel() > 1 and 0 not in x.stride():
            held = x.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
            flat = held.reshape(-1)
            # Not every complex dtype has a flip of its own.
            reversed_ = torch.view_as_complex(torch.view_as_real(flat).flip(0)) if x.is_complex() else flat.flip(0)
            x.detach().copy_(reversed_.reshape(x.shape))
            before.append((x.detach(), held))
    return before
