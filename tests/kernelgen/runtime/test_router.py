"""Routing: what is served by which means, and what is refused. Kernels here are stand-ins that count as launched."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernelgen.runtime.compositions import COMPOSITES, decompositions
from kernelgen.runtime.overloads import function_name, functional_of, kind_of, overload_key
from kernelgen.runtime.router import ForbiddenCompute, MissingKernel, NoLaunch, RoutingMode

aten = torch.ops.aten


class FakeKernels:
    """Wrappers that compute with NumPy (no ATen) and count as one launch each."""

    def __init__(self) -> None:
        self.launches = 0

    def add(self, a: Any, b: Any, *, alpha: Any = 1) -> torch.Tensor:
        self.launches += 1
        out = torch.empty(torch.broadcast_shapes(a.shape, b.shape))
        out.detach().numpy()[...] = a.detach().numpy() + alpha * b.detach().numpy()
        return out

    def copy_(self, target: Any, source: Any, non_blocking: bool = False) -> torch.Tensor:
        self.launches += 1
        target.detach().numpy()[...] = source.detach().numpy()
        return target  # type: ignore[no-any-return]  # target is a tensor


def mode(fake: FakeKernels, **more: Any) -> RoutingMode:
    kernels = {"add.Tensor": fake.add, "copy_.default": fake.copy_} | more
    return RoutingMode(
        kernels, composites=COMPOSITES, decompositions=decompositions(), launch_count=lambda: fake.launches
    )


def test_a_kernel_serves_its_overload_and_views_are_free() -> None:
    x, y = torch.ones(2, 3), torch.arange(3.0)
    with mode(FakeKernels()) as routing:
        result = (x.t().t() + y).view(6)
    assert torch.equal(result, (x + y).view(6))
    assert routing.stats.kernel == {"add.Tensor": 1}
    assert routing.stats.free["t.default"] == 2
    assert not routing.stats.missing


def test_in_place_and_out_forms_derive_from_the_functional_kernel() -> None:
    x, one, out = torch.ones(3), torch.ones(3), torch.zeros(3)
    with mode(FakeKernels()) as routing:
        x += one
        torch.add(x, x, out=out)
    assert x.tolist() == [2, 2, 2]
    assert out.tolist() == [4, 4, 4]
    assert set(routing.stats.derived) == {"add_.Tensor", "add.out"}
    assert routing.stats.kernel["copy_.default"] == 2


def test_what_nothing_serves_is_missing_and_never_computed() -> None:
    with mode(FakeKernels()) as routing, pytest.raises(MissingKernel, match=r"mm\.default"):
        torch.mm(torch.empty(2, 2), torch.empty(2, 2))
    assert routing.stats.missing == {"mm.default": 1}


def test_the_mode_is_gone_after_a_failure() -> None:
    with pytest.raises(MissingKernel), mode(FakeKernels()):
        torch.abs(torch.empty(3))
    assert torch.abs(torch.tensor([-1.0])).item() == 1.0


def test_a_wrapper_may_not_compute_with_aten() -> None:
    cheat = mode(FakeKernels(), **{"neg.default": lambda self: self * -1})
    x = torch.ones(3)
    with pytest.raises(ForbiddenCompute, match=r"neg\.default called aten mul\.Tensor"), cheat:
        torch.neg(x)


def test_a_wrapper_that_launches_nothing_is_refused_unless_empty() -> None:
    fake = FakeKernels()
    lazy = {"neg.default": lambda self: torch.empty_like(self)}
    with mode(fake, **lazy):
        assert torch.neg(torch.empty(0)).shape == (0,)
    with pytest.raises(NoLaunch), mode(fake, **lazy):
        torch.neg(torch.empty(2))


@pytest.mark.parametrize("key", [torch.complex64, "complex64"])
def test_a_dtype_that_a_kernel_does_not_know_is_named(key: object) -> None:
    narrow = {"neg.default": lambda self: {torch.float32: 1}[key]}
    x = torch.ones(2, dtype=torch.complex64)
    said = r"the kernel of neg\.default does not serve complex64"
    with pytest.raises(NotImplementedError, match=said), mode(FakeKernels(), **narrow):
        torch.neg(x)


def test_another_missing_key_stays_what_it_is() -> None:
    x = torch.ones(2)
    with pytest.raises(KeyError, match="colour"), mode(FakeKernels(), **{"neg.default": lambda self: {}["colour"]}):
        torch.neg(x)


def test_allocations_can_be_poisoned() -> None:
    seen: list[torch.Tensor] = []
    fake = FakeKernels()
    routing = RoutingMode({"add.Tensor": fake.add}, composites=COMPOSITES, decompositions={}, on_allocation=seen.append)
    with routing:
        torch.empty(3) + torch.empty(3)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("overload", "kind"),
    [
        (aten.view.default, "view"),
        (aten.split.Tensor, "view"),
        (aten.empty.memory_format, "allocation"),
        (aten.transpose_.default, "metadata"),
        (aten._local_scalar_dense.default, "host_read"),
        (aten.add.Tensor, "compute"),
        (aten.add_.Tensor, "compute"),
        (aten.fill_.Scalar, "compute"),
        (aten.clone.default, "compute"),
        (aten.equal.default, "compute"),
        (aten.zeros.default, "compute"),
    ],
)
def test_kinds(overload: Any, kind: str) -> None:
    assert kind_of(overload) == kind


def test_names() -> None:
    assert overload_key(aten.relu.default) == "relu.default"
    assert function_name("add.Tensor") == "add__Tensor_kernel_impl"
    assert functional_of(aten.mul_.Tensor) is aten.mul.Tensor
    assert functional_of(aten.add.out) is aten.add.Tensor
    assert functional_of(aten.add.Tensor) is None
