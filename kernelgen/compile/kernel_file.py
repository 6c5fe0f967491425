"""A kernel file imported for compiling, and its jit functions by name; does not check what the code may do."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sysmith_errors import InputError, InternalFault

_MODULE = "sysmith_kernel_under_compilation"


@dataclass(frozen=True)
class KernelFile:
    """An imported kernel file. ``name`` is what messages call it; ``path`` is where it lies while it is compiled."""

    name: str
    path: Path
    module: ModuleType

    @classmethod
    def load(cls, source: str, name: str, directory: Path) -> KernelFile:
        """Write ``source`` into ``directory`` (Triton reads functions back from their file) and import it.

        This runs the file: call it in a sandboxed child only. Raises InputError when the file does not import and
        InternalFault when Triton is in interpreter mode, where nothing can be compiled.
        """
        from triton.language import standard
        from triton.runtime.jit import JITFunction

        if not isinstance(standard.sum, JITFunction):
            raise InternalFault("the compile worker was started with TRITON_INTERPRET set")
        path = directory / "kernel_file.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(_MODULE, path)
        assert spec is not None  # a .py path always has a spec with a loader
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[_MODULE] = module
        try:
            spec.loader.exec_module(module)
        # The file is foreign code: whatever it raises, SystemExit included, means that it does not import.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise InputError(f"{name} does not import: {type(error).__name__}: {str(error)[:300]}") from None
        return cls(name, path, module)

    def function(self, name: str) -> Any:
        """The JITFunction called ``name``, found at module level. Raises InputError."""
        from triton.runtime.jit import JITFunction

        def unwrap(value: Any) -> Any:
            while not isinstance(value, JITFunction) and type(value).__module__.startswith("triton.runtime."):
                value = getattr(value, "fn", None)
            return value

        found = unwrap(getattr(self.module, name, None))
        if isinstance(found, JITFunction) and found.fn.__name__ == name:
            return found
        for value in vars(self.module).values():  # bound under another name
            value = unwrap(value)
            if isinstance(value, JITFunction) and value.fn.__name__ == name:
                return value
        raise InputError(
            f"{self.name} has no kernel {name} at module level",
            mend="Define each @triton.jit function at the top level of the file and give it a name of its own.",
        )

    def functions(self) -> list[Any]:
        """Every JITFunction of the file, helpers included."""
        from triton.runtime.jit import JITFunction

        return [value for value in vars(self.module).values() if isinstance(value, JITFunction)]
