"""Membership of elements in a set: search among the sorted set; the set may be one number."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE, _contiguous, _result_dtype
from kernelgen.synthesis.library.sort import _sorted_rows
from kernelgen.synthesis.library.sort_pick import _row_bound


@triton.jit
def _member_kernel(out, elements, ordered, total, N, steps, IS_NUMBER: tl.constexpr, SET_IS_NUMBER: tl.constexpr,
                   INVERT: tl.constexpr, COMPUTE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = place < total
    if IS_NUMBER:
        value = tl.full([BLOCK], elements, COMPUTE)
    else:
        value = tl.load(elements + place, mask=live, other=0).to(COMPUTE)
    if SET_IS_NUMBER:
        inside = value == tl.full([BLOCK], ordered, COMPUTE)
    else:
        at = _row_bound(ordered, tl.zeros([BLOCK], tl.int64), N, value, steps, live, False, COMPUTE)
        found = tl.load(ordered + at, mask=live & (at < N), other=0).to(COMPUTE)
        inside = (at < N) & (found == value)
    if INVERT:
        inside = inside == 0
    tl.store(out + place, inside.to(out.dtype.element_ty), mask=live)


def _member_into(out, elements, tests, invert):
    # out (contiguous, bool): whether each of elements is among tests; either may be a number.
    total = out.numel()
    if total == 0:
        return
    is_number = not isinstance(elements, torch.Tensor)
    set_is_number = not isinstance(tests, torch.Tensor)
    dtype = _result_dtype(elements, tests)
    n, ordered = 1, tests
    if not set_is_number:
        n = tests.numel()
        ordered = _sorted_rows(_contiguous(tests, dtype).view(-1), 0)[0]
    _member_kernel[(triton.cdiv(total, 1024),)](
        out,
        elements if is_number else _contiguous(elements),
        ordered,
        total,
        n,
        n.bit_length(),
        IS_NUMBER=is_number,
        SET_IS_NUMBER=set_is_number,
        INVERT=invert,
        COMPUTE=_COMPUTE[dtype],
        BLOCK=1024,
        num_warps=8,
    )
