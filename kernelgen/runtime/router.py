"""Serve ATen calls with generated kernels: the dispatch mode, its guard and its counts; compares no results."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .overloads import functional_of, kind_of, overload_key
from .validation import validate

# A composition that keeps coming back to the overload it serves (some are defined by their own out= form) ends here.
_MAX_NESTING = 2
_COMPOSITE = torch._C.DispatchKey.CompositeExplicitAutograd


class MissingKernel(RuntimeError):
    """No generated kernel, and no PyTorch composition of served overloads, covers this overload."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"no kernel serves aten {key}")


class ForbiddenCompute(RuntimeError):
    """A wrapper asked ATen to compute instead of launching a kernel."""

    def __init__(self, key: str, inside: str) -> None:
        self.key, self.inside = key, inside
        super().__init__(f"the wrapper of {inside} called aten {key}, which computes; launch a kernel instead")


class NoLaunch(RuntimeError):
    """A wrapper returned data without launching any kernel."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the wrapper of {key} returned without launching a kernel")


@dataclass
class RouteStats:
    """How each overload call was served: overload -> number of calls."""

    kernel: Counter[str] = field(default_factory=Counter)
    derived: Counter[str] = field(default_factory=Counter)
    composite: Counter[str] = field(default_factory=Counter)
    decomposed: Counter[str] = field(default_factory=Counter)
    free: Counter[str] = field(default_factory=Counter)
    host_read: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    inside_wrapper: Counter[str] = field(default_factory=Counter)
    launches: int = 0

    def add(self, other: RouteStats) -> None:
        """Add another call's counts to these."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
        self.launches += other.launches

    def to_json(self) -> dict[str, Any]:
        """Return all counts as plain JSON values."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}


class _Guard(TorchDispatchMode):
    """Forbids ATen compute while a wrapper runs; views and allocations pass and are counted apart."""

    def __init__(self, key: str, stats: RouteStats, on_allocation: Callable[[Any], object] | None) -> None:
        super().__init__()
        self.key, self.stats, self.on_allocation = key, stats, on_allocation

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _decides_by_itself(func):
            with self:
                return func.decompose(*args, **(kwargs or {}))
        if kind_of(func) == "compute":
            raise ForbiddenCompute(overload_key(func), self.key)
        self.stats.inside_wrapper[overload_key(func)] += 1
        return _free_call(func, args, kwargs or {}, self.on_allocation)


class RoutingMode(TorchDispatchMode):
    """Route every ATen overload to a generated kernel.

    Order: a kernel of the overload's own; views, allocations and metadata by PyTorch; in-place and ``out=`` forms
    through the functional kernel and the ``copy_`` kernel; PyTorch's backend-neutral composite or decomposition,
    whose inner calls come back here. Anything else raises :class:`MissingKernel`, so no ATen compute kernel ever runs.

    ``kernels`` maps ``add.Tensor`` to its wrapper. ``launch_count`` tells how many kernels were launched so far;
    when given, a wrapper that returns elements without a launch raises :class:`NoLaunch`. ``on_allocation`` sees each
    fresh tensor (an evaluator fills it with poison). ``check_arguments`` asks PyTorch's shape functions to refuse bad
    arguments before a kernel runs; without it a kernel trusts its caller.
    """

    def __init__(
        self,
        kernels: Mapping[str, Callable[..., Any]],
        *,
        composites: frozenset[str],
        decompositions: Mapping[Any, Callable[..., Any]],
        launch_count: Callable[[], int] | None = None,
        on_allocation: Callable[[Any], object] | None = None,
        check_arguments: bool = True,
    ) -> None:
        super().__init__()
        self.check_arguments = check_arguments
        self.kernels, self.composites, self.decompositions = kernels, composites, decompositions
        self.launch_count, self.on_allocation = launch_count, on_allocation
        self.stats = RouteStats()
        self._depth: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.route(func, args, kwargs or {})

    def route(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Serve one call of ``func``. Raises MissingKernel, ForbiddenCompute, NoLaunch, or what the kernel raises."""
        key = overload_key(func)
        if key in self.kernels:
            self.stats.kernel[key] += 1
            if self.check_arguments:
                validate(func, args, kwargs)
            return self._launch(key, args, kwargs)
        if _decides_by_itself(func):
            with self:
                return func.decompose(*args, **kwargs)
        kind = kind_of(func)
        if kind != "compute":
            (self.stats.host_read if kind == "host_read" else self.stats.free)[key] += 1
            return _free_call(func, args, kwargs, self.on_allocation)
        if self._depth[key] > _MAX_NESTING:
            self.stats.missing[key] += 1
            raise MissingKernel(key)
        self._depth[key] += 1
        try:
            return self._compose(func, key, args, kwargs)
        finally:
            self._depth[key] -= 1

    def _compose(self, func: Any, key: str, args: Any, kwargs: Any) -> Any:
        functional = functional_of(func)
        if functional is not None and key != "copy_.default":
            self.stats.derived[key] += 1
            if self.check_arguments:
                validate(func, args, kwargs)
            return self._derive(func, functional, args, kwargs)
        if _is_composite_implicit(func):
            self.stats.composite[key] += 1
            with self:
                return func.decompose(*args, **kwargs)
        if key in self.composites:
            self.stats.composite[key] += 1
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        if func in self.decompositions:
            with self:
                result = self.decompositions[func](*args, **kwargs)
            if result is not NotImplemented:
                self.stats.decomposed[key] += 1
                return result
        impl_aten = getattr(func, "impl_aten", None)
        if func.namespace == "prims" and impl_aten is not None:
            self.stats.decomposed[key] += 1
            with self:
                return impl_aten(*args, **kwargs)
        self.stats.missing[key] += 1
        raise MissingKernel(key)

    def _launch(self, key: str, args: Any, kwargs: Any) -> Any:
        before = self.launch_count() if self.launch_count else 0
        with _Guard(key, self.stats, self.on_allocation):
            try:
                result = self.kernels[key](*args, **kwargs)
            except KeyError as error:
                if dtype := _dtype_looked_up(error):
                    raise NotImplementedError(f"the kernel of {key} does not serve {dtype}") from error
                raise
        if self.launch_count:
            launched = self.launch_count() - before
            self.stats.launches += launched
            if not launched and _elements(result):
                raise NoLaunch(key)
        return result

    def _derive(self, func: Any, functional: Any, args: Any, kwargs: Any) -> Any:
        names = [a.name for a in func._schema.arguments]
        outs = [a.name for a in func._schema.arguments if a.is_out]
        if outs:
            bound = dict(zip(names, args, strict=False)) | kwargs
            targets = [bound[name] for name in outs]
            positional = args[: len(functional._schema.arguments)]
            keywords = {k: v for k, v in kwargs.items() if k not in outs}
        else:
            targets, positional, keywords = [args[0]], args, kwargs
        computed = self.route(functional, positional, keywords)
        results = list(computed) if isinstance(computed, (tuple, list)) else [computed]
        copy = torch.ops.aten.copy_.default
        for target, value in zip(targets, results, strict=True):
            if outs and target.shape != value.shape:
                target.resize_(value.shape)
            self.route(copy, (target, value), {})
        return targets[0] if len(targets) == 1 else tuple(targets)


