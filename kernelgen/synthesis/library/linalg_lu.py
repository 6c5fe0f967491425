"""Gaussian elimination: LU with partial pivoting, triangular solves, row exchanges, determinants; no Cholesky."""

import math

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _contiguous
from kernelgen.synthesis.library.linalg_dense import (
    _identity,
    _outer_update,
    _scale_vector,
    _swap_vectors,
)


@triton.jit
def _lu_kernel(a, pivots, info, rows, columns, BLOCK: tl.constexpr):
    # Right-looking elimination with the first largest entry of each column as pivot, as LAPACK's getf2 does.
    batch = tl.program_id(0).to(tl.int64)
    small = tl.minimum(rows, columns)
    a += batch * rows * columns
    pivots += batch * small
    lane = tl.arange(0, BLOCK)
    failed = small * 0
    for j in range(small):
        best = tl.full([BLOCK], -1.0, tl.float64)
        place = lane * 0 + j
        for r in range(j, rows, BLOCK):
            i = r + lane
            size = tl.abs(tl.load(a + i.to(tl.int64) * columns + j, mask=i < rows, other=0).to(tl.float64))
            better = (i < rows) & (size > best)
            place = tl.where(better, i, place)
            best = tl.where(better, size, best)
        largest = tl.max(best, axis=0)
        pivot = tl.min(tl.where(best == largest, place, rows), axis=0)
        tl.store(pivots + j, pivot + 1)
        row = a + pivot.to(tl.int64) * columns
        head_row = a + tl.cast(j, tl.int64) * columns
        _swap_vectors(head_row, row, 1, columns, BLOCK)
        head = tl.load(head_row + j).to(tl.float64)
        failed = tl.where((head == 0) & (failed == 0), j + 1, failed)
        _scale_vector(a + j, columns, j + 1, rows, tl.where(head == 0, 1.0, 1.0 / head), BLOCK)
        _outer_update(a, columns, 1, j + 1, rows, j + 1, columns, a + j, columns, head_row, 1, -1.0, BLOCK)
    tl.store(info + batch, failed)


@triton.jit
def _triangular_kernel(
    a, b, size, width, a_stride, b_stride, UPPER: tl.constexpr, UNIT: tl.constexpr, BLOCK: tl.constexpr
):
    # Solve a x = b in place of b, column by column of a.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * a_stride[0]
    b += batch * b_stride[0]
    for step in range(size):
        i = tl.cast(step, tl.int64)
        first, last = step + 1, size
        if UPPER:
            i = size - 1 - i
            first, last = 0, size - 1 - step
        row = b + i * b_stride[1]
        if not UNIT:
            head = tl.load(a + i * (a_stride[1] + a_stride[2])).to(tl.float64)
            lane = tl.arange(0, BLOCK).to(tl.int64)
            for s in range(0, width, BLOCK):
                k = s + lane
                value = tl.load(row + k * b_stride[2], mask=k < width, other=0).to(tl.float64)
                tl.store(row + k * b_stride[2], value / head, mask=k < width)
            tl.debug_barrier()
        column = a + i * a_stride[2]
        _outer_update(
            b, b_stride[1], b_stride[2], first, last, 0, width, column, a_stride[1], row, b_stride[2], -1.0, BLOCK
        )


@triton.jit
def _exchange_kernel(b, pivots, size, width, count, b_stride, REVERSE: tl.constexpr, BLOCK: tl.constexpr):
    # Apply the row exchanges that pivots (1-based) record, in order or undone.
    batch = tl.program_id(0).to(tl.int64)
    b += batch * b_stride[0]
    for step in range(count):
        j = step
        if REVERSE:
            j = count - 1 - step
        pivot = tl.load(pivots + batch * count + j).to(tl.int64) - 1
        _swap_vectors(b + tl.cast(j, tl.int64) * b_stride[1], b + pivot * b_stride[1], b_stride[2], width, BLOCK)


@triton.jit
def _determinant_kernel(a, pivots, sign, logarithm, result, size, BLOCK: tl.constexpr):
    # From an LU factorisation: the determinant, its sign, and the logarithm of its absolute value.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * size * size
    lane = tl.arange(0, BLOCK).to(tl.int64)
    logs = tl.zeros([BLOCK], tl.float64)
    odd = tl.zeros([BLOCK], tl.int32)
    zero = tl.zeros([BLOCK], tl.int32)
    product = tl.sum(tl.where(lane == 0, 1.0, 0.0).to(tl.float64), axis=0)
    for r in range(0, size, BLOCK):
        i = r + lane
        live = i < size
        value = tl.load(a + i * (size + 1), mask=live, other=1).to(tl.float64)
        swapped = live & (tl.load(pivots + batch * size + i, mask=live, other=0) != i + 1)
        odd += swapped.to(tl.int32) + (value < 0).to(tl.int32)
        zero += (value == 0).to(tl.int32)
        logs += tl.log(tl.abs(tl.where(value == 0, 1.0, value)))
    for i in range(size):
        value = tl.load(a + tl.cast(i, tl.int64) * (size + 1)).to(tl.float64)
        swapped = tl.load(pivots + batch * size + i) != i + 1
        product = product * tl.where(swapped, -value, value)
    singular = tl.sum(zero, axis=0) > 0
    parity = tl.sum(odd, axis=0) % 2
    tl.store(sign + batch, tl.where(singular, 0.0, 1.0 - 2.0 * parity).to(sign.dtype.element_ty))
    total = tl.where(singular, float("-inf"), tl.sum(logs, axis=0))
    tl.store(logarithm + batch, total.to(logarithm.dtype.element_ty))
    tl.store(result + batch, product.to(result.dtype.element_ty))


