"""Samples are the same in every process, and second calls see other values."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch.testing._internal.common_methods_invocations import SampleInput

from kernelgen.catalog.store import reference_names
from kernelgen.evaluate import opinfo, sampling

PRINT_DIGEST = (
    "from kernelgen.evaluate import sampling;"
    "print(sampling.digest(sampling.cases('nn.functional.embedding_bag', ['float32', 'bfloat16'])))"
)


def test_another_process_makes_the_same_samples() -> None:
    command = [sys.executable, "-W", "ignore", "-c", PRINT_DIGEST]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()
    assert there == sampling.digest(sampling.cases("nn.functional.embedding_bag", ["float32", "bfloat16"]))


def test_each_dtype_is_called_twice_once_with_other_values() -> None:
    found = sampling.cases("add", ["float32", "int64"])
    labels = [(case.label, case.replay) for case, _ in sampling.run(found)]
    assert sum(replay for _, replay in labels) == 2
    assert len(labels) == len(found) + 2
    first, second = [o for c, o in sampling.run(sampling.cases("neg", ["float32"], 1))]
    assert first.outputs[0].data != second.outputs[0].data


def test_inputs_are_as_before_after_a_second_call() -> None:
    found = sampling.cases("nn.functional.embedding_bag", ["float32"], 5)
    before = sampling.digest(found)
    list(sampling.run(found))
    assert sampling.digest(found) == before


def test_inputs_that_share_elements_are_not_replayed() -> None:
    sample = SampleInput(torch.ones(1).expand(4))
    case = sampling.Case("neg", "x", "float32", lambda a: a + 1, sample)
    assert [c.replay for c, _ in sampling.run([case])] == [False]


def test_the_reference_set_has_its_published_size() -> None:
    names = reference_names()
    assert len(names) == len(set(names)) == 558
    assert set(names) <= set(opinfo.database())
    quick = ["add", "abs", "div", "broadcast_shapes"]
    counts = {name: len(sampling.cases(name, opinfo.REFERENCE_DTYPES)) for name in quick}
    assert counts == {"add": 55, "abs": 5, "div": 135, "broadcast_shapes": 10}
