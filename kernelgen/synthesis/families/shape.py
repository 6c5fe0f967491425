"""Copies of views, concatenation, pads, rolls, repeats and pixel reordering: elements move, none is computed."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def copy_of(overload: str, view: str, *, many: bool = False) -> Entry:
    """Return the entry of an overload that gives a contiguous copy of ``view`` (of each of them, when ``many``)."""
    return Entry(overload, "shape.py.j2", {"view": view, "many": many, "body": ""})


def moved(overload: str, body: str) -> Entry:
    """Return the entry of an overload whose host lines ``body`` leave the result in ``out``."""
    return Entry(overload, "shape.py.j2", {"view": "", "many": False, "body": body.strip("\n")})


_VIEWS = {
    "alias_copy.default": "self",
    "detach_copy.default": "self",
    "lift_fresh_copy.default": "self",
    "as_strided_copy.default": "self.as_strided(size, stride, storage_offset)",
    "diagonal_copy.default": "self.diagonal(offset, dim1, dim2)",
    "expand_copy.default": "self.expand(size)",
    "narrow_copy.default": "self.narrow(dim, start, length)",
    "permute_copy.default": "self.permute(dims)",
    "select_copy.int": "self.select(dim, index)",
    "slice_copy.Tensor": "_slice_view(self, dim, start, end, step)",
    "squeeze_copy.default": "self.squeeze()",
    "squeeze_copy.dim": "self.squeeze(dim)",
    "squeeze_copy.dims": "self.squeeze(dim)",
    "t_copy.default": "self.t()",
    "transpose_copy.int": "self.transpose(dim0, dim1)",
    "unfold_copy.default": "self.unfold(dimension, size, step)",
    "unsqueeze_copy.default": "self.unsqueeze(dim)",
    "view_copy.default": "self.view(size)",
    "view_copy.dtype": "self.view(dtype)",
}
_MANY = {
    "split_copy.Tensor": "self.split(split_size, dim)",
    "split_with_sizes_copy.default": "self.split(split_sizes, dim)",
    "unbind_copy.int": "self.unbind(dim)",
}
_SCATTERS = {
    "select_scatter.default": "out.select(dim, index)",
    "slice_scatter.default": "_slice_view(out, dim, start, end, step)",
    "diagonal_scatter.default": "out.diagonal(offset, dim1, dim2)",
}
_AS_STRIDED_SCATTER = """
offset = self.storage_offset() if storage_offset is None else storage_offset
own = _storage_extent(self.shape, self.stride(), self.storage_offset())
whole = torch.empty((max(own, _storage_extent(size, stride, offset)),), dtype=self.dtype, device=self.device)
out = whole.as_strided(self.shape, self.stride(), self.storage_offset())
_copy_into(out, self)
_written(out, whole.as_strided(size, stride, offset), src)
"""
_CAT = """
parts = [x for x in tensors if x.dim() != 1 or x.shape[0] != 0]
dtype = _result_dtype(*tensors)
if not parts:
    return torch.empty((0,), dtype=dtype, device=tensors[0].device)
first = parts[0]
if first.dim() == 0:
    raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
d = _positive_dim(dim, first.dim())
shape = list(first.shape)
for x in parts[1:]:
    if x.dim() != len(shape) or any(x.shape[k] != shape[k] for k in range(len(shape)) if k != d):
        raise RuntimeError(
            f"Sizes of tensors must match except in dimension {d}. Expected {list(first.shape)}, got {list(x.shape)}"
        )
    shape[d] += x.shape[d]
out = torch.empty(shape, dtype=dtype, device=first.device)
if all(_channels_last(x) for x in parts):
    out = _empty_layout(shape, first, dtype)
start = 0
for x in parts:
    _copy_into(out.narrow(d, start, x.shape[d]), x)
    start += x.shape[d]
"""
_REPEAT = """
room = len(repeats) - self.dim()
if room < 0 or any(n < 0 for n in repeats):
    raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
source = self.expand((1,) * room + tuple(self.shape))
shape = [n * times for n, times in zip(source.shape, repeats)]
out = torch.empty(shape, dtype=self.dtype, device=self.device)
_remap_into(out, source, [0] * len(shape), "wrap")
"""
_ROLL = """
source = self if dims else _contiguous(self).view(-1)
if len(shifts) != len(dims or (0,)):
    raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
