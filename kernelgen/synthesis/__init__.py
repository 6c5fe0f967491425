"""The offline proposer: readable Triton from operator semantics, by archetype templates and small entries."""
