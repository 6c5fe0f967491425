"""Honest: mm with tl.dot over tiles, picking tile sizes by the problem's size."""

import torch
import triton
import triton.language as tl


@triton.autotune(configs=[triton.Config({"BLOCK_K": 16}, num_warps=4)], key=["m", "n", "k"])
@triton.jit
def _mm_kernel(
    a_ptr, b_ptr, c_ptr, m, n, k, a0, a1, b0, b1, COMPUTE: tl.constexpr, BLOCK: tl.constexpr, BLOCK_K: tl.constexpr
):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), dtype=COMPUTE)
    a_ptrs = a_ptr + rows[:, None] * a0
    b_ptrs = b_ptr + cols[None, :] * b1
    for start in range(0, k, BLOCK_K):
        ks = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_ptrs + ks[None, :] * a1, mask=(rows[:, None] < m) & (ks[None, :] < k), other=0.0).to(COMPUTE)
        b = tl.load(b_ptrs + ks[:, None] * b0, mask=(ks[:, None] < k) & (cols[None, :] < n), other=0.0).to(COMPUTE)
        acc += tl.dot(a, b, input_precision="ieee")
    out = c_ptr + rows[:, None] * n + cols[None, :]
    tl.store(out, acc.to(c_ptr.dtype.element_ty), mask=(rows[:, None] < m) & (cols[None, :] < n))


def _accumulator(dtype: torch.dtype):
    return tl.float64 if dtype == torch.float64 else tl.float32


def mm__default_kernel_impl(self: torch.Tensor, mat2: torch.Tensor) -> torch.Tensor:
    if self.dim() != 2 or mat2.dim() != 2 or self.shape[1] != mat2.shape[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({self.shape} and {mat2.shape})")
    (m, k), n = self.shape, mat2.shape[1]
    out = self.new_empty((m, n))
    if out.numel() == 0:
        return out
    block = 16 if m <= 64 else 32
    grid = (triton.cdiv(m, block), triton.cdiv(n, block))
    _mm_kernel[grid](
        self, mat2, out, m, n, k, *self.stride(), *mat2.stride(), COMPUTE=_accumulator(self.dtype), BLOCK=block
    )
    return out
