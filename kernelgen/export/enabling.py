"""Serve ordinary PyTorch calls with an exported backend's kernels inside a ``with`` block; registers nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache

from ..runtime.compositions import COMPOSITES, decompositions
from ..runtime.router import RoutingMode
from .kernel_files import ExportedKernels, require_device


@cache
def kernels() -> ExportedKernels:
    """Return the backend's kernels; one mapping for the whole process."""
    return ExportedKernels()


def launch_counter(interpreted: bool) -> Callable[[], int] | None:
    """Return what tells the number of kernel launches so far; None on hardware, where nothing counts them."""
    if not interpreted:
        return None
    from ..runtime.interpreter import LAUNCHES

    return lambda: LAUNCHES.count


@contextlib.contextmanager
def enable() -> Iterator[RoutingMode]:
    """Route every ATen call of the ``with`` block, on tensors of any device that Triton can reach, to these kernels.

    Yields the router; its ``stats`` count how each call was served (``stats.kernel``, ``derived``, ``composite``,
    ``decomposed``, ``free`` for views and allocations, ``missing``). No ATen compute kernel runs inside: a call that
    nothing here serves raises MissingKernel. Raises BackendUnusable when this process cannot run Triton kernels.
    """
    counter = launch_counter(require_device())
    mode = RoutingMode(kernels(), composites=COMPOSITES, decompositions=decompositions(), launch_count=counter)
    with mode:
        yield mode
