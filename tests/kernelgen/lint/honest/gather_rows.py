"""Honest: index_select, whose loaded indices are wrapped and used as addresses without a cast."""

import torch
import triton
import triton.language as tl


@triton.jit
def _gather_kernel(x_ptr, index_ptr, out_ptr, size, count, inner, n, index_stride, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    column = offs % inner
    place = (offs // inner) % count
    outer = offs // (inner * count)
    index = tl.load(index_ptr + place * index_stride, mask=mask, other=0)
    index = tl.where(index < 0, index + size, index)
    value = tl.load(x_ptr + outer * size * inner + index * inner + column, mask=mask & (index >= 0) & (index < size))
    tl.store(out_ptr + offs, value, mask=mask)


def index_select__default_kernel_impl(self, dim, index):
    if index.dtype not in (torch.int64, torch.int32):
        raise IndexError("index_select(): Expected dtype int32 or int64 for index")
    if not self.is_contiguous():
        raise NotImplementedError("strided input")
    dim = dim % self.ndim if self.ndim else 0
    count = index.numel()
    shape = [count if d == dim else size for d, size in enumerate(self.shape)]
    out = torch.empty(shape, dtype=self.dtype, device=self.device)
    inner = 1
    for d in range(dim + 1, self.ndim):
        inner *= self.shape[d]
    n = out.numel()
    if n:
        stride = index.stride(0) if index.ndim else 0
        _gather_kernel[(triton.cdiv(n, 128),)](self, index, out, self.shape[dim], count, inner, n, stride, BLOCK=128)
    return out
