"""Observations survive the trip between processes, and damaged ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing._internal.common_methods_invocations import SampleInput

from kernelgen.evaluate.leaves import pack, unpack
from kernelgen.evaluate.observe import observe, to_tensor
from sysmith_errors import InternalFault

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64, torch.uint8]


@given(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=4), st.booleans())
def test_round_trip(dtype: torch.dtype, shape: list[int], expanded: bool) -> None:
    x = (torch.rand(shape) * 5).to(dtype)
    if expanded:
        x = x.expand(3, *shape)
    seen = observe(lambda: [x, 7, "text"], SampleInput(x))
    body, buffers = pack(seen)
    back = unpack(body, [bytearray(b) for b in buffers])
    assert back == seen
    assert torch.equal(to_tensor(back.outputs[0]), x)


@pytest.mark.parametrize(
    "damage",
    [
        lambda body, buffers: body.pop("outputs"),
        lambda body, buffers: buffers.pop(),
        lambda body, buffers: buffers.__setitem__(0, b"short"),
        lambda body, buffers: body["outputs"][0].__setitem__(0, "no_such_dtype"),
        lambda body, buffers: body["outputs"][0].__setitem__(1, [99]),
        lambda body, buffers: body["outputs"].__setitem__(0, 3),
    ],
)
def test_damaged_messages_are_refused(damage: Any) -> None:
    x = torch.ones(3)
    body, buffers = pack(observe(lambda: x + 1, SampleInput(x)))
    damage(body, buffers)
    with pytest.raises(InternalFault, match="damaged"):
        unpack(body, buffers)
