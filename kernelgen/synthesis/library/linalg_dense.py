"""Parts that dense factorisations are built from: strided updates inside one program, scratch copies, result layout.

Every factorisation works in place on a float64 copy of its matrix, one program for each matrix of the batch, with
vector loops of any length; a barrier stands between a store and the loads of other lanes that depend on it.
"""

import math

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _copy_into


@triton.jit
def _outer_update(c, c_row, c_col, top, bottom, left, right, x, x_step, y, y_step, scale, BLOCK: tl.constexpr):
    # c[i, k] += scale * x[i] * y[k] for top <= i < bottom and left <= k < right.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(top, bottom, BLOCK):
        i = r + lane
        column = tl.load(x + i * x_step, mask=i < bottom, other=0).to(tl.float64) * scale
        for s in range(left, right, BLOCK):
            k = s + lane
            row = tl.load(y + k * y_step, mask=k < right, other=0).to(tl.float64)
            live = (i < bottom)[:, None] & (k < right)[None, :]
            place = c + i[:, None] * c_row + k[None, :] * c_col
            old = tl.load(place, mask=live, other=0).to(tl.float64)
            tl.store(place, old + column[:, None] * row[None, :], mask=live)
    tl.debug_barrier()


@triton.jit
def _vector_dot(x, x_step, y, y_step, start, stop, BLOCK: tl.constexpr):
    # The sum of x[i] * y[i] over start <= i < stop.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    total = tl.zeros([BLOCK], tl.float64)
    for r in range(start, stop, BLOCK):
        i = r + lane
        a = tl.load(x + i * x_step, mask=i < stop, other=0).to(tl.float64)
        b = tl.load(y + i * y_step, mask=i < stop, other=0).to(tl.float64)
        total += a * b
    return tl.sum(total, axis=0)


@triton.jit
def _scale_vector(x, step, start, stop, factor, BLOCK: tl.constexpr):
    # x[i] *= factor for start <= i < stop.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(start, stop, BLOCK):
        i = r + lane
        tl.store(x + i * step, tl.load(x + i * step, mask=i < stop, other=0).to(tl.float64) * factor, mask=i < stop)
    tl.debug_barrier()


@triton.jit
def _swap_vectors(x, y, step, length, BLOCK: tl.constexpr):
    # Exchange x[i] and y[i] for 0 <= i < length.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(0, length, BLOCK):
        i = r + lane
        a = tl.load(x + i * step, mask=i < length, other=0)
        b = tl.load(y + i * step, mask=i < length, other=0)
        tl.debug_barrier()
        tl.store(x + i * step, b, mask=i < length)
        tl.store(y + i * step, a, mask=i < length)
    tl.debug_barrier()


@triton.jit
def _apply_reflector(c, c_row, c_col, top, rows, left, columns, v, v_step, tau, work, BLOCK: tl.constexpr):
    # c[top:rows, left:columns] -= tau * v * (v' c), where v[top] counts as 1 and v starts at row 0; work holds v' c.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for s in range(left, columns, BLOCK):
        k = s + lane
        total = tl.zeros([BLOCK], tl.float64)
        for r in range(top, rows, BLOCK):
            i = r + lane
            x = tl.load(v + i * v_step, mask=i < rows, other=0).to(tl.float64)
            x = tl.where(i == top, 1.0, x)
            live = (i < rows)[:, None] & (k < columns)[None, :]
            tile = tl.load(c + i[:, None] * c_row + k[None, :] * c_col, mask=live, other=0).to(tl.float64)
            total += tl.sum(x[:, None] * tile, axis=0)
        tl.store(work + k, total, mask=k < columns)
    tl.debug_barrier()
    for r in range(top, rows, BLOCK):
        i = r + lane
        x = tl.load(v + i * v_step, mask=i < rows, other=0).to(tl.float64)
        x = tl.where(i == top, 1.0, x) * tau
        for s in range(left, columns, BLOCK):
            k = s + lane
            live = (i < rows)[:, None] & (k < columns)[None, :]
            place = c + i[:, None] * c_row + k[None, :] * c_col
            row = tl.load(work + k, mask=k < columns, other=0).to(tl.float64)
            tl.store(place, tl.load(place, mask=live, other=0).to(tl.float64) - x[:, None] * row[None, :], mask=live)
    tl.debug_barrier()


