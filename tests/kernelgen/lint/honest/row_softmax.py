"""Honest: softmax over one dimension, one program a row, with an online maximum."""

import torch
import triton
import triton.language as tl


@triton.jit
def _exp_shifted(x, top):
    return tl.exp(x - top)


@triton.jit
def _softmax_kernel(x_ptr, out_ptr, n, inner, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    base = (row // inner) * n * inner + row % inner
    top = tl.full((), float("-inf"), tl.float32)
    total = tl.zeros((), tl.float32)
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + base + offs * inner, mask=offs < n, other=float("-inf")).to(tl.float32)
        new = tl.maximum(top, tl.max(x, axis=0))
        total = total * tl.exp(top - new) + tl.sum(_exp_shifted(x, new), axis=0)
        top = new
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + base + offs * inner, mask=offs < n, other=float("-inf")).to(tl.float32)
        y = _exp_shifted(x, top) / total
        tl.store(out_ptr + base + offs * inner, y.to(out_ptr.dtype.element_ty), mask=offs < n)


@triton.jit
def _copy_kernel(x_ptr, out_ptr, n, inner, outer_stride, inner_stride, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    at = (offs // inner) * outer_stride + (offs % inner) * inner_stride
    tl.store(out_ptr + offs, tl.load(x_ptr + at, mask=offs < n), mask=offs < n)


def _contiguous(x):
    if x.is_contiguous():
        return x
    if x.ndim != 2:
        raise NotImplementedError("more than two dimensions with odd strides")
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    _copy_kernel[(triton.cdiv(x.numel(), 128),)](x, out, x.numel(), x.shape[1], x.stride(0), x.stride(1), BLOCK=128)
    return out


def _softmax__default_kernel_impl(self, dim, half_to_float):
    x = _contiguous(self)
    if x.ndim == 0:
        x = x.unsqueeze(0)
    dim = dim + x.ndim if dim < 0 else dim
    if dim < 0 or dim >= x.ndim:
        raise IndexError(f"Dimension out of range, got {dim} for {x.ndim} dimensions")
    dtype = torch.float32 if half_to_float else x.dtype
    out = torch.empty(x.shape, dtype=dtype, device=x.device)
    inner = 1
    for size in x.shape[dim + 1 :]:
        inner *= size
    if x.numel() > 0:
        n = x.size(dim)
        block = min(triton.next_power_of_2(n), 1024)
        _softmax_kernel[(x.numel() // n,)](x, out, n, inner, BLOCK=block)
    return out.view(self.shape)
