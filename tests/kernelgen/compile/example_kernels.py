"""A kernel file for the compile tests: one kernel of each kind that the generator writes, and some that must fail."""

import torch  # noqa: F401  # kernel files import torch
import triton
import triton.language as tl

SCALE = tl.constexpr(3)


@triton.jit
def _affine(x, K: tl.constexpr):
    return x * K + SCALE


@triton.jit
def pointwise(x, y, n, alpha, BLOCK: tl.constexpr, DT: tl.constexpr):
    o = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    m = o < n
    v = tl.load(x + o, mask=m).to(DT)
    tl.store(y + o, _affine(v, 2) * alpha, mask=m)


@triton.jit
def reduction(x, y, n, BLOCK: tl.constexpr):
    o = tl.arange(0, BLOCK)
    v = tl.load(x + tl.program_id(0) * n + o, mask=o < n, other=0.0)
    tl.store(y + tl.program_id(0), tl.sum(v, axis=0))


@triton.jit
def matmul(a, b, c, N: tl.constexpr):
    i = tl.arange(0, N)
    p = i[:, None] * N + i[None, :]
    tl.store(c + p, tl.dot(tl.load(a + p), tl.load(b + p)))


@triton.jit
def sorting(x, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(x + i, tl.sort(tl.load(x + i)))


@triton.jit
def tupled(x, strides, N: tl.constexpr, shape: tl.constexpr = (2, 3)):
    o = tl.arange(0, N) * strides[0]
    if strides[1] is not None:
        o += strides[1]
    tl.store(x + o, shape[1])


@triton.jit
def combined(x, y, combine: tl.constexpr, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, N))
    tl.store(y, combine(v, 5).to(tl.float32).sum())


@triton.autotune(configs=[triton.Config({}, num_warps=1)], key=["n"])
@triton.jit
def tuned(x, n, N: tl.constexpr):
    tl.store(x + tl.arange(0, N), n)


@triton.jit
def _no_such_method(v):
    w = v + 1
    return w.nope()


@triton.jit
def bad_helper(x, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(x + i, _no_such_method(tl.load(x + i)))


@triton.jit
def bad_shapes(x, N: tl.constexpr):
    tl.store(x, tl.sum(tl.load(x + tl.arange(0, N)) + tl.arange(0, 2 * N), axis=0))


@triton.jit
def refused(x, N: tl.constexpr):
    tl.static_assert(N > 64, "N must be large")
    tl.store(x, N)


@triton.jit
def bad_assembly(x):
    v = tl.load(x)
    v = tl.inline_asm_elementwise("no.such.instruction $0, $1;", "=r,r", [v], dtype=tl.int32, is_pure=True, pack=1)
    tl.store(x, v)


@triton.jit
def crowded(a, b, c, K, N: tl.constexpr, KB: tl.constexpr):
    i = tl.arange(0, N)
    k = tl.arange(0, KB)
    acc = tl.zeros((N, N), tl.float32)
    for start in range(0, K, KB):
        x = tl.load(a + i[:, None] * K + (start + k)[None, :])
        y = tl.load(b + (start + k)[:, None] * N + i[None, :])
        acc += tl.dot(x, y)
    tl.store(c + i[:, None] * N + i[None, :], acc)