@triton.jit
def _permutation_kernel(out, order, pivots, rows, count, out_stride, BLOCK: tl.constexpr):
    # The matrix P of A = P L U: apply the exchanges to 0..rows-1, then put a one at (order[i], i).
    batch = tl.program_id(0).to(tl.int64)
    order += batch * rows
    out += batch * out_stride[0]
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(0, rows, BLOCK):
        i = r + lane
        tl.store(order + i, i, mask=i < rows)
    tl.debug_barrier()
    for j in range(count):
        pivot = tl.load(pivots + batch * count + j).to(tl.int64) - 1
        a = tl.load(order + j)
        b = tl.load(order + pivot)
        tl.debug_barrier()
        tl.store(order + j, b)
        tl.store(order + pivot, a)
        tl.debug_barrier()
    for r in range(0, rows, BLOCK):
        i = r + lane
        source = tl.load(order + i, mask=i < rows, other=0)
        for s in range(0, rows, BLOCK):
            k = s + lane
            hit = tl.where(source[None, :] == k[:, None], 1.0, 0.0)
            place = out + k[:, None] * out_stride[1] + i[None, :] * out_stride[2]
            tl.store(place, hit.to(out.dtype.element_ty), mask=(k < rows)[:, None] & (i < rows)[None, :])


def _factor_lu(a):
    # Factor a scratch batch in place; return the pivots [batch, min(rows, columns)] and info [batch], both int32.
    batch, rows, columns = a.shape
    pivots = torch.empty((batch, min(rows, columns)), dtype=torch.int32, device=a.device)
    info = torch.empty((batch,), dtype=torch.int32, device=a.device)
    if batch:
        _lu_kernel[(batch,)](a, pivots, info, rows, columns, BLOCK=32)
    return pivots, info


def _solve_triangle(a, b, upper, unit=False):
    # Solve a x = b in place of b; 3-D scratch batches with any strides, so a transposed view solves with a'.
    if b.numel():
        size, width = b.shape[1], b.shape[2]
        _triangular_kernel[(b.shape[0],)](a, b, size, width, a.stride(), b.stride(), UPPER=upper, UNIT=unit, BLOCK=32)
    return b


def _exchange(b, pivots, reverse=False):
    if b.numel() and pivots.numel():
        size, width = b.shape[1], b.shape[2]
        _exchange_kernel[(b.shape[0],)](b, pivots, size, width, pivots.shape[1], b.stride(), REVERSE=reverse, BLOCK=32)
    return b


def _solve_lu(lu, pivots, b, adjoint=False):
    # Solve with a factored matrix (or its transpose) in place of b.
    if adjoint:
        _solve_triangle(lu.transpose(1, 2), b, False)
        _solve_triangle(lu.transpose(1, 2), b, True, True)
        return _exchange(b, pivots, True)
    _exchange(b, pivots)
    _solve_triangle(lu, b, False, True)
    return _solve_triangle(lu, b, True)


def _inverse(a):
    # Factor a scratch batch in place; return its inverse, as a scratch batch, and info.
    pivots, info = _factor_lu(a)
    return _solve_lu(a, pivots, _identity(a.shape[0], a.shape[1], a)), info


def _determinants(lu, pivots, shape, like):
    # (determinant, sign, log of the absolute value) of each matrix, in the dtype of `like`.
    out = [torch.empty(shape, dtype=like.dtype, device=like.device) for _ in range(3)]
    if lu.shape[0]:
        _determinant_kernel[(lu.shape[0],)](lu, pivots, out[1], out[2], out[0], lu.shape[1], BLOCK=32)
    return out


def _permutation(out, pivots):
    # Fill a 3-D batch of square matrices with the permutations of pivots [batch, count].
    if out.numel():
        batch, rows, _ = out.shape
        order = torch.empty((batch, rows), dtype=torch.int64, device=out.device)
        _permutation_kernel[(batch,)](out, order, pivots, rows, pivots.shape[1], out.stride(), BLOCK=32)
    return out


def _pivots_of(pivots, shape):
    # Pivots broadcast to a batch shape, contiguous, as two dimensions.
    full = (*shape, pivots.shape[-1])
    return _contiguous(pivots.expand(full)).view(math.prod(shape), pivots.shape[-1])


def _solve_right(lu, pivots, b, left, adjoint):
    # Solve a x = b (left) or x a = b, in place of the scratch b.
    return _solve_lu(lu, pivots, b, adjoint) if left else _solve_lu(lu, pivots, b.transpose(1, 2), not adjoint)
