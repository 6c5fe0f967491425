"""Answers that the scripted models of these tests give for ``angle`` on real dtypes: wrong ones and a right one."""

from __future__ import annotations

import json

RIGHT = """
import torch
import triton
import triton.language as tl


@triton.jit
def _angle(out, x, numel, shape, out_stride, x_stride, NDIM: tl.constexpr, BLOCK: tl.constexpr):
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = index < numel
    value = tl.load(x + _offsets(index, shape, x_stride, NDIM), mask=live, other=0).to(tl.float32)
    result = tl.where(value < 0, 3.141592653589793, 0.0)
    result = tl.where(value != value, value, result)
    tl.store(out + _offsets(index, shape, out_stride, NDIM), result.to(out.dtype.element_ty), mask=live)


def angle__default_kernel_impl(self):
    out = _empty_result(self.shape, self.dtype, self)
    numel = out.numel()
    if numel == 0:
        return out
    ndim, sizes, strides = _collapse(self.shape, out.stride(), self.stride())
    _angle[(triton.cdiv(numel, 1024),)](out, self, numel, sizes, strides[0], strides[1], NDIM=ndim, BLOCK=1024)
    return out
"""
WRONG = RIGHT.replace("3.141592653589793", "1.5")
REFUSED_BY_LINT = RIGHT.replace("    out = _empty_result(self.shape, self.dtype, self)\n", "    out = self.clone()\n")
SLOWER = RIGHT.replace(
    "    result = tl.where(value != value",
    "    result = tl.exp(tl.log(result + 1)) - 1\n    result = tl.where(value != value",
)
MARK = "the first sample that failed"


def answer(source: str, approach: str = "One program for 1024 elements.") -> str:
    return json.dumps({"approach": approach, "source": source})


def learns(messages: list[dict[str, str]]) -> str:
    """Right only once the last message shows the sample that failed: a model that needs the feedback."""
    last = messages[-1]["content"]
    told = len(messages) > 2 and MARK in last and "wrong_value" in last
    return answer(RIGHT if told else WRONG)
