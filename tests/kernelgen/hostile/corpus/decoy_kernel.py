"""Hostile: shows a kernel and never launches it."""

import torch
import triton
import triton.language as tl


@triton.jit
def _neg_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n).to(tl.float32)
    tl.store(out_ptr + offs, (-x).to(out_ptr.dtype.element_ty), mask=offs < n)


def neg__default_kernel_impl(self):
    if False:
        _neg_kernel[(1,)](self, self, self.numel(), BLOCK=256)
    return torch.neg(self)
