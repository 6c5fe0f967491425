"""Distances between the rows of matrices."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry

ENTRIES = [
    Entry("_cdist_forward.default", "distance.py.j2", {"pairs": False}),
    Entry("_pdist_forward.default", "distance.py.j2", {"pairs": True}),
]
