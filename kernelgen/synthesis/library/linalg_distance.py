"""Distances between rows, all pairs of two matrices or of one, under any p-norm; holds no operator itself."""

import math

import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE


@triton.jit
def _distance_kernel(
    out,
    left,
    right,
    rows,
    columns,
    inner,
    p,
    out_stride,
    left_stride,
    right_stride,
    MODE: tl.constexpr,
    PAIRS: tl.constexpr,
    COMPUTE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # MODE: 0 counts differing entries, 1 and 2 are those norms, 3 is the maximum, 4 is any other p. PAIRS writes the
    # strict upper triangle, packed. A difference of NaN makes the distance NaN.
    across = tl.cdiv(columns, BLOCK)
    tiles = tl.cdiv(rows, BLOCK) * across
    batch = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    m = ((tile // across) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    n = ((tile % across) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    left_row = left + batch * left_stride[0] + m[:, None, None] * left_stride[1]
    right_row = right + batch * right_stride[0] + n[None, :, None] * right_stride[1]
    total = tl.zeros([BLOCK, BLOCK], COMPUTE)
    unknown = tl.zeros([BLOCK, BLOCK], tl.int32)
    for start in range(0, inner, BLOCK):
        k = (start + tl.arange(0, BLOCK)).to(tl.int64)[None, None, :]
        x = tl.load(left_row + k * left_stride[2], mask=(m < rows)[:, None, None] & (k < inner), other=0).to(COMPUTE)
        y = tl.load(right_row + k * right_stride[2], mask=(n < columns)[None, :, None] & (k < inner), other=0).to(
            COMPUTE
        )
        gap = tl.abs(x - y)
        if MODE == 0:
            total += tl.sum((gap != 0).to(COMPUTE), axis=2)
        elif MODE == 1:
            total += tl.sum(gap, axis=2)
        elif MODE == 2:
            total += tl.sum(gap * gap, axis=2)
        elif MODE == 3:
            unknown += tl.sum((gap != gap).to(tl.int32), axis=2)
            total = tl.maximum(total, tl.max(tl.where(gap != gap, 0, gap), axis=2))
        else:
            safe = tl.where(gap == 0, 1, gap)
            total += tl.sum(tl.where(gap == 0, 0, tl.exp2(p * tl.log2(safe))), axis=2)
    if MODE == 2:
        total = tl.sqrt(total)
    elif MODE == 3:
        total = tl.where(unknown > 0, float("nan"), total)
    elif MODE == 4:
        total = tl.where(total == 0, 0, tl.exp2(tl.log2(tl.where(total == 0, 1, total)) / p))
    row, column = m[:, None], n[None, :]
    live = (row < rows) & (column < columns)
    if PAIRS:
        place = row * columns - (row * (row + 1)) // 2 + column - row - 1
        live = live & (column > row)
    else:
        place = batch * out_stride[0] + row * out_stride[1] + column * out_stride[2]
    tl.store(out + place, total.to(out.dtype.element_ty), mask=live)


def _distances(out, left, right, p, pairs):
    # out [B, P, R] (or packed pairs) = the p-norm distances of rows of left [B, P, M] and right [B, R, M].
    if out.numel() == 0:
        return out
    mode = 3 if p == math.inf else int(p) if p in (0, 1, 2) else 4
    tiles = triton.cdiv(left.shape[1], 16) * triton.cdiv(right.shape[1], 16)
    _distance_kernel[(tiles * left.shape[0],)](
        out,
        left,
        right,
        left.shape[1],
        right.shape[1],
        left.shape[2],
        float(p),
        (0, 0, 0) if pairs else out.stride(),
        left.stride(),
        right.stride(),
        MODE=mode,
        PAIRS=pairs,
        COMPUTE=_COMPUTE[left.dtype],
        BLOCK=16,
    )
    return out
