"""Layer, group and batch normalisation: one kernel shape, told apart by what makes up a row."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def normalisation(
    overload: str,
    host: str,
    *,
    kind: str = "layer",
    training: str = "True",
    tracks: str = "False",
    returns: str = "out, mean, rstd",
) -> Entry:
    """Return the entry of a normalisation. ``host`` sets x, scale, shift, dims, out, target (out seen in the shape of
    x), mean and rstd; ``kind`` batch adds running statistics, used when not ``training``, updated when ``tracks``."""
    return Entry(
        overload,
        "normalisation.py.j2",
        {"host": host, "kind": kind, "training": training, "tracks": tracks, "returns": returns},
    )


_LAYER = """\
lead = input.dim() - len(normalized_shape)
if lead < 0 or tuple(input.shape[lead:]) != tuple(normalized_shape):
    raise RuntimeError(f"normalized_shape {list(normalized_shape)} is not the end of {list(input.shape)}")
x = _contiguous(input)
dims = list(range(lead, x.dim()))
scale = None if weight is None else weight.expand(x.shape)
shift = None if bias is None else bias.expand(x.shape)
out = torch.empty_like(x, memory_format=torch.contiguous_format)
target = out
stat_shape = list(x.shape[:lead]) + [1] * len(dims)
stat_dtype = _statistics_dtype(x, weight, bias)
mean = torch.empty(stat_shape, dtype=stat_dtype, device=x.device)
rstd = torch.empty(stat_shape, dtype=stat_dtype, device=x.device)
"""

_GROUP = """\
if group <= 0 or C % group:
    raise RuntimeError(f"Expected number of channels in input to be divisible by num_groups, but got {C} and {group}")
flat = _contiguous(input)
out = torch.empty_like(flat)
x = flat.view(N, group, C // group, HxW)
target = out.view(N, group, C // group, HxW)
dims = [2, 3]
scale = None if weight is None else weight.view(1, group, C // group, 1).expand(x.shape)
shift = None if bias is None else bias.view(1, group, C // group, 1).expand(x.shape)
stat_dtype = _statistics_dtype(input, weight, bias)
mean = torch.empty((N, group), dtype=stat_dtype, device=x.device)
rstd = torch.empty((N, group), dtype=stat_dtype, device=x.device)
"""

_BATCH = """\
x = input
dims = [0, *range(2, x.dim())]
scale = _along(weight, 1, x.shape)
shift = _along(bias, 1, x.shape)
out = torch.empty_like(x)
target = out
stat_dtype = _statistics_dtype(x, weight, bias, running_mean, running_var)
mean = torch.empty(x.shape[1] if {training} else 0, dtype=stat_dtype, device=x.device)
rstd = torch.empty(x.shape[1] if {training} else 0, dtype=stat_dtype, device=x.device)
"""
_TRACKS = "running_mean is not None and running_var is not None"
_RESERVE = "reserve = torch.empty(0, dtype=torch.uint8, device=x.device)\n"


def _batch(overload: str, training: str, tracks: str = _TRACKS, before: str = "", after: str = "") -> Entry:
    returns = "out, mean, rstd" + (", reserve" if after else "")
    host = before + _BATCH.format(training=training) + after
    return normalisation(overload, host, kind="batch", training=training, tracks=tracks, returns=returns)


ENTRIES = [
    normalisation("native_layer_norm.default", _LAYER),
    normalisation("native_group_norm.default", _GROUP),
    _batch("native_batch_norm.default", "training"),
    _batch("_native_batch_norm_legit.default", "training"),
    _batch("_native_batch_norm_legit.no_stats", "True", "False", before="running_mean = None\nrunning_var = None\n"),
    _batch("_batch_norm_with_update.default", "True", after=_RESERVE),
]
