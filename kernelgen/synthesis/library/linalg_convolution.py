"""The convolution kernel, forward and transposed, over one to three dimensions; holds no launcher."""

import triton
import triton.language as tl


@triton.jit
def _source_index(place, tap, step, pad, spread, size, TRANSPOSED: tl.constexpr):
    # Input index that an output index reads through a kernel tap, along one dimension, and whether there is one.
    if TRANSPOSED:
        reach = place + pad - tap * spread
        index = reach // step
        inside = (reach >= 0) & (index * step == reach) & (index < size)
    else:
        index = place * step - pad + tap * spread
        inside = (index >= 0) & (index < size)
    return index, inside


@triton.jit
def _convolution_kernel(
    out,
    x,
    weight,
    bias,
    positions,
    group_out,
    group_in,
    out_size,
    x_size,
    taps,
    step,
    pad,
    spread,
    out_stride,
    x_stride,
    weight_stride,
    bias_stride,
    HAS_BIAS: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    USE_DOT: tl.constexpr,
    COMPUTE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    # Rows are output positions (batch and space), columns output channels of one group, inner is channels times taps.
    # Tuples of sizes and steps are over the three spatial dimensions; strides are (batch, channel, three spatial), and
    # the weight's are (group, out channel, in channel, three spatial).
    across = tl.cdiv(group_out, BLOCK_N)
    group = (tl.program_id(0) // across).to(tl.int64)
    n = ((tl.program_id(0) % across) * BLOCK_N + tl.arange(0, BLOCK_N)).to(tl.int64)
    m = tl.program_id(1).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    ow = m % out_size[2]
    oh = (m // out_size[2]) % out_size[1]
    od = (m // (out_size[2] * out_size[1])) % out_size[0]
    batch = m // (out_size[2] * out_size[1] * out_size[0])
    x_row = x + (batch * x_stride[0] + group * group_in * x_stride[1])[:, None]
    weight_column = weight + (group * weight_stride[0] + n * weight_stride[1])[None, :]
    tap_count = taps[0] * taps[1] * taps[2]
    inner = group_in * tap_count
    total = tl.zeros([BLOCK_M, BLOCK_N], COMPUTE)
    for start in range(0, inner, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K).to(tl.int64)
        channel = k // tap_count
        kw = k % taps[2]
        kh = (k // taps[2]) % taps[1]
        kd = (k // (taps[2] * taps[1])) % taps[0]
        iw, in_w = _source_index(ow[:, None], kw[None, :], step[2], pad[2], spread[2], x_size[2], TRANSPOSED)
        ih, in_h = _source_index(oh[:, None], kh[None, :], step[1], pad[1], spread[1], x_size[1], TRANSPOSED)
        inside = in_w & in_h & (m < positions)[:, None] & (k < inner)[None, :]
        offset = channel[None, :] * x_stride[1] + ih * x_stride[3] + iw * x_stride[4]
        iz, in_d = _source_index(od[:, None], kd[None, :], step[0], pad[0], spread[0], x_size[0], TRANSPOSED)
        window = tl.load(x_row + offset + iz * x_stride[2], mask=inside & in_d, other=0).to(COMPUTE)
        tap = channel * weight_stride[2] + kd * weight_stride[3] + kh * weight_stride[4] + kw * weight_stride[5]
        filters = tl.load(
            weight_column + tap[:, None], mask=(k < inner)[:, None] & (n < group_out)[None, :], other=0
        ).to(COMPUTE)
        if USE_DOT:
            total = tl.dot(window, filters, total, input_precision="ieee", out_dtype=COMPUTE)
        else:
            total += tl.sum(window[:, :, None] * filters[None, :, :], axis=1).to(COMPUTE)
    channel_out = group * group_out + n
    if HAS_BIAS:
        total += tl.load(bias + channel_out * bias_stride, mask=n < group_out, other=0).to(COMPUTE)[None, :]
    place = batch * out_stride[0] + od * out_stride[2] + oh * out_stride[3] + ow * out_stride[4]
    tl.store(
        out + place[:, None] + (channel_out * out_stride[1])[None, :],
        total.to(out.dtype.element_ty),
        mask=(m < positions)[:, None] & (n < group_out)[None, :],
    )


def _spread(values, count):
    # One number for every dimension, where the caller gave one for all.
    values = tuple(values)
    return values * count if len(values) == 1 else values


def _is_channels_last(x):
    # Whether PyTorch would keep channels last for x: channels innermost, then space from the last dimension, then batch.
    if x.dim() not in (4, 5) or x.numel() == 0 or x.stride(1) == 0:
        return False
    step = 0
    for d in (1, *range(x.dim() - 1, 1, -1), 0):
        if x.stride(d) < step or (d == 0 and step == x.stride(1)):
            return False
        step = x.stride(d) * max(x.size(d), 1)
    return True


def _three(values, fill):
    # Pad a tuple over the spatial dimensions to three of them.
    return (fill,) * (3 - len(values)) + tuple(values)


def _wide(strides):
    # Strides (batch, channel, space...) with the spatial ones padded to three.
    return (*strides[:2], *_three(strides[2:], 0))
