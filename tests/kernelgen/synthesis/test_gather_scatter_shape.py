"""The gather, scatter, mask and shape families against PyTorch: OpInfo samples, and properties over random layouts."""

from collections.abc import Callable

import pytest

_GATHER = "gather index_select take __getitem__ masked_select nonzero"
_SCATTER = "scatter scatter_add index_put index_add index_copy index_fill put index_reduce masked_scatter"
_SHAPE = "cat stack repeat flip roll diag_embed constant_pad_nd as_strided_scatter slice_scatter unfold_copy cross"


@pytest.mark.parametrize("names", [_GATHER, _SCATTER, _SHAPE], ids=["gather", "scatter", "shape"])
def test_opinfo_samples(names: str, operators_pass: Callable[[str, str], None]) -> None:
    operators_pass(names, "bfloat16,int64")


def test_random_layouts(properties_hold: Callable[[str], None]) -> None:
    properties_hold("properties_indexing.py")
