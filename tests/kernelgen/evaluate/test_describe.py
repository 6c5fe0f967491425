"""How a failing sample is told: dtype and shape, and what else decides whether a kernel can read it."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from kernelgen.evaluate.judge import _describe


def test_layout_and_strides_are_told_where_they_are_not_the_plain_ones() -> None:
    plain = torch.zeros(2, 3)
    sparse = torch.eye(2).to_sparse()
    sample = SimpleNamespace(input=plain, args=(plain.t(), [sparse], 2), kwargs={"dim": -1})
    said = "(float32[2, 3], float32[3, 2] strides [1, 3], [sparse_coo float32[2, 2]], 2, dim=-1)"
    assert _describe(sample) == said
