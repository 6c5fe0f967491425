"""Honest: sum in two passes, with scratch memory that a kernel clears, atomics, and an allocation helper."""

import torch
import triton
import triton.language as tl

_ZERO = tl.constexpr(0.0)


@triton.jit
def _clear_kernel(out_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.full((BLOCK,), _ZERO, tl.float32), mask=offs < n)


@triton.jit
def _pick(a, b):
    return a + b


@triton.jit
def _partial_kernel(x_ptr, partial_ptr, total_ptr, n, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    acc = tl.zeros((BLOCK,), tl.float32)
    start = pid * BLOCK * 4
    for step in tl.static_range(4):
        offs = start + step * BLOCK + tl.arange(0, BLOCK)
        acc += tl.load(x_ptr + offs, mask=offs < n, other=0).to(tl.float32)
    tl.store(partial_ptr + pid, tl.reduce(acc, 0, _pick))
    tl.atomic_add(total_ptr, tl.sum(acc, axis=0))


@triton.jit
def _final_kernel(partial_ptr, total_ptr, out_ptr, count, BLOCK: tl.constexpr):
    total = 0.0
    done = 0
    while done < count:
        offs = done + tl.arange(0, BLOCK)
        # The scratch is float32, so nothing needs a cast.
        total += tl.sum(tl.load(partial_ptr + offs, mask=offs < count, other=0.0), axis=0)
        done += BLOCK
    again = tl.load(total_ptr)
    tl.store(out_ptr, ((total + again) / 2).to(out_ptr.dtype.element_ty))


def _scratch(count, like):
    out = torch.empty(count, dtype=torch.float32, device=like.device)
    _clear_kernel[(triton.cdiv(count, 64),)](out, count, BLOCK=64)
    return out, count


def sum__default_kernel_impl(self, *, dtype=None):
    if not self.is_contiguous():
        raise NotImplementedError("strided input")
    if dtype is None:
        dtype = self.dtype if self.dtype.is_floating_point else torch.int64
    out = torch.empty((), dtype=dtype, device=self.device)
    programs = max(triton.cdiv(self.numel(), 4 * 64), 1)
    partial, count = _scratch(programs, self)
    total, _ = _scratch(1, self)
    _partial_kernel[(programs,)](self, partial, total, self.numel(), BLOCK=64)
    _final_kernel[(1,)](partial, total, out, count * 1, BLOCK=64)
    return out
