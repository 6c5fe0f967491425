"""Helpers of reductions: dimensions folded into rows, tile sizes, neutral values; no operator semantics."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _collapse

_ACCUMULATE = {
    torch.bool: tl.int64,
    torch.uint8: tl.int64,
    torch.int8: tl.int64,
    torch.int16: tl.int64,
    torch.int32: tl.int64,
    torch.int64: tl.int64,
    torch.bfloat16: tl.float32,
    torch.float16: tl.float32,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}


@triton.jit
def _lowest(COMPUTE: tl.constexpr):
    # The neutral value of max.
    if COMPUTE.is_floating():
        value: tl.constexpr = float("-inf")
    else:
        value: tl.constexpr = -(2 ** (COMPUTE.primitive_bitwidth - 1))
    return tl.full([], value, COMPUTE)


@triton.jit
def _highest(COMPUTE: tl.constexpr):
    # The neutral value of min.
    if COMPUTE.is_floating():
        value: tl.constexpr = float("inf")
    else:
        value: tl.constexpr = 2 ** (COMPUTE.primitive_bitwidth - 1) - 1
    return tl.full([], value, COMPUTE)


@triton.jit
def _tile_product(tile, ROWS: tl.constexpr, COLS: tl.constexpr):
    # Product along axis 1 by halving: a combine function of one's own would run element by element in the interpreter.
    size: tl.constexpr = COLS // 2
    if COLS == 1:
        result = tl.reshape(tile, [ROWS])
    else:  # not after an early return: the compiler would take this part for one column too
        left, right = tl.split(tl.reshape(tile, [ROWS, size, 2]))
        result = _tile_product(left * right, ROWS, size)
    return result


@triton.jit
def _tile_xor(tile, ROWS: tl.constexpr, COLS: tl.constexpr):
    # Exclusive or along axis 1, by halving.
    size: tl.constexpr = COLS // 2
    if COLS == 1:
        result = tl.reshape(tile, [ROWS])
    else:
        left, right = tl.split(tl.reshape(tile, [ROWS, size, 2]))
        result = _tile_xor(left ^ right, ROWS, size)
    return result


def _wrap_dim(dim, ndim):
    # A dimension counted from the front; a 0-d tensor has a dimension 0 to PyTorch.
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    return dim % limit


def _reduced_dims(dim, ndim, empty_means_all=True):
    # The dimensions that disappear, as a sorted list; None (and the empty list, for most operators) means all.
    if dim is None:
        return list(range(ndim))
    dims = [dim] if isinstance(dim, int) else list(dim)
    if not dims and empty_means_all:
        return list(range(ndim))
    wrapped = sorted(_wrap_dim(d, ndim) for d in dims)
    for d in wrapped:
        if wrapped.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return wrapped


def _reduced_shape(shape, dims, keepdim):
    return tuple(1 if d in dims else shape[d] for d in range(len(shape)) if keepdim or d not in dims)


def _count(sizes):
    total = 1
    for size in sizes:
        total *= size
    return total


def _fold(shape, dims, *strides):
    # Split walks over ``shape`` into kept dimensions (rows) and ``dims`` (columns): two results of _collapse and sizes.
    kept = [d for d in range(len(shape)) if d not in dims]
    gone = [d for d in dims if d < len(shape)]
    rows = _collapse([shape[d] for d in kept], *[[s[d] for d in kept] for s in strides])
    cols = _collapse([shape[d] for d in gone], *[[s[d] for d in gone] for s in strides])
    return _count([shape[d] for d in kept]), _count([shape[d] for d in gone]), rows, cols


def _tile(n):
    # Rows and columns of one program's tile; three sizes in all, so that few kernels get compiled.
    return (256, 16) if n <= 16 else (32, 128) if n <= 128 else (4, 1024)


def _need_elements(x, dims, name):
    # min, max and their like have no value for nothing.
    for d in dims:
        if d < x.dim() and x.shape[d] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
