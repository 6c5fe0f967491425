"""Binary search among boundaries, and membership by searching sorted elements."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry
from kernelgen.synthesis.families.sorting import sorting


def searching(overload: str, sequence: str, wanted: str, sorter: str = "None", right: str = "right") -> Entry:
    """Return the entry of a search for ``wanted`` (tensor or number) among ``sequence``, both argument names."""
    return Entry(overload, "search.py.j2", {"sequence": sequence, "wanted": wanted, "sorter": sorter, "right": right})


_SIDE = 'right or side == "right"'
_ISIN = """\
shape = {elements}.shape if isinstance({elements}, torch.Tensor) else ()
out = torch.empty(shape, dtype=torch.bool, device=_first_tensor({elements}, {tests}).device)
_member_into(out, {elements}, {tests}, invert)
return out
"""


ENTRIES = [
    *(searching(f"bucketize.{kind}", "boundaries", "self") for kind in ("Tensor", "Scalar")),
    *(searching(f"searchsorted.{kind}", "sorted_sequence", "self", "sorter", _SIDE) for kind in ("Tensor", "Scalar")),
    sorting("isin.Tensor_Tensor", _ISIN.format(elements="elements", tests="test_elements")),
    sorting("isin.Tensor_Scalar", _ISIN.format(elements="elements", tests="test_element")),
    sorting("isin.Scalar_Tensor", _ISIN.format(elements="element", tests="test_elements")),
]
