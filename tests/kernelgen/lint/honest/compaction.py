"""Honest: nonzero of a vector, whose output's size is read back once with item()."""

import torch
import triton
import triton.language as tl


@triton.jit
def _count_kernel(x_ptr, where_ptr, count_ptr, n, BLOCK: tl.constexpr):
    seen = 0
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        hit = (tl.load(x_ptr + offs, mask=offs < n, other=0) != 0).to(tl.int32)
        slot = seen + tl.cumsum(hit, axis=0) - hit
        tl.store(where_ptr + slot, offs.to(tl.int64), mask=hit != 0)
        seen += tl.sum(hit, axis=0)
    tl.store(count_ptr, seen)


def nonzero__default_kernel_impl(self):
    if self.ndim != 1 or self.stride(0) != 1:
        raise NotImplementedError("dense vectors only")
    where = torch.empty(self.numel(), dtype=torch.int64, device=self.device)
    count = torch.empty((), dtype=torch.int32, device=self.device)
    _count_kernel[(1,)](self, where, count, self.numel(), BLOCK=64)
    return where.narrow(0, 0, int(count.item())).unsqueeze(1)
