"""PyTorch's composites on the allow-list reach data through the dispatcher alone.

Every inner overload is served by a stand-in that computes with ATen and then spoils its result. A composite that still
gives the right answer computed it behind the dispatcher's back, which would be ATen compute unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch

from kernelgen.evaluate import opinfo, sampling
from kernelgen.evaluate.compare import difference
from kernelgen.runtime.compositions import COMPOSITES, decompositions
from kernelgen.runtime.overloads import kind_of
from kernelgen.runtime.router import RoutingMode

SPOILT_BY = 3


def spoil(result: Any) -> Any:
    for x in result if isinstance(result, (tuple, list)) else [result]:
        if isinstance(x, torch.Tensor) and x.numel():
            if x.dtype == torch.bool:
                x.logical_not_()
            else:
                x.add_(SPOILT_BY)
    return (not result) if isinstance(result, bool) else result


class Spoilt(Mapping[str, Callable[..., Any]]):
    """A stand-in for every computing overload that is no composite itself."""

    def _overload(self, key: object) -> Any:
        op, _, overload = str(key).partition(".")
        return getattr(getattr(torch.ops.aten, op), overload)

    def __contains__(self, key: object) -> bool:
        if str(key) in COMPOSITES or "::" in str(key):
            return False
        func = self._overload(key)
        return kind_of(func) == "compute" and not torch._C._dispatch_has_kernel_for_dispatch_key(
            func.name(), "CompositeImplicitAutograd"
        )

    def __getitem__(self, key: str) -> Callable[..., Any]:
        func = self._overload(key)

        def call(*args: Any, **kwargs: Any) -> Any:
            with torch.utils._python_dispatch._disable_current_modes():
                return spoil(func(*args, **kwargs))

        return call

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def composites_with_samples() -> list[str]:
    names = opinfo.database()
    return sorted(key for key in COMPOSITES if key.partition(".")[0] in names)


@pytest.mark.parametrize("key", composites_with_samples())
def test_spoilt_parts_spoil_the_whole(key: str) -> None:
    name = key.partition(".")[0]
    dtype = "float32" if "float32" in opinfo.dtype_names(name) else opinfo.dtype_names(name)[0]
    found = sampling.cases(name, [dtype], 40)
    twins = sampling.cases(name, [dtype], 40)
    reached = differs = 0
    for case, twin in zip(found, twins, strict=True):
        routing = RoutingMode(Spoilt(), composites=COMPOSITES, decompositions=decompositions())

        def around(_: sampling.Case, mode: RoutingMode = routing) -> RoutingMode:
            return mode

        got = next(sampling.run([case], around))[1]
        want = next(sampling.run([twin]))[1]
        if routing.stats.composite[key] and any(leaf.data for leaf in want.outputs):
            reached += 1
            differs += bool(difference(got, want, (1e-3, 1e-3), check_strides=False))
    if not reached:
        pytest.skip(f"no sample of {name} dispatches {key}")
    assert differs, f"{key} gives right results although all its parts were spoilt"
