"""Honest: sort by counting ranks, two outputs, one launch helper that takes the kernel as an argument."""

import torch
import triton
import triton.language as tl


@triton.jit
def _rank_kernel(x_ptr, value_ptr, index_ptr, n, DESCENDING: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    i = tl.program_id(1)
    mine = tl.load(x_ptr + row * n + i)
    key = mine.to(tl.float32)
    rank = 0
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        others = tl.load(x_ptr + row * n + offs, mask=offs < n, other=0).to(tl.float32)
        if DESCENDING:  # noqa: SIM108 - a constexpr branch, as kernels write it
            before = others > key
        else:
            before = others < key
        before = (before | ((others == key) & (offs < i))) & (offs < n)
        rank += tl.sum(before.to(tl.int32), axis=0)
    tl.store(value_ptr + row * n + rank, mine)
    tl.store(index_ptr + row * n + rank, i.to(tl.int64))


def _launch(kernel, grid, *tensors, **options):
    kernel[grid](*tensors, **options)


def sort__default_kernel_impl(self, dim=-1, descending=False):
    order = sorted(range(self.ndim), key=lambda d: -self.stride(d))
    if self.ndim == 0 or order != list(range(self.ndim)) or dim not in (-1, self.ndim - 1):
        raise NotImplementedError("only the last dimension of a row-major tensor")
    values = torch.empty_like(self)
    indices = torch.empty(self.shape, dtype=torch.int64, device=self.device)
    n = self.shape[-1]
    if self.numel() > 0:
        grid = (self.numel() // n, n)
        _launch(_rank_kernel, grid, self, values, indices, n, DESCENDING=bool(descending), BLOCK=64)
    return values, indices
