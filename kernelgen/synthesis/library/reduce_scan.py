"""Device helpers of scans within a tile: cumulative extrema with positions and cumulative log-sum-exp."""

import triton
import triton.language as tl


@triton.jit
def _last_column(tile, COLS: tl.constexpr):
    # The tile's last column as a vector; only the selected lane is not 0, so a NaN elsewhere does not leak in.
    return tl.sum(tl.where(tl.arange(0, COLS)[None, :] == COLS - 1, tile, 0), axis=1)


@triton.jit
def _extreme_step(value, index, from_value, from_index, far, LARGEST: tl.constexpr):
    # The later element wins ties and a NaN beats everything, as in PyTorch's cummax and cummin.
    later = value >= from_value if LARGEST else value <= from_value
    keep = (value != value) | ((from_value == from_value) & later) | (far == 0)
    return tl.where(keep, value, from_value), tl.where(keep, index, from_index)


@triton.jit
def _scan_extreme(value, index, LARGEST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    # Inclusive scan along axis 1 by doubling the distance looked back (Hillis and Steele 1986).
    cols = tl.arange(0, COLS)[None, :] + tl.zeros([ROWS, COLS], tl.int32)
    shift = 1
    while shift < COLS:
        source = tl.maximum(cols - shift, 0)
        far = (cols >= shift).to(tl.int32)
        from_value = tl.gather(value, source, axis=1)
        from_index = tl.gather(index, source, axis=1)
        value, index = _extreme_step(value, index, from_value, from_index, far, LARGEST)
        shift *= 2
    return value, index


@triton.jit
def _log_add_exp(a, b):
    # log(exp(a) + exp(b)); equal infinities stay themselves and a NaN stays NaN.
    top = tl.where(a > b, a, b)
    near = top + tl.log(1.0 + tl.exp(-tl.abs(a - b)))
    return tl.where(a == b, tl.where(tl.abs(a) == float("inf"), a, near), tl.where(a != a, a, near))


@triton.jit
def _scan_log_add_exp(value, ROWS: tl.constexpr, COLS: tl.constexpr):
    # Inclusive scan of _log_add_exp along axis 1, by doubling.
    cols = tl.arange(0, COLS)[None, :] + tl.zeros([ROWS, COLS], tl.int32)
    shift = 1
    while shift < COLS:
        before = tl.gather(value, tl.maximum(cols - shift, 0), axis=1)
        value = tl.where(cols >= shift, _log_add_exp(before, value), value)
        shift *= 2
    return value