left = [0] * source.dim()
for shift, dim in zip(shifts, dims or (0,)):
    d = _positive_dim(dim, self.dim() if dims else 1)
    if source.dim() and source.shape[d]:
        left[d] = (left[d] + shift) % source.shape[d]
out = torch.empty(self.shape, dtype=self.dtype, device=self.device)
_remap_into(out.view(source.shape), source, left, "wrap")
"""
_FLIP = """
flipped = [_positive_dim(d, self.dim()) for d in dims] if self.dim() else []
if len(set(flipped)) != len(flipped):
    raise RuntimeError(f"dim {dims} appears multiple times in the list of dims")
out = torch.empty_like(self)
_remap_into(out, self, [0] * self.dim(), "constant", 0, flipped)
"""
_DIAG_EMBED = """
d1, d2 = _positive_dim(dim1, self.dim() + 1), _positive_dim(dim2, self.dim() + 1)
if d1 == d2:
    raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
shape = list(self.shape[:-1])
for d in sorted((d1, d2)):
    shape.insert(d, self.shape[-1] + abs(offset))
out = _fill_value(torch.empty(shape, dtype=self.dtype, device=self.device), 0)
_copy_into(out.diagonal(offset, d1, d2), self)
"""
_SHUFFLE = """
r = upscale_factor
lead, (c, h, w) = list(self.shape[:-3]), self.shape[-3:]
if r < 1 or c % (r * r):
    raise RuntimeError(
        f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
        f"input.size(-3)={c} is not divisible by {r * r}"
    )
out = _empty_layout((*lead, c // (r * r), h * r, w * r), self)
n = len(lead)
source = self.view((*lead, c // (r * r), r, r, h, w)).permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
_copy_into(out.view((*lead, c // (r * r), h, r, w, r)), source)
"""
_UNSHUFFLE = """
r = downscale_factor
lead, (c, h, w) = list(self.shape[:-3]), self.shape[-3:]
if r < 1 or h % r or w % r:
    raise RuntimeError(
        f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {h} x {w} is not by {r}"
    )
out = _empty_layout((*lead, c * r * r, h // r, w // r), self)
n = len(lead)
source = self.view((*lead, c, h // r, r, w // r, r)).permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
_copy_into(out.view((*lead, c, r, r, h // r, w // r)), source)
"""
_CHANNEL_SHUFFLE = """
n, c = self.shape[:2]
if groups < 1 or c % groups:
    raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
out = _empty_layout(self.shape, self)
source = self.view((n, groups, c // groups, *self.shape[2:])).transpose(1, 2)
_copy_into(out.view((n, c // groups, groups, *self.shape[2:])), source)
"""
_CONSTANT_PAD = """
if all(n <= 0 for n in pad):
    return _cut(self, pad)
out = _padded(self, pad, "constant", value)
"""

ENTRIES = [
    *(copy_of(overload, view) for overload, view in _VIEWS.items()),
    *(copy_of(overload, view, many=True) for overload, view in _MANY.items()),
    *(
        moved(overload, f"out = _clone_same_strides(self)\n_written(out, {part}, src)")
        for overload, part in _SCATTERS.items()
    ),
    moved("as_strided_scatter.default", _AS_STRIDED_SCATTER),
    moved("cat.default", _CAT),
    moved("repeat.default", _REPEAT),
    moved("roll.default", _ROLL),
    moved("flip.default", _FLIP),
    moved("diag_embed.default", _DIAG_EMBED),
    moved("pixel_shuffle.default", _SHUFFLE),
    moved("pixel_unshuffle.default", _UNSHUFFLE),
    moved("channel_shuffle.default", _CHANNEL_SHUFFLE),
    moved("constant_pad_nd.default", _CONSTANT_PAD),
    *(moved(f"reflection_pad{n}d.default", 'out = _padded(self, padding, "reflect")') for n in (1, 2, 3)),
    *(moved(f"replication_pad{n}d.default", 'out = _padded(self, padding, "replicate")') for n in (1, 2, 3)),
    Entry("im2col.default", "sliding.py.j2", {"inverse": False}),
    Entry("col2im.default", "sliding.py.j2", {"inverse": True}),
    Entry("linalg_cross.default", "cross.py.j2"),
]
