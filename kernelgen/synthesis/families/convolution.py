"""Convolution: one overload carries every dimension count, groups, dilation and the transposed form."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry

ENTRIES = [Entry("convolution.default", "convolution.py.j2")]
