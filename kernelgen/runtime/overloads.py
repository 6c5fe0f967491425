"""Which ATen overloads compute and which only rearrange or allocate; decides nothing about kernels."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

# Storage and bookkeeping: they touch no element of any tensor's data.
_ALLOCATIONS = {
    "aten::empty.memory_format",
    "aten::empty.names",
    "aten::empty_like",
    "aten::empty_strided",
    "aten::empty_permuted",
    "aten::new_empty",
    "aten::new_empty_strided",
    "aten::resize_",
    "aten::resize_as_",
    "aten::set_.source_Storage_storage_offset",
    "aten::set_.source_Tensor",
}
_METADATA = {
    "aten::_unsafe_view",
    "aten::_reshape_alias",
    "aten::_linalg_check_errors",
    "aten::_assert_async",
    "aten::_has_compatible_shallow_copy_type",
    "aten::as_strided_",
    "aten::detach_",
    "aten::is_same_size",
    "aten::lift",
    "aten::squeeze_",
    "aten::squeeze_.dim",
    "aten::squeeze_.dims",
    "aten::swapaxes_",
    "aten::swapdims_",
    "aten::t_",
    "aten::transpose_",
    "aten::unsafe_chunk",
    "aten::unsafe_split.Tensor",
    "aten::unsafe_split_with_sizes",
    "aten::unsqueeze_",
    "aten::can_cast",
    "aten::is_complex",
    "aten::is_floating_point",
    "aten::is_signed",
    "aten::promote_types",
    "aten::result_type.Scalar",
    "aten::result_type.Scalar_Scalar",
    "aten::result_type.Scalar_Tensor",
    "aten::result_type.Tensor",
    "aten::sym_numel",
    "aten::sym_size",
    "aten::sym_storage_offset",
    "aten::sym_stride",
    "prim::device",
    "prim::layout",
}
# One element goes back to the host so that Python can act on it.
_HOST_READS = {"aten::_local_scalar_dense", "aten::item"}


@cache
def kind_of(func: Any) -> str:
    """Return ``view``, ``allocation``, ``metadata``, ``host_read`` or ``compute`` for an ``OpOverload``."""
    name = func.name()
    if name in _ALLOCATIONS:
        return "allocation"
    if name in _METADATA:
        return "metadata"
    if name in _HOST_READS:
        return "host_read"
    returns = [r.alias_info for r in func._schema.returns if r.alias_info is not None]
    if returns and not any(info.is_write for info in returns):
        return "view"
    return "compute"


@cache
def overload_key(func: Any) -> str:
    """Return ``add.Tensor`` for ``aten::add.Tensor`` and ``relu.default`` for ``aten::relu``; ``prims::`` stays."""
    namespace, _, rest = func.name().partition("::")
    op, _, overload = rest.partition(".")
    key = f"{op}.{overload or 'default'}"
    return key if namespace == "aten" else f"{namespace}::{key}"


def function_name(key: str) -> str:
    """Return the wrapper's name for an overload: ``add.Tensor`` -> ``add__Tensor_kernel_impl``."""
    op, _, overload = key.partition(".")
    return f"{op}__{overload}_kernel_impl"


@cache
def functional_of(func: Any) -> Any | None:
    """Return the overload that computes what ``func`` (in-place or ``out=``) writes, or None.

    ``mul_.Tensor`` -> ``mul.Tensor``; ``add.out`` -> ``add.Tensor``: the schema with the same arguments, less ``out``.
    """
    schema = func._schema
    if not schema.is_mutable:
        return None
    namespace, _, rest = func.name().partition("::")
    op = rest.partition(".")[0]
    wanted = [(a.name, str(a.type)) for a in schema.arguments if not a.is_out]
    base = op[:-1] if op.endswith("_") and not op.endswith("__") else op
    packet = getattr(getattr(torch.ops, namespace), base, None)
    if packet is None:
        return None
    candidates = (getattr(packet, overload) for overload in packet.overloads())
    for candidate in candidates:
        other = candidate._schema
        if not other.is_mutable and [(a.name, str(a.type)) for a in other.arguments] == wanted:
            return candidate
    return None
