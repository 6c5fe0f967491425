"""Embedding tables beyond the plain lookup: bags of rows and rows scaled to a norm; no gradients."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry

ENTRIES = [
    # A sum computed forward only gets a bag_size entry for every offset; _embedding_bag leaves the last one out.
    Entry("_embedding_bag_forward_only.default", "embedding_bag.py.j2", {"every": 1}),
    Entry("_embedding_bag.default", "embedding_bag.py.j2", {"every": 0}),
    Entry("embedding_renorm.default", "embedding_renorm.py.j2"),
]
