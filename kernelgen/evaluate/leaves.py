"""Observations as messages and back: JSON for structure, raw buffers for elements; checks that the two agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kernelgen.evaluate.observe import Leaf, Observation
from sysmith_errors import InternalFault


def pack(observation: Observation) -> tuple[dict[str, Any], list[bytes]]:
    """Return (body, buffers) of an observation; elements stay out of the JSON."""
    buffers: list[bytes] = []

    def describe(leaf: Leaf) -> list[Any]:
        buffers.append(leaf.data)
        return [leaf.dtype, list(leaf.shape), list(leaf.stride), len(buffers) - 1, leaf.alias, leaf.text]

    body = {
        "outputs": [describe(leaf) for leaf in observation.outputs],
        "structure": observation.structure,
        "inputs": [describe(leaf) for leaf in observation.inputs],
        "error": observation.error,
        "message": observation.message,
        "meta": observation.meta,
    }
    return body, buffers


def unpack(body: dict[str, Any], buffers: Sequence[Any]) -> Observation:
    """Rebuild an observation from untrusted parts. Raises InternalFault when they contradict one another."""
    try:
        outputs = tuple(_leaf(item, buffers) for item in body["outputs"])
        inputs = tuple(_leaf(item, buffers) for item in body["inputs"])
        return Observation(
            outputs, str(body["structure"]), inputs, str(body["error"]), str(body["message"]), dict(body["meta"])
        )
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InternalFault(f"a candidate's message is damaged: {error}") from None


def _leaf(item: Sequence[Any], buffers: Sequence[Any]) -> Leaf:
    import torch

    dtype, shape, stride, place, alias, text = item
    data = bytes(buffers[place])
    if dtype and not text:
        size = getattr(torch, str(dtype)).itemsize * math.prod(int(n) for n in shape)
        if size != len(data):
            raise ValueError(f"{len(data)} bytes for {dtype}{list(shape)}, which takes {size}")
    return Leaf(str(dtype), tuple(map(int, shape)), tuple(map(int, stride)), data, int(alias), str(text))
