"""Average and maximum pooling over windows, strided and adaptive; unpooling is with the scatter operators.

``max_pool2d_with_indices_backward`` gathers: it trusts that each index lies in its own window, as the forward makes it.
"""

from __future__ import annotations

from typing import Any

from kernelgen.synthesis.entry import Entry


def pooling(overload: str, dims: int, reduce: dict[str, Any], **more: Any) -> Entry:
    """Return the entry of a pooling overload over ``dims`` spatial dimensions; ``reduce`` says how a window becomes one
    element (``start``, ``body``, ``finish``), the rest is explained in the template."""
    params: dict[str, Any] = {
        "name": overload.partition(".")[0],
        "dims": dims,
        "window": "_strided_window",
        "adaptive": False,
        "indices": False,
        "keeps_order": True,
        "dilated": False,
        "scalars": {},
        "flags": {},
        "prepare": "",
    }
    return Entry(overload, "pooling.py.j2", params | reduce | more)


# Integers divide toward zero, as in C++; a window wholly in the padding gives 0.
_AVERAGE = {
    "start": "total = tl.zeros([BLOCK], COMPUTE)",
    "body": "total += value",
    "finish": """\
whole = (last_d - first_d) * (last_h - first_h) * (last_w - first_w)
valid = tl.maximum(tl.minimum(last_d, size[0]) - tl.maximum(first_d, 0), 0)
valid *= tl.maximum(tl.minimum(last_h, size[1]) - tl.maximum(first_h, 0), 0)
valid *= tl.maximum(tl.minimum(last_w, size[2]) - tl.maximum(first_w, 0), 0)
divisor = tl.maximum(whole if COUNT_PAD else valid, 1)
if HAS_OVERRIDE:
    divisor = divisor * 0 + override
divisor = divisor.to(COMPUTE)
result = total / divisor if COMPUTE.is_floating() else total // divisor""",
    "scalars": {"override": "1 if divisor_override is None else divisor_override"},
    "flags": {"has_override": "divisor_override is not None", "count_pad": "count_include_pad"},
    "prepare": "if divisor_override == 0:\n    raise RuntimeError('divisor must be not zero')",
}
_ADAPTIVE_AVERAGE = {
    "start": _AVERAGE["start"],
    "body": _AVERAGE["body"],
    "finish": "result = total / ((last_d - first_d) * (last_h - first_h) * (last_w - first_w)).to(COMPUTE)",
    "window": "_adaptive_window",
    "adaptive": True,
}
# CPU PyTorch sums the windows of this one in the tensor's own type, and divides by one side at a time.
_ADAPTIVE_AVERAGE_3D = _ADAPTIVE_AVERAGE | {
    "body": "total = (total + value).to(STORAGE).to(COMPUTE)",
    "finish": """\
result = (total / (last_d - first_d).to(COMPUTE)).to(STORAGE).to(COMPUTE)
result = (result / (last_h - first_h).to(COMPUTE)).to(STORAGE).to(COMPUTE)
result = result / (last_w - first_w).to(COMPUTE)""",
    "flags": {"storage": "_STORAGE[self.dtype]"},
}
# The first of equal elements wins, and the last NaN over everything.
_MAXIMUM = {
    "start": "result = tl.zeros([BLOCK], COMPUTE)\nposition = tl.full([BLOCK], -1, tl.int64)",
    "body": """\
take = inside & ((value > result) | (value != value) | (position < 0))
result = tl.where(take, value, result)
position = tl.where(take, (d * size[1] + h) * size[2] + w, position)""",
    "finish": "",
    "indices": True,
}
_ADAPTIVE_MAXIMUM = _MAXIMUM | {"window": "_adaptive_window", "adaptive": True}

ENTRIES = [
    pooling("avg_pool2d.default", 2, _AVERAGE),
    pooling("avg_pool3d.default", 3, _AVERAGE, keeps_order=False),
    pooling("_adaptive_avg_pool2d.default", 2, _ADAPTIVE_AVERAGE),
    pooling("_adaptive_avg_pool3d.default", 3, _ADAPTIVE_AVERAGE_3D, keeps_order=False),
    pooling("max_pool2d_with_indices.default", 2, _MAXIMUM, dilated=True),
    pooling("max_pool3d_with_indices.default", 3, _MAXIMUM, dilated=True),
    pooling("adaptive_max_pool2d.default", 2, _ADAPTIVE_MAXIMUM),
    pooling("adaptive_max_pool3d.default", 3, _ADAPTIVE_MAXIMUM, keeps_order=False),
    Entry("max_pool2d_with_indices_backward.default", "pooling_backward.py.j2"),
]
