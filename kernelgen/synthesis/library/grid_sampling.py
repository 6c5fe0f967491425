"""Positions of grid sampling: from [-1, 1] to input indices, with clamping or reflection at the borders.

16-bit floats are rounded after each operation, as CPU PyTorch does: positions of that precision decide what is read.
"""

import triton
import triton.language as tl

from kernelgen.synthesis.library.resampling import _as_type


@triton.jit
def _grid_position(at, size, ALIGN: tl.constexpr, STORAGE: tl.constexpr):
    # From [-1, 1] to an index; the ends are the corner pixels' centres with ALIGN, else their outer edges.
    if ALIGN:
        half = _as_type((size - 1).to(at.dtype) * 0.5, STORAGE)
        result = _as_type(_as_type(at + 1, STORAGE) * half, STORAGE)
    else:
        half = _as_type(size.to(at.dtype) * 0.5, STORAGE)
        result = _as_type(_as_type(_as_type(at + 1, STORAGE) * half, STORAGE) - 0.5, STORAGE)
    return result


@triton.jit
def _grid_inside(at, size, PADDING: tl.constexpr, ALIGN: tl.constexpr, STORAGE: tl.constexpr):
    # 0: as it is (elements beyond the border read as zero); 1: clamped; 2: reflected at the ends. NaN goes to 0.
    last = (size - 1).to(at.dtype)
    if PADDING == 2:
        low = 0.0 if ALIGN else 0.5
        cycle = 2 * last if ALIGN else 2 * last + 2
        away = tl.abs(_as_type(at + low, STORAGE))
        turns = tl.floor(_as_type(away / tl.where(cycle > 0, cycle, 1), STORAGE))
        rest = _as_type(away - _as_type(turns * cycle, STORAGE), STORAGE)
        rest = tl.minimum(rest, _as_type(cycle - rest, STORAGE))
        at = tl.where(cycle > 0, _as_type(rest - low, STORAGE), 0)
    if PADDING != 0:
        at = tl.where(at >= 0, tl.minimum(at, last), 0)
    return at


@triton.jit
def _grid_tap(at, size, stride):
    # Memory offset of a whole position, and whether it lies in the input; wild positions stay outside.
    inside = (at >= 0) & (at < size.to(at.dtype))
    return tl.where(inside, at, 0).to(tl.int64) * stride, inside


@triton.jit
def _grid_keys_near(x, STORAGE: tl.constexpr):
    # Keys' kernel with a = -0.75 for |x| <= 1, rounded after each operation.
    y = _as_type(_as_type(1.25 * x, STORAGE) - 2.25, STORAGE)
    return _as_type(_as_type(_as_type(y * x, STORAGE) * x, STORAGE) + 1, STORAGE)


@triton.jit
def _grid_keys_far(x, STORAGE: tl.constexpr):
    # Keys' kernel with a = -0.75 for 1 < |x| < 2, rounded after each operation.
    y = _as_type(_as_type(-0.75 * x, STORAGE) + 3.75, STORAGE)
    y = _as_type(_as_type(y * x, STORAGE) - 6, STORAGE)
    return _as_type(_as_type(y * x, STORAGE) + 3, STORAGE)


@triton.jit
def _grid_cubic(part, tap, STORAGE: tl.constexpr):
    # Weight of one of four taps (a compile-time number) for a position `part` past the second.
    if tap == 0:
        weight = _grid_keys_far(_as_type(part + 1, STORAGE), STORAGE)
    elif tap == 1:
        weight = _grid_keys_near(part, STORAGE)
    elif tap == 2:
        weight = _grid_keys_near(_as_type(1 - part, STORAGE), STORAGE)
    else:
        weight = _grid_keys_far(_as_type(2 - part, STORAGE), STORAGE)
    return weight


@triton.jit
def _grid_add(total, value, weight, STORAGE: tl.constexpr):
    return _as_type(total + _as_type(value * weight, STORAGE), STORAGE)
