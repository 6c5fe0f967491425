"""The honest kernels are honest: run in Triton's interpreter, they agree with PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HONEST = Path(__file__).parent / "honest"
CHECK = """
import importlib.util, sys, torch
def load(name):
    spec = importlib.util.spec_from_file_location(name, f"{sys.argv[1]}/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
torch.manual_seed(0)
a, b = torch.randn(5, 7), torch.randn(7, 5)
same = torch.testing.assert_close
add = load("pointwise_add").add__Tensor_kernel_impl
same(add(a, b.t(), alpha=2), torch.add(a, b.t(), alpha=2))
same(add(a, 3), a + 3)
same(add(a.bfloat16(), b[0].bfloat16()[:1]), a.bfloat16() + b[0].bfloat16()[:1])
same(load("row_softmax")._softmax__default_kernel_impl(a, 0, False), a.softmax(0))
same(load("gather_rows").index_select__default_kernel_impl(a, 1, torch.tensor([3, 0, 6])), a[:, [3, 0, 6]])
same(load("two_pass_sum").sum__default_kernel_impl(a.repeat(40, 1)), a.repeat(40, 1).sum())
values, indices = load("rank_sort").sort__default_kernel_impl(a, -1, True)
same(values, a.sort(-1, True).values)
same(indices, a.sort(-1, True).indices)
vector = torch.tensor([0.0, 2.0, 0.0, 3.0])
same(load("compaction").nonzero__default_kernel_impl(vector), vector.nonzero())
same(load("matmul").mm__default_kernel_impl(a, b), a @ b)
print("agree")
"""


@pytest.mark.slow
def test_honest_kernels_agree_with_pytorch() -> None:
    # A process of its own, as the interpreter is chosen when triton is imported.
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(HONEST)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.stdout.strip() == "agree", done.stderr[-2000:]
