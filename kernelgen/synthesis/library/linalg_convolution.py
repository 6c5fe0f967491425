"""The convolution kernel, forward and transposed, over one to three dimensions; holds no launcher of it."""

import math

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _contiguous
from kernelgen.synthesis.library.linalg_matmul import _gemm


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
    ow = (m % out_size[2]).to(tl.int32)
    oh = ((m // out_size[2]) % out_size[1]).to(tl.int32)
    od = ((m // (out_size[2] * out_size[1])) % out_size[0]).to(tl.int32)
    batch = m // (out_size[2] * out_size[1] * out_size[0])
    x_row = x + (batch * x_stride[0] + group * group_in * x_stride[1])[:, None]
    weight_column = weight + (group * weight_stride[0] + n * weight_stride[1])[None, :]
    tap_count = taps[0] * taps[1] * taps[2]
    inner = group_in * tap_count
    total = tl.zeros([BLOCK_M, BLOCK_N], COMPUTE)
    for start in range(0, inner, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K).to(tl.int64)
        channel = k // tap_count
        kw = (k % taps[2]).to(tl.int32)
        kh = ((k // taps[2]) % taps[1]).to(tl.int32)
        kd = ((k // (taps[2] * taps[1])) % taps[0]).to(tl.int32)
        iw, in_w = _source_index(ow[:, None], kw[None, :], step[2], pad[2], spread[2], x_size[2], TRANSPOSED)
        ih, in_h = _source_index(oh[:, None], kh[None, :], step[1], pad[1], spread[1], x_size[1], TRANSPOSED)
        inside = in_w & in_h & (m < positions)[:, None] & (k < inner)[None, :]
        offset = channel[None, :] * x_stride[1] + ih.to(tl.int64) * x_stride[3] + iw.to(tl.int64) * x_stride[4]
        iz, in_d = _source_index(od[:, None], kd[None, :], step[0], pad[0], spread[0], x_size[0], TRANSPOSED)
        window = tl.load(x_row + offset + iz.to(tl.int64) * x_stride[2], mask=inside & in_d, other=0).to(COMPUTE)
        tap = channel * weight_stride[2] + kd.to(tl.int64) * weight_stride[3]
        tap += kh.to(tl.int64) * weight_stride[4] + kw.to(tl.int64) * weight_stride[5]
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
    place = batch * out_stride[0] + od.to(tl.int64) * out_stride[2]
    place += oh.to(tl.int64) * out_stride[3] + ow.to(tl.int64) * out_stride[4]
    tl.store(
        out + place[:, None] + (channel_out * out_stride[1])[None, :],
        total.to(out.dtype.element_ty),
        mask=(m < positions)[:, None] & (n < group_out)[None, :],
    )


@triton.jit
def _fold_kernel(
    out,
    columns,
    bias,
    numel,
    channels,
    out_size,
    x_size,
    taps,
    step,
    pad,
    spread,
    out_stride,
    bias_stride,
    HAS_BIAS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # out[b, c, place] = sum over taps, rounded after each, of columns[b, c, tap, place in x]; columns is contiguous.
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = index < numel
    ow = (index % out_size[2]).to(tl.int32)
    oh = ((index // out_size[2]) % out_size[1]).to(tl.int32)
    rest = index // (out_size[2] * out_size[1])
    od = (rest % out_size[0]).to(tl.int32)
    plane = rest // out_size[0]
    tap_count = taps[0] * taps[1] * taps[2]
    area = x_size[0] * x_size[1] * x_size[2]
    total = tl.zeros([BLOCK], tl.float32)
    for tap in range(tap_count):
        iw, in_w = _source_index(ow, tap % taps[2], step[2], pad[2], spread[2], x_size[2], True)
        ih, in_h = _source_index(oh, (tap // taps[2]) % taps[1], step[1], pad[1], spread[1], x_size[1], True)
        iz, in_d = _source_index(od, tap // (taps[2] * taps[1]), step[0], pad[0], spread[0], x_size[0], True)
        place = (plane * tap_count + tap) * area + (iz * x_size[1] + ih) * x_size[2] + iw
        value = tl.load(columns + place, mask=live & in_w & in_h & in_d, other=0).to(tl.float32)
        total = (total + value).to(out.dtype.element_ty).to(tl.float32)
    channel = plane % channels
    if HAS_BIAS:
        total += tl.load(bias + channel * bias_stride, mask=live, other=0).to(tl.float32)
    place = (plane // channels) * out_stride[0] + channel * out_stride[1]
    place += od.to(tl.int64) * out_stride[2] + oh.to(tl.int64) * out_stride[3] + ow.to(tl.int64) * out_stride[4]
    tl.store(out + place, total.to(out.dtype.element_ty), mask=live)


def _transposed_by_columns(out, x, weight, bias, groups, taps, step, pad, spread):
    # CPU PyTorch computes transposed convolution that oneDNN declines (see the caller) as a product, rounded, and a sum
    # over the taps in that dtype; a sum in fp32 is closer to the truth but differs from eager beyond the tolerances.
    size = tuple(x.shape[2:])
    batch, group_in, group_out = x.shape[0], x.shape[1] // groups, weight.shape[1]
    count, area = math.prod(taps), math.prod(size)
    x, weight = _contiguous(x).view(batch, 1, groups, group_in, area), _contiguous(weight)
    columns = torch.empty((batch, groups, group_out * count, area), dtype=x.dtype, device=x.device)
    filters = weight.view(1, 1, groups, group_in, group_out * count).expand(batch, 1, -1, -1, -1)
    for group in range(groups):
        _gemm(columns.select(1, group), filters.select(2, group).transpose(2, 3), x.select(2, group))
    channels = group_out * groups
    _fold_kernel[(triton.cdiv(out.numel(), 4096),)](
        out,
        columns,
        out if bias is None else bias,
        out.numel(),
        channels,
        _three(out.shape[2:], 1),
        _three(size, 1),
        taps,
        step,
        pad,
        spread,
        _wide(out.stride()),
        0 if bias is None else bias.stride(0),
        HAS_BIAS=bias is not None,
        BLOCK=4096,
        num_warps=16,
    )
    return out


def _spread(values, count):
    # One number for every dimension, where the caller gave one for all.
    values = tuple(values)
    return values * count if len(values) == 1 else values


def _is_channels_last(x):
    # Whether PyTorch would keep channels last for x: channels innermost, then space from the last, then batch.
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
