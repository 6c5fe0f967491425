"""Host helpers of normalisation: the dtype of statistics and per-channel parameters as views; no arithmetic."""

import torch


def _statistics_dtype(x, *parameters):
    # Parameters in float32 beside a half-precision input keep the statistics in float32 (PyTorch's mixed mode).
    for parameter in parameters:
        if parameter is not None and x.dtype != parameter.dtype and parameter.dtype == torch.float32:
            return torch.float32
    return x.dtype


def _along(parameter, dim, shape):
    # A vector over dimension ``dim`` as a view of ``shape``; None stays None.
    if parameter is None:
        return None
    return parameter.view([shape[d] if d == dim else 1 for d in range(len(shape))]).expand(shape)
