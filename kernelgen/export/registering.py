"""Register an exported backend's kernels with PyTorch's dispatcher for a whole process; composes nothing by itself."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..runtime.overloads import functional_of, overload_key
from ..runtime.router import RouteStats, RoutingMode
from .enabling import kernels, launch_counter
from .kernel_files import BackendUnusable, interpreting

_registered: dict[str, Registration] = {}


class Registration:
    """What :func:`register` did for one dispatch key; it holds until :meth:`close`.

    ``overloads`` have a kernel of their own; ``derived`` are in-place and ``out=`` forms, served by the functional
    kernel and the ``copy_`` kernel.
    """

    def __init__(self, dispatch_key: str, found: Mapping[str, Callable[..., Any]]) -> None:
        self.dispatch_key = dispatch_key
        self._kernels, self._counter = found, launch_counter(interpreting())
        self._local, self._routers, self._lock = threading.local(), list[RoutingMode](), threading.Lock()
        own, derived = _served(found)
        self.overloads, self.derived = tuple(own), tuple(derived)
        self._library: Any = torch.library.Library("aten", "IMPL", dispatch_key)
        with warnings.catch_warnings():
            # Replacing PyTorch's own kernels is what the caller asked for; PyTorch warns of each.
            warnings.simplefilter("ignore")
            for func in (*own.values(), *derived.values()):
                self._library.impl(func, self._implementation(func))

    @property
    def stats(self) -> RouteStats:
        """How calls were served since registration, over all threads; see RouteStats."""
        total = RouteStats()
        with self._lock:
            for router in self._routers:
                total.add(router.stats)
        return total

    def close(self) -> None:
        """Take the kernels out of the dispatcher again; whatever the key had before serves it once more."""
        self._library = None
        _registered.pop(self.dispatch_key, None)

    def _implementation(self, func: Any) -> Callable[..., Any]:
        def serve(*args: Any, **kwargs: Any) -> Any:
            return self._router().route(func, args, kwargs)

        return serve

    def _router(self) -> RoutingMode:
        """The calling thread's router: its bookkeeping is not made for several threads (autograd has its own)."""
        router: RoutingMode | None = getattr(self._local, "router", None)
        if router is None:
            router = RoutingMode(self._kernels, composites=frozenset(), decompositions={}, launch_count=self._counter)
            self._local.router = router
            with self._lock:
                self._routers.append(router)
        return router


def register(dispatch_key: str = "PrivateUse1") -> Registration:
    """Register every kernel, and the in-place and ``out=`` forms that follow from them, for ``dispatch_key``.

    Overloads that PyTorch itself composes of others (CompositeImplicitAutograd) are left to PyTorch, so autograd keeps
    working; their parts reach the kernels. The device must bring its own allocations and views. A second call for the
    same key returns the first Registration. Raises ValueError for an unknown key, BackendUnusable for ``CPU`` without
    Triton's interpreter.
    """
    try:
        torch._C._dispatch_key_parse(dispatch_key)
    except RuntimeError:
        raise ValueError(
            f"{dispatch_key!r} is no dispatch key of PyTorch; use PrivateUse1, CUDA, XPU, CPU or another backend's key"
        ) from None
    if dispatch_key in _registered:
        return _registered[dispatch_key]
    if not interpreting() and dispatch_key == "CPU":
        raise BackendUnusable(
            "Triton kernels run on the CPU in its interpreter only; set TRITON_INTERPRET=1 before Python starts"
        )
    _registered[dispatch_key] = Registration(dispatch_key, kernels())
    return _registered[dispatch_key]


def _served(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (own, derived): overload key -> ``OpOverload`` of all that ``found`` serves without a composition."""
    own, derived = {}, {}
    for name in sorted(torch._C._dispatch_get_all_op_names()):
        namespace, _, rest = name.partition("::")
        packet, _, overload = rest.partition(".")
        if namespace != "aten" or torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"):
            continue
        try:
            func = getattr(getattr(torch.ops.aten, packet), overload or "default")
        except AttributeError:  # registered for TorchScript or sparse internals only: Python cannot call it
            continue
        key = overload_key(func)
        if key in found:
            own[key] = func
            continue
        functional = functional_of(func)
        if functional is not None and overload_key(functional) in found and "copy_.default" in found:
            derived[key] = func
    return own, derived
