"""The corrections to Triton's interpreter, against PyTorch's own rounding."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernelgen.runtime.interpreter import from_bf16_bits, to_bf16_bits


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=200))
def test_rounding_to_bf16_is_pytorchs(bits: list[int]) -> None:
    values = np.array(bits, dtype=np.uint32).view(np.float32)
    want = torch.from_numpy(values.copy()).to(torch.bfloat16)
    got = torch.from_numpy(to_bf16_bits(values).view(np.int16)).view(torch.bfloat16)
    nan = torch.isnan(want)
    assert torch.equal(torch.isnan(got), nan)
    assert torch.equal(got.view(torch.int16)[~nan], want.view(torch.int16)[~nan])


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=50))
def test_widening_from_bf16_is_exact(bits: list[int]) -> None:
    raw = np.array(bits, dtype=np.uint16)
    want = torch.from_numpy(raw.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(from_bf16_bits(raw), want)


PROGRAM = """
import torch, triton, triton.language as tl
from kernelgen.runtime import interpreter
interpreter.install()
interpreter.install()

@triton.jit
def cast(x, out, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i, mask=i < n).to(tl.float32).to(out.dtype.element_ty), mask=i < n)

@triton.jit
def raw(x, out, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    v = tl.load(x + i, mask=i < n)
    tl.store(out + i, v + v, mask=i < n)

x = torch.randn(1000)
out = torch.empty(1000, dtype=torch.bfloat16)
seen = []
interpreter.LAUNCHES.hook = lambda fn, arguments, options: seen.append((fn.__name__, sorted(arguments), options))
cast[(1,)](x, out, 1000, BLOCK=1024, num_warps=4)
assert torch.equal(out, x.bfloat16())
assert seen == [("cast", ["BLOCK", "n", "out", "x"], {"num_warps": 4})], seen
assert interpreter.LAUNCHES.count == 1
try:
    raw[(1,)](out, out, 1000, BLOCK=1024)
except TypeError as error:
    assert "without a cast to fp32" in str(error)
else:
    raise SystemExit("bf16 arithmetic went unnoticed")
print("fine")
"""


def test_installed_interpreter_rounds_counts_and_refuses(tmp_path: object) -> None:
    path = f"{tmp_path}/program.py"
    with open(path, "w") as file:
        file.write(PROGRAM)
    environment = {"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.strip() == "fine", done.stderr
