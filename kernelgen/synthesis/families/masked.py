"""Results that depend on masks and counts: nonzero, masked_select, masked_scatter, repeat_interleave; no fills."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def masked(overload: str, body: str) -> Entry:
    """Return the entry of an overload whose host lines ``body`` leave the result in ``out``."""
    return Entry(overload, "masked.py.j2", {"body": body.strip("\n")})


_STATIC = """
out = _fill_value(torch.empty((size, self.dim()), dtype=torch.int64, device=self.device), fill_value)
_write_coordinates(out, self, _block_starts(self))
"""
_SELECT = """
shape = torch.broadcast_shapes(self.shape, mask.shape)
source, chosen = self.expand(shape), mask.expand(shape)
starts = _block_starts(chosen)
total = starts.select(0, starts.numel() - 1).item()
out = torch.empty((total,), dtype=self.dtype, device=self.device)
_compact_into(out, source, chosen, starts)
"""
_SCATTER = """
shape = torch.broadcast_shapes(self.shape, mask.shape)
values = _contiguous(source)
chosen = mask.expand(shape)
out = _clone_contiguous(self.expand(shape))
_expand_into(out, values, chosen, _block_starts(chosen))
"""
_REPEAT = """
starts = _running_starts(repeats)
total = output_size
if total is None:
    total = starts.select(0, starts.numel() - 1).item()
out = torch.empty((total,), dtype=repeats.dtype, device=repeats.device)
_owners_into(out, starts, repeats.numel())
"""

ENTRIES = [
    masked("nonzero.default", "out = _nonzero(self)"),
    masked("nonzero_static.default", _STATIC),
    masked("masked_select.default", _SELECT),
    masked("masked_scatter.default", _SCATTER),
    masked("repeat_interleave.Tensor", _REPEAT),
]
