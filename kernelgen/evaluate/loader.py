"""Turn kernel source texts into callable wrappers, each file executed only when first needed; judges nothing."""

from __future__ import annotations

import linecache
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kernelgen.runtime.overloads import function_name


def overload_of_file(filename: str) -> str:
    """Return the label that :func:`load_source` gave a file of this name."""
    return filename.removeprefix("<kernel ").removesuffix(">")


def load_source(text: str, label: str) -> types.ModuleType:
    """Execute a kernel file's text as a module named after ``label``. Raises whatever the file raises."""
    filename = f"<kernel {label}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = types.ModuleType("kernel_" + "".join(c if c.isalnum() else "_" for c in label))
    module.__file__ = filename
    exec(compile(text, filename, "exec"), module.__dict__)
    return module


class LazyKernels(Mapping[str, Callable[..., Any]]):
    """Overload -> wrapper over source texts; a text may serve several overloads."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = dict(sources)
        self._modules: dict[str, types.ModuleType] = {}
        self._ready: dict[str, Callable[..., Any]] = {}

    def __getitem__(self, overload: str) -> Callable[..., Any]:
        ready = self._ready.get(overload)
        if ready is None:
            text = self._sources[overload]
            module = self._modules.get(text)
            if module is None:
                module = self._modules[text] = load_source(text, overload)
            ready = self._ready[overload] = getattr(module, function_name(overload))
        return ready

    def __contains__(self, overload: object) -> bool:
        return overload in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def used(self) -> dict[str, str]:
        """Return overload -> source text for those that were called at least once."""
        return {name: self._sources[name] for name in self._ready}
