"""Host helpers of wrappers: type promotion, result allocation, dimension collapsing; they compute no elements."""

import math

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.index import _copy_kernel

_COMPUTE = {
    torch.bool: tl.int32,
    torch.uint8: tl.int32,
    torch.int8: tl.int32,
    torch.int16: tl.int32,
    torch.int32: tl.int32,
    torch.int64: tl.int64,
    torch.bfloat16: tl.float32,
    torch.float16: tl.float32,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
    torch.uint16: tl.int32,
    torch.uint32: tl.int64,
    torch.uint64: tl.uint64,
}
_STORAGE = {
    torch.bool: tl.int1,
    torch.uint8: tl.uint8,
    torch.int8: tl.int8,
    torch.int16: tl.int16,
    torch.int32: tl.int32,
    torch.int64: tl.int64,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
    torch.uint16: tl.uint16,
    torch.uint32: tl.uint32,
    torch.uint64: tl.uint64,
}


def _number_dtype(number):
    if isinstance(number, bool):
        return torch.bool
    if isinstance(number, int):
        return torch.int64
    return torch.get_default_dtype()


def _stronger(high, low):
    # A lower category (0-d tensor, Python number) changes the dtype only when it brings in a higher kind of number.
    if high is None or low is None:
        return low if high is None else high
    if high.is_floating_point:
        return high
    if high == torch.bool or low.is_floating_point:
        return torch.promote_types(high, low)
    return high


def _result_dtype(*operands):
    # PyTorch's promotion: tensors with dimensions first, then 0-d tensors, then Python numbers.
    dims, zero, number = None, None, None
    for x in operands:
        if x is None:
            continue
        if not isinstance(x, torch.Tensor):
            d = _number_dtype(x)
            number = d if number is None else torch.promote_types(number, d)
        elif x.dim() > 0:
            dims = x.dtype if dims is None else torch.promote_types(dims, x.dtype)
        else:
            zero = x.dtype if zero is None else torch.promote_types(zero, x.dtype)
    return _stronger(dims, _stronger(zero, number))


def _float_dtype(dtype):
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def _require(dtype, floating, name):
    # PyTorch has no kernel of the operator for the other kind of number.
    if dtype.is_floating_point != floating:
        raise NotImplementedError(f'"{name}" not implemented for {dtype}')


def _first_tensor(*operands):
    for x in operands:
        if isinstance(x, torch.Tensor):
            return x
    raise TypeError("at least one operand must be a tensor")


def _broadcast_shape(*operands):
    return torch.broadcast_shapes(*[x.shape for x in operands if isinstance(x, torch.Tensor)])


def _swaps(inner, outer, shape, walks):
    # Whether dimension `outer` steps less than `inner` in the first operand that tells them apart: 1, -1 or 0.
    for step in walks:
        if step[inner] == 0 or step[outer] == 0:
            continue
        if step[inner] != step[outer]:
            return -1 if step[inner] < step[outer] else 1
        if shape[inner] > shape[outer]:
            return 1
    return 0


def _result_strides(shape, operands):
    # TensorIterator's order: innermost first, dimensions sorted by how the operands step, ties as in a C array.
    walks = []
    for x in operands:
        lead = len(shape) - x.dim()
        own = [0 if x.shape[d] == 1 and shape[lead + d] != 1 else x.stride()[d] for d in range(x.dim())]
        walks.append([0] * lead + own)
    order = list(range(len(shape) - 1, -1, -1))
    for i in range(1, len(order)):
        at = i
        for before in range(i - 1, -1, -1):
            answer = _swaps(order[before], order[at], shape, walks)
            if answer > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif answer < 0:
                break
    strides, step = [0] * len(shape), 1
    for d in order:
        strides[d] = step
        step *= shape[d]
    return tuple(strides)


def _empty_result(shape, dtype, *operands):
    # Like TensorIterator: the result keeps the operands' memory order, and their very strides when these are dense.
    tensors = [x for x in operands if isinstance(x, torch.Tensor)]
    device = _first_tensor(*operands).device
    if all(x.shape == shape and x.is_contiguous() for x in tensors):
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.empty_strided(shape, _result_strides(shape, tensors), dtype=dtype, device=device)


def _float_bits(x):
    # The 64 bits of a float as a signed integer: launches carry floats as fp32, integers whole.
    sign = -(2**63) if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7FF8 << 48
    if math.isinf(x):
        return sign + (0x7FF0 << 48)
    part, exponent = math.frexp(abs(x))
    if part == 0 or exponent < -1021:
        return sign + int(math.ldexp(abs(x), 1074))
    return sign + ((exponent + 1022) << 52) + int(math.ldexp(part, 53)) - 2**52


def _number(x, compute):
    # How a Python number reaches a kernel that computes in this type: see _value.
    if compute == tl.float64:
        return _float_bits(float(x))
    return float(x) if compute == tl.float32 else int(x)


def _strides(x, shape):
    # Strides of x broadcast to shape; a Python number walks nowhere.
    if not isinstance(x, torch.Tensor):
        return (0,) * len(shape)
    return x.expand(shape).stride()


def _collapse(shape, *strides):
    # Merge neighbouring dimensions that all operands walk as one, then pad to 1, 4 or 8 so few kernels get compiled.
    dims = []
    for d in range(len(shape)):
        if shape[d] == 1:
            continue
        step = [s[d] for s in strides]
        if dims and all(before == size_step * shape[d] for before, size_step in zip(dims[-1][1], step, strict=False)):
            dims[-1] = (dims[-1][0] * shape[d], step)
        else:
            dims.append((shape[d], step))
    if not dims:
        dims = [(1, [0] * len(strides))]
    room = 1 if len(dims) == 1 else 4 if len(dims) <= 4 else 8
    if len(dims) > room:
        raise NotImplementedError("more than 8 dimensions that cannot be merged")
    dims = [(1, [0] * len(strides))] * (room - len(dims)) + dims
    return room, tuple(size for size, _ in dims), [tuple(step[i] for _, step in dims) for i in range(len(strides))]


def _check_writable(x):
    # PyTorch refuses to write where several elements share memory.
    if any(size > 1 and step == 0 for size, step in zip(x.shape, x.stride(), strict=False)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )


def _copy_into(out, source):
    # Launch the copy kernel: out takes source's values, broadcast and cast.
    numel = out.numel()
    if numel:
        ndim, shape, (so, ss) = _collapse(out.shape, out.stride(), _strides(source, out.shape))
        _copy_kernel[(triton.cdiv(numel, 1024),)](out, source, numel, shape, so, ss, NDIM=ndim, BLOCK=1024, num_warps=8)
    return out


def _contiguous(x, dtype=None):
    # x itself when it is contiguous and of the dtype already, else a contiguous copy made by a kernel.
    if x.is_contiguous() and (dtype is None or x.dtype == dtype):
        return x
    return _copy_into(torch.empty(x.shape, dtype=dtype or x.dtype, device=x.device), x)
