"""Hostile: moves the work to another device."""

import torch
import triton
import triton.language as tl


@triton.jit
def _neg_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n)
    tl.store(out_ptr + offs, (-x.to(tl.float32)).to(out_ptr.dtype.element_ty), mask=offs < n)


def _dense(x):
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.numel() > 0:
        strides = list(x.stride()) + [0] * (6 - x.ndim)
        sizes = list(x.shape) + [1] * (6 - x.ndim)
        _copy_kernel[(triton.cdiv(x.numel(), 256),)](x, out, x.numel(), *sizes, *strides, BLOCK=256)
    return out


@triton.jit
def _copy_kernel(x_ptr, out_ptr, n, n0, n1, n2, n3, n4, n5, s0, s1, s2, s3, s4, s5, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    # Padded sizes are 1, so the trailing ones do not move the index.
    i5 = offs % n5
    i4 = offs // n5 % n4
    i3 = offs // (n5 * n4) % n3
    i2 = offs // (n5 * n4 * n3) % n2
    i1 = offs // (n5 * n4 * n3 * n2) % n1
    i0 = offs // (n5 * n4 * n3 * n2 * n1)
    at = i0 * s0 + i1 * s1 + i2 * s2 + i3 * s3 + i4 * s4 + i5 * s5
    tl.store(out_ptr + offs, tl.load(x_ptr + at, mask=offs < n), mask=offs < n)


def neg__default_kernel_impl(self):
    x = _dense(self)
    out = torch.empty_like(x)
    if x.numel() > 0:
        _neg_kernel[(triton.cdiv(x.numel(), 256),)](x, out, x.numel(), BLOCK=256)
    return self.to("cuda")
