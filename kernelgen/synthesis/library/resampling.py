"""Where an output position of a resampling lies in its input, and with which weights; fixed-point bytes are elsewhere.

Formulas: half-pixel centres, or corners aligned; cubic weights are Keys' convolution kernel with a = -0.75 (-0.5 when
antialiased), as PyTorch has them. Positions are computed in fp32, or in fp64 for fp64 tensors.
"""

import triton
import triton.language as tl


@triton.jit
def _source(place, scale, ALIGN: tl.constexpr, CLAMP: tl.constexpr):
    # Fractional input position of an output position.
    at = place.to(scale.dtype)
    if ALIGN:
        at = at * scale
    else:
        at = (at + 0.5) * scale - 0.5
        if CLAMP:
            at = tl.maximum(at, 0)
    return at


@triton.jit
def _nearest_index(place, size, scale, EXACT: tl.constexpr):
    # PyTorch takes the floor in fp32 whatever the tensor's type.
    at = (place.to(scale.dtype) + 0.5) * scale if EXACT else place.to(scale.dtype) * scale
    return tl.minimum(tl.floor(at.to(tl.float32)).to(tl.int64), size - 1)


@triton.jit
def _as_type(x, DTYPE: tl.constexpr):
    # x rounded to another type and back.
    return x.to(DTYPE).to(x.dtype)


@triton.jit
def _linear_taps(place, size, scale, ALIGN: tl.constexpr, WEIGHT: tl.constexpr):
    # The two neighbours and their weights, rounded to WEIGHT.
    at = _source(place, scale, ALIGN, True)
    low = tl.minimum(tl.floor(at).to(tl.int64), size - 1)
    part = tl.minimum(tl.maximum(at - low.to(at.dtype), 0), 1)
    part = _as_type(part, WEIGHT)
    return low, tl.minimum(low + 1, size - 1), _as_type(1 - part, WEIGHT), part


@triton.jit
def _keys_near(x, A: tl.constexpr):
    # Keys' kernel for |x| <= 1.
    return ((A + 2) * x - (A + 3)) * x * x + 1


@triton.jit
def _keys_far(x, A: tl.constexpr):
    # Keys' kernel for 1 < |x| < 2.
    return ((A * x - 5 * A) * x + 8 * A) * x - 4 * A


@triton.jit
def _keys(x, A: tl.constexpr):
    # Keys' kernel of a distance.
    return tl.where(x <= 1, _keys_near(x, A), tl.where(x < 2, _keys_far(x, A), 0))


@triton.jit
def _cubic_taps(place, size, scale, ALIGN: tl.constexpr, WEIGHT: tl.constexpr):
    # Four neighbours, clamped to the input, and their weights, rounded to WEIGHT.
    at = _source(place, scale, ALIGN, False)
    low = tl.floor(at)
    part = tl.minimum(tl.maximum(at - low, 0), 1)
    i = low.to(tl.int64)
    i0, i1 = tl.minimum(tl.maximum(i - 1, 0), size - 1), tl.minimum(tl.maximum(i, 0), size - 1)
    i2, i3 = tl.minimum(tl.maximum(i + 1, 0), size - 1), tl.minimum(tl.maximum(i + 2, 0), size - 1)
    w0, w1 = _as_type(_keys_far(part + 1, -0.75), WEIGHT), _as_type(_keys_near(part, -0.75), WEIGHT)
    w2, w3 = _as_type(_keys_near(1 - part, -0.75), WEIGHT), _as_type(_keys_far(2 - part, -0.75), WEIGHT)
    return i0, i1, i2, i3, w0, w1, w2, w3


@triton.jit
def _smooth_span(place, size, scale, support):
    # First input index and count of an antialiased output, its centre, and the inverse of the filter's stretch.
    centre = (place.to(scale.dtype) + 0.5) * scale
    first = tl.maximum((centre - support + 0.5).to(tl.int64), 0)
    count = tl.minimum((centre + support + 0.5).to(tl.int64), size) - first
    return first, count, centre, 1 / tl.maximum(scale, 1)


@triton.jit
def _smooth_weight(tap, first, count, centre, inverse, CUBIC: tl.constexpr):
    # Unnormalised weight of the tap-th input of an antialiased span.
    x = tl.abs(((first + tap).to(centre.dtype) - centre + 0.5) * inverse)
    weight = _keys(x, -0.5) if CUBIC else tl.maximum(1 - x, 0)
    return tl.where(tap < count, weight, 0)


@triton.jit
def _smooth_total(first, count, centre, inverse, taps, CUBIC: tl.constexpr):
    # What the weights of a span are divided by.
    total = tl.zeros_like(centre)
    for tap in range(taps):
        total += _smooth_weight(tap, first, count, centre, inverse, CUBIC)
    return tl.where(total == 0, 1, total)


def _resample_scales(size, space, align, factors):
    # Input steps for each output step along each dimension, as Python floats; a factor given by the caller wins.
    scales = []
    for n, m, factor in zip(size, space, factors, strict=True):
        if align:
            scales.append((n - 1) / (m - 1) if m > 1 else 0.0)
        else:
            scales.append(1.0 / factor if factor is not None and factor > 0 else n / m)
    return tuple(scales)


def _resample_sizes(name, x, output_size, dims):
    # Checked input and output sizes over the spatial dimensions.
    space = tuple(output_size)
    if len(space) != dims or x.dim() != dims + 2:
        raise RuntimeError(
            f"{name}(): expected {dims} output sizes and a {dims + 2}D input, got {list(space)} and {x.dim()}D"
        )
    size = tuple(x.shape[2:])
    if min(*size, *space, 1) < 1 or 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}(): input and output sizes should be greater than 0, got {list(x.shape)} and {list(space)}"
        )
    return size, space
