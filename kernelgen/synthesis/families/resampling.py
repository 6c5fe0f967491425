"""Interpolation to another size, and sampling at the free positions of a grid; no gradients."""

from __future__ import annotations

from kernelgen.synthesis.entry import Entry


def resample(overload: str, dims: int, kind: str, weight: str = "compute") -> Entry:
    """Return the entry of an interpolation over ``dims`` spatial dimensions (nearest, exact, linear or cubic).

    ``weight`` is host code for the Triton type that weights are rounded to."""
    return Entry(f"{overload}.default", "resample.py.j2", {"dims": dims, "kind": kind, "weight": weight})


def grid_sample(name: str, dims: int, modes: tuple[str, ...]) -> Entry:
    """Return the entry of sampling at a grid's positions, with the interpolation ``modes`` in ATen's numbering."""
    return Entry(f"{name}.default", "grid_sample.py.j2", {"name": name, "dims": dims, "modes": modes})


# CPU PyTorch keeps weights in the tensor's own type where it resamples by its generic routine.
_OWN = "_STORAGE[self.dtype]"
_OWN_UNLESS_CHANNELS_LAST = "compute if _is_channels_last(self) else _STORAGE[self.dtype]"


ENTRIES = [
    *(resample(f"upsample_nearest{dims}d", dims, "nearest") for dims in (1, 2, 3)),
    *(resample(f"_upsample_nearest_exact{dims}d", dims, "exact") for dims in (1, 2, 3)),
    resample("upsample_linear1d", 1, "linear", _OWN),
    resample("upsample_bilinear2d", 2, "linear"),
    resample("upsample_bicubic2d", 2, "cubic", _OWN),
    resample("upsample_trilinear3d", 3, "linear", _OWN_UNLESS_CHANNELS_LAST),
    grid_sample("grid_sampler_2d", 2, ("bilinear", "nearest", "bicubic")),
    grid_sample("_grid_sampler_2d_cpu_fallback", 2, ("bilinear", "nearest", "bicubic")),
    grid_sample("grid_sampler_3d", 3, ("bilinear", "nearest")),
    Entry("_upsample_bilinear2d_aa.default", "resample_smooth.py.j2", {"cubic": False}),
    Entry("_upsample_bicubic2d_aa.default", "resample_smooth.py.j2", {"cubic": True}),
]
