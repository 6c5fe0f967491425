"""What PyTorch's contract defines of a result, for the few operators where it leaves a choice; compares nothing.

Signs and bases of singular vectors and eigenvectors are free (torch.linalg.svd, eigh and eig, under "Warning"): OpInfo
gives each of their samples a function that keeps what is defined, and that is compared. Which of several equal elements
an index names is free in topk, kthvalue, mode and unstable sorts (notes of each function): the elements that the
indices name are compared, and that no index is named twice.
"""

from __future__ import annotations

from typing import Any

import torch

FREE_BASIS = frozenset({"linalg.eig", "linalg.eigh", "linalg.svd", "svd"})
# Operator -> position of ``dim`` among the arguments after the input.
FREE_TIES = {"argsort": 0, "kthvalue": 1, "mode": 0, "sort": 0, "topk": 1}


def defined_part(name: str, sample: Any, result: Any) -> Any:
    """Return what of ``result`` is to be compared; for all but the operators above, ``result`` itself."""
    if name in FREE_BASIS:
        return sample.output_process_fn_grad(result)
    if name in FREE_TIES and not _stable(sample):
        return _named_elements(name, sample, result)
    return result


def _stable(sample: Any) -> bool:
    return bool(sample.kwargs.get("stable"))


def _named_elements(name: str, sample: Any, result: Any) -> Any:
    position = FREE_TIES[name]
    dim = sample.kwargs.get("dim", sample.args[position] if len(sample.args) > position else -1)
    indices = result if name == "argsort" else result[1]
    if indices.dtype != torch.int64:
        return result
    kept = indices if indices.dim() == sample.input.dim() else indices.unsqueeze(dim)
    if kept.numel() and not (
        int(kept.min()) >= 0 and int(kept.max()) < max(1, sample.input.shape[dim] if kept.dim() else 1)
    ):
        return result
    named = sample.input.gather(dim, kept)
    repeated = kept.dim() and bool((kept.sort(dim).values.diff(dim=dim) == 0).any())
    facts = (
        tuple(indices.shape),
        tuple(indices.stride()),
        "an index is repeated" if repeated else "indices are distinct",
    )
    return (named, *facts) if name == "argsort" else (result[0], named, *facts)
