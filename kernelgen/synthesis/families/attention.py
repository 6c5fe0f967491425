"""Fused scaled dot-product attention, forward; no dropout, and no gradient."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry

ENTRIES = [Entry("_scaled_dot_product_flash_attention_for_cpu.default", "attention.py.j2")]
