"""The kernels of an exported backend, each file imported when first called; shipped in it, so it needs torch alone."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..runtime.overloads import function_name

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = __name__.rpartition(".")[0].rpartition(".")[0]


class BackendUnusable(RuntimeError):
    """This process cannot run the kernels; the message says what to change."""


class ExportedKernels(Mapping[str, Callable[..., Any]]):
    """Overload (``add.Tensor``) -> its wrapper, as ``manifest.json`` lists them. Raises KeyError for others."""

    def __init__(self) -> None:
        overloads = json.loads((_ROOT / "manifest.json").read_text(encoding="utf-8"))["overloads"]
        self._files: dict[str, str] = {key: Path(entry["file"]).stem for key, entry in overloads.items()}
        self._ready: dict[str, Callable[..., Any]] = {}

    def __getitem__(self, overload: str) -> Callable[..., Any]:
        ready = self._ready.get(overload)
        if ready is None:
            module = importlib.import_module(f"{_PACKAGE}.kernels.{self._files[overload]}")
            ready = self._ready[overload] = getattr(module, function_name(overload))
        return ready

    def __contains__(self, overload: object) -> bool:
        return overload in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def interpreting() -> bool:
    """Say whether Triton interprets on the CPU, and correct its interpreter where it does (bf16 rounding).

    Raises BackendUnusable when ``TRITON_INTERPRET`` came too late to take effect.
    """
    import triton
    import triton.language as tl

    if not triton.knobs.runtime.interpret:
        return False
    if isinstance(tl.sum, triton.runtime.jit.JITFunction):
        raise BackendUnusable("TRITON_INTERPRET was set after Triton was imported; set it before Python starts")
    from ..runtime import interpreter

    interpreter.install()
    return True


def require_device() -> bool:
    """Return :func:`interpreting`. Raises BackendUnusable when Triton neither interprets nor finds a device."""
    if interpreting():
        return True
    import triton

    try:
        triton.runtime.driver.active.get_current_target()
    except RuntimeError as error:
        raise BackendUnusable(
            f"Triton finds no device to run on ({error}); "
            "set TRITON_INTERPRET=1 before Python starts to run the kernels on the CPU"
        ) from None
    return False
