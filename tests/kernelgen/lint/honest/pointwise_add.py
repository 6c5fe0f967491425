"""Honest: add.Tensor with broadcasting strides, type promotion and a scalar or a tensor as the second operand."""

import math

import torch
import triton
import triton.language as tl

_TL = {
    torch.float32: tl.float32,
    torch.float64: tl.float64,
    torch.float16: tl.float32,
    torch.bfloat16: tl.float32,
    torch.int64: tl.int64,
    torch.int32: tl.int32,
    torch.bool: tl.int32,
}
_BLOCK = 256


@triton.jit
def _offset(index, n0, n1, n2, s0, s1, s2, s3):
    i3 = index // (n0 * n1 * n2)
    i2 = (index // (n0 * n1)) % n2
    i1 = (index // n0) % n1
    return (index % n0) * s0 + i1 * s1 + i2 * s2 + i3 * s3


@triton.jit
def _add_kernel(
    a_ptr,
    b_ptr,
    out_ptr,
    alpha,
    n,
    n0,
    n1,
    n2,
    a0,
    a1,
    a2,
    a3,
    b0,
    b1,
    b2,
    b3,
    COMPUTE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    a = tl.load(a_ptr + _offset(offs, n0, n1, n2, a0, a1, a2, a3), mask=mask).to(COMPUTE)
    b = tl.load(b_ptr + _offset(offs, n0, n1, n2, b0, b1, b2, b3), mask=mask).to(COMPUTE)
    tl.store(out_ptr + offs, (a + alpha * b).to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _add_scalar_kernel(
    a_ptr, out_ptr, value, n, n0, n1, n2, a0, a1, a2, a3, COMPUTE: tl.constexpr, BLOCK: tl.constexpr
):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    a = tl.load(a_ptr + _offset(offs, n0, n1, n2, a0, a1, a2, a3), mask=mask).to(COMPUTE)
    tl.store(out_ptr + offs, (a + value).to(out_ptr.dtype.element_ty), mask=mask)


def _promote(a, b):
    return torch.result_type(a, b)


def _collapse(shape, *strides):
    """Merge neighbouring dimensions that every operand walks alike."""
    sizes = []
    walks = [[] for _ in strides]
    for dim in range(len(shape) - 1, -1, -1):
        if shape[dim] == 1:
            continue
        joins = sizes and all(walk[-1] * sizes[-1] == stride[dim] for walk, stride in zip(walks, strides, strict=True))
        if joins:
            sizes[-1] *= shape[dim]
            continue
        sizes.append(shape[dim])
        for walk, stride in zip(walks, strides, strict=True):
            walk.append(stride[dim])
    sizes += [1] * (4 - len(sizes))
    for walk in walks:
        walk.extend([0] * (4 - len(walk)))
    if len(sizes) > 4:
        raise NotImplementedError(f"add of {len(sizes)} uncollapsed dimensions")
    return sizes, walks


def add__Tensor_kernel_impl(self, other, *, alpha=1):
    dtype = _promote(self, other)
    compute = _TL.get(dtype, tl.float32)
    if not isinstance(other, torch.Tensor):
        out = torch.empty(self.shape, dtype=dtype, device=self.device)
        sizes, (walk,) = _collapse(self.shape, self.stride())
        value = other * alpha
        grid = (triton.cdiv(out.numel(), _BLOCK),)
        _add_scalar_kernel[grid](self, out, value, out.numel(), *sizes[:3], *walk, COMPUTE=compute, BLOCK=_BLOCK)
        return out
    shape = torch.broadcast_shapes(self.shape, other.shape)
    a, b = self.expand(shape), other.expand(shape)
    out = torch.empty(shape, dtype=dtype, device=self.device)
    n = math.prod(shape)
    if n == 0:
        return out
    sizes, walks = _collapse(shape, a.stride(), b.stride())
    grid = lambda meta: (triton.cdiv(n, meta["BLOCK"]),)  # noqa: E731 - the form that Triton's own examples use
    _add_kernel[grid](a, b, out, alpha, n, *sizes[:3], *walks[0], *walks[1], COMPUTE=compute, BLOCK=_BLOCK)
    return out
