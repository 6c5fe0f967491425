"""Operators over sequences of unequal length: segment reduction and the CTC loss."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry

ENTRIES = [
    Entry("segment_reduce.default", "segment.py.j2"),
    Entry("_ctc_loss.default", "ctc.py.j2", {"lengths": "list"}),
    Entry("_ctc_loss.Tensor", "ctc.py.j2", {"lengths": "tensor"}),
]
