"""Pooling windows over one to three spatial dimensions, and what wrappers check; holds no operator of its own."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.linalg_convolution import _is_channels_last, _spread, _three


@triton.jit
def _unravel(index, channels, size):
    # (batch, channel, depth, row, column) of a row-major element index, for three spatial sizes.
    w = index % size[2]
    rest = index // size[2]
    h = rest % size[1]
    rest = rest // size[1]
    d = rest % size[0]
    rest = rest // size[0]
    return rest // channels, rest % channels, d, h, w


@triton.jit
def _at(batch, channel, d, h, w, stride):
    # Memory offset of one element of a (batch, channel, depth, row, column) tensor.
    return batch * stride[0] + channel * stride[1] + d * stride[2] + h * stride[3] + w * stride[4]


@triton.jit
def _strided_window(place, out_size, size, taps, step, pad, spread):
    # Half-open span of a pooling window, padding included; it starts before 0 where there is padding.
    start = place * step - pad
    return start, tl.minimum(start + (taps - 1) * spread + 1, size + pad)


@triton.jit
def _adaptive_window(place, out_size, size, taps, step, pad, spread):
    # Spans that cover the input evenly: floor(i * in / out) to ceil((i + 1) * in / out).
    return (place * size) // out_size, ((place + 1) * size + out_size - 1) // out_size


def _planes(name, x, dims):
    # Check that x is ([batch], channel, space...) with elements in all but the batch, and return its spatial sizes.
    if x.dim() not in (dims + 1, dims + 2) or 0 in x.shape[x.dim() - dims - 1 :]:
        raise RuntimeError(
            f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, only its batch empty, but got {list(x.shape)}"
        )
    return tuple(x.shape[x.dim() - dims :])


def _plane_strides(x, dims):
    # Strides (batch, channel, three spatial), 0 where x lacks the dimension.
    own = tuple(x.stride())
    lead = own[: x.dim() - dims]
    return (*((0, *lead) if len(lead) == 1 else lead), *_three(own[x.dim() - dims :], 0))


def _plane_result(x, space, dtype, keeps_order):
    # An empty result of x's batch and channels over other spatial sizes, channels last where x is and PyTorch keeps it.
    shape = (*x.shape[: x.dim() - len(space)], *space)
    layout = torch.contiguous_format
    if keeps_order and x.dim() == len(space) + 2 and _is_channels_last(x):
        layout = torch.channels_last if len(space) == 2 else torch.channels_last_3d
    return torch.empty(shape, dtype=dtype, device=x.device, memory_format=layout)


def _pool_windows(name, size, kernel_size, stride, padding, dilation, ceil_mode):
    # The checked windows, one tuple over the dimensions each: taps, step, pad, spread, and the output sizes.
    dims = len(size)
    taps, pad, spread = _spread(kernel_size, dims), _spread(padding, dims), _spread(dilation, dims)
    step = _spread(stride, dims) if len(stride) else taps
    if min(taps) < 1 or min(step) < 1 or min(spread) < 1 or min(pad) < 0:
        raise RuntimeError(
            f"{name}(): kernel size, stride and dilation must be greater than zero, padding not negative"
        )
    space = []
    for d in range(dims):
        if pad[d] > ((taps[d] - 1) * spread[d] + 1) // 2:
            raise RuntimeError(f"{name}(): pad should be at most half of effective kernel size, got pad={pad[d]}")
        reach = size[d] + 2 * pad[d] - spread[d] * (taps[d] - 1) - 1
        count = (reach + (step[d] - 1 if ceil_mode else 0)) // step[d] + 1
        # A window that would start beyond the input and its left padding is dropped.
        if ceil_mode and (count - 1) * step[d] >= size[d] + pad[d]:
            count -= 1
        if count < 1:
            raise RuntimeError(
                f"{name}(): input of size {list(size)} is too small for the kernel: output size is too small"
            )
        space.append(count)
    return taps, step, pad, spread, tuple(space)


def _adaptive_taps(size, space):
    # The longest window along each dimension.
    pairs = [(n, max(m, 1)) for n, m in zip(size, space, strict=True)]
    return tuple(n // m if n % m == 0 else min(n, n // m + 2) for n, m in pairs)