@triton.jit
def _part_kernel(
    out, source, rows, columns, width, out_stride, stride, PART: tl.constexpr, UNIT: tl.constexpr, BLOCK: tl.constexpr
):
    # Copy a part of each matrix, zeros elsewhere: PART 0 all, 1 lower with the diagonal, 2 upper with it, 3 nothing (so
    # that UNIT, ones on the diagonal, gives the identity). Columns from `width` on are zero.
    across = tl.cdiv(columns, BLOCK)
    tiles = tl.cdiv(rows, BLOCK) * across
    batch = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    i = ((tile // across) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)[:, None]
    k = ((tile % across) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)[None, :]
    live = (i < rows) & (k < columns)
    keep = live & (k < width)
    if PART == 1:
        keep = keep & (k <= i)
    elif PART == 2:
        keep = keep & (k >= i)
    elif PART == 3:
        keep = keep & (k < 0)
    value = tl.load(source + batch * stride[0] + i * stride[1] + k * stride[2], mask=keep, other=0)
    if UNIT:
        value = tl.where(i == k, 1, value)
    place = out + batch * out_stride[0] + i * out_stride[1] + k * out_stride[2]
    tl.store(place, value.to(out.dtype.element_ty), mask=live)


def _part(out, source, part, unit=False, width=None):
    # Launch the kernel above on 3-D batches; source may be smaller than out only where nothing is read from it.
    if out.numel():
        batch, rows, columns = out.shape
        _part_kernel[(triton.cdiv(rows, 32) * triton.cdiv(columns, 32) * batch,)](
            out,
            source,
            rows,
            columns,
            columns if width is None else width,
            out.stride(),
            source.stride(),
            PART=part,
            UNIT=unit,
            BLOCK=32,
        )
    return out


@triton.jit
def _unequal_kernel(out, x, number, length, BLOCK: tl.constexpr):
    count = tl.zeros([BLOCK], tl.int32)
    for start in range(0, length, BLOCK):
        i = start + tl.arange(0, BLOCK)
        value = tl.load(x + i, mask=i < length, other=0)
        count += ((i < length) & (value != number)).to(tl.int32)
    tl.store(out, tl.sum(count, axis=0))


def _all_equal(x, number):
    # Whether every element of a contiguous integer vector is this number; one value is read back.
    count = torch.empty((), dtype=torch.int32, device=x.device)
    _unequal_kernel[(1,)](count, x, number, x.shape[0], BLOCK=128)
    return count.item() == 0


def _square_only(x):
    if x.dim() < 2 or x.shape[-1] != x.shape[-2]:
        raise RuntimeError("expected a batch of square matrices")


def _float_only(x):
    if x.dtype not in (torch.float32, torch.float64):
        raise NotImplementedError("linear algebra kernels serve float32 and float64")


def _scratch(x, shape=None):
    # A contiguous float64 copy of a batch of matrices (broadcast to batch `shape`), as 3 dimensions.
    _float_only(x)
    full = (*(x.shape[:-2] if shape is None else shape), *x.shape[-2:])
    copy = torch.empty(full, dtype=torch.float64, device=x.device)
    _copy_into(copy, x.expand(full))
    return copy.view(math.prod(full[:-2]), *full[-2:])


def _identity(batch, size, like):
    # Float64 identity matrices.
    out = torch.empty((batch, size, size), dtype=torch.float64, device=like.device)
    return _part(out, out, 3, True)


def _by_rows(shape, like, dtype=None):
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device)


def _by_columns(shape, like, dtype=None):
    # As LAPACK leaves matrices: columns contiguous.
    return _by_rows((*shape[:-2], shape[-1], shape[-2]), like, dtype).transpose(-2, -1)


def _deliver(out, scratch):
    # Write a scratch result into the tensor PyTorch's caller gets.
    if out.numel():
        _copy_into(out, _unfold(scratch, out.shape) if scratch.dim() == 3 else scratch.view(out.shape))
    return out


def _unfold(x, shape):
    # A 3-D batch of matrices seen with the batch dimensions of `shape`; x's batch dimension must be uniformly strided.
    lead = x.stride(0)
    steps = []
    for size in reversed(shape[:-2]):
        steps.insert(0, lead)
        lead *= size
    return x.as_strided((*shape[:-2], *x.shape[1:]), (*steps, *x.stride()[1:]))
