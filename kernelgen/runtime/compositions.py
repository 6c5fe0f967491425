"""PyTorch's own backend-neutral definitions that the router may follow: composites and decompositions; no kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

# Composite kernels that reach data through the dispatcher alone, on every backend. PyTorch marks more overloads as
# composite; those left out call a CPU kernel directly on some path, or recurse into their own ``out=`` form.
COMPOSITES: frozenset[str] = frozenset(
    [
        "_chunk_cat.default",
        "_euclidean_dist.default",
        "_lazy_clone.default",
        "_safe_softmax.default",
        "_to_copy.default",
        "_unsafe_masked_index.default",
        "_unsafe_masked_index_put_accumulate.default",
        "add.Scalar",
        "addr.default",
        "allclose.default",
        "arange.default",
        "arange.start",
        "binary_cross_entropy_with_logits.default",
        "block_diag.default",
        "celu.default",
        "cholesky_solve.default",
        "clone.default",
        "constant_pad_nd.default",
        "copysign.Scalar",
        "deg2rad.default",
        "dist.default",
        "div.Scalar",
        "fill.Scalar",
        "frexp.Tensor",
        "full.default",
        "full_like.default",
        "index_fill.int_Scalar",
        "index_fill.int_Tensor",
        "index_put.default",
        "isinf.default",
        "kthvalue.default",
        "ldexp.Tensor",
        "linspace.Tensor_Scalar",
        "linspace.Tensor_Tensor",
        "linspace.Scalar_Tensor",
        "logspace.Tensor_Tensor",
        "logspace.Tensor_Scalar",
        "logspace.Scalar_Tensor",
        "logical_and.default",
        "logical_not.default",
        "logical_or.default",
        "logical_xor.default",
        "logsumexp.default",
        "masked_fill.Scalar",
        "masked_fill.Tensor",
        "masked_scatter.default",
        "mean.default",
        "mul.Scalar",
        "mv.default",
        "mvlgamma.default",
        "nan_to_num.default",
        "native_group_norm.default",
        "new_full.default",
        "new_ones.default",
        "new_zeros.default",
        "ones.default",
        "ones_like.default",
        "put.default",
        "rad2deg.default",
        "remainder.Scalar",
        "repeat.default",
        "rot90.default",
        "rsub.Scalar",
        "soft_margin_loss.default",
        "stack.default",
        "sub.Scalar",
        "sum.default",
        "zeros.default",
        "zeros_like.default",
        "logcumsumexp.default",
        "cummax.default",
        "cummin.default",
        "all.dims",
        "any.dims",
        "count_nonzero.default",
        "eye.default",
        "eye.m",
        "median.dim",
        "nanmedian.dim",
        "full.out",
        "embedding.default",
        "sort.default",
    ]
)

# Decompositions that PyTorch ships but that differ from its eager results (values or strides) on some sample.
_UNFAITHFUL: frozenset[str] = frozenset()


@cache
def decompositions() -> Mapping[Any, Callable[..., Any]]:
    """Return PyTorch's decomposition table (``OpOverload`` -> function), less those known to differ from eager."""
    from torch._decomp import decomposition_table

    from .overloads import overload_key

    return {
        op: rule
        for op, rule in decomposition_table.items()
        if hasattr(op, "name") and overload_key(op) not in _UNFAITHFUL
    }