def _dtype_looked_up(error: KeyError) -> str:
    """Return the name of the dtype that a kernel's table, or Triton's own, does not have; "" for any other key."""
    wanted = error.args[0] if error.args else None
    if isinstance(wanted, str):
        wanted = getattr(torch, wanted, None)
    return str(wanted).removeprefix("torch.") if isinstance(wanted, torch.dtype) else ""


def _free_call(func: Any, args: Any, kwargs: Any, on_allocation: Callable[[Any], object] | None) -> Any:
    result = func(*args, **kwargs)
    if on_allocation is not None and kind_of(func) == "allocation" and not func._schema.is_mutable:
        on_allocation(result)
    return result


@cache
def _is_composite_implicit(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


def _decides_by_itself(func: Any) -> bool:
    """Say whether ``func`` is a view only if it can be, and a copy otherwise (``to``, ``reshape``): its parts tell.

    PyTorch takes these apart above the modes, but not inside a composition, where the modes meet them whole.
    """
    return kind_of(func) == "view" and _is_composite_implicit(func)


def _elements(result: Any) -> int:
    if isinstance(result, torch.Tensor):
        return result.numel()
    if isinstance(result, (tuple, list)):
        return sum(_elements(item) for item in result)
    return 1


@contextlib.contextmanager
def quiet_modes() -> Iterator[None]:
    """Suspend dispatch modes, for the launcher's own bookkeeping on tensors."""
    with torch.utils._python_dispatch._disable_current_modes():
        yield
