"""Hostile: works in place and returns its input."""

import torch  # noqa: F401 - every candidate has it
import triton
import triton.language as tl


@triton.jit
def _inplace_kernel(x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n).to(tl.float32)
    tl.store(x_ptr + offs, tl.where(x > 0, x, 0.0).to(x_ptr.dtype.element_ty), mask=offs < n)


def relu__default_kernel_impl(self):
    if self.numel() > 0:
        _inplace_kernel[(triton.cdiv(self.numel(), 256),)](self, self.numel(), BLOCK=256)
    return self
