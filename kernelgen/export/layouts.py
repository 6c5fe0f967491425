"""The two shapes of an export, as relative paths and bytes; it writes nothing to disk."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kernelgen.export.manifest import Exported, versions
from kernelgen.outcome import OperatorOutcome
from sysmith_errors import InputError

LAYOUTS = ("package", "directory")

_HERE = Path(__file__).parent
_RUNTIME = _HERE.parent / "runtime"
_SERVING_FILES = ("enabling.py", "kernel_files.py", "registering.py")
_TAKEN = frozenset({"torch", "triton", "numpy", *sys.stdlib_module_names})


def check_name(out: Path, layout: str) -> None:
    """Raise InputError when ``layout`` is unknown, or a package could not be imported under the folder's name."""
    if layout not in LAYOUTS:
        raise InputError(f"--layout: {layout!r} is unknown", mend=f"Use {' or '.join(LAYOUTS)}.")
    name = _absolute(out).name
    if layout != "package":
        return
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(
            f"--out {out}: the folder's name {name!r} is no Python module name, so the backend could not be imported",
            mend="Use letters, digits and _ only, not beginning with a digit.",
        )
    if name in _TAKEN:
        raise InputError(
            f"--out {out}: a backend named {name!r} would hide the module of that name", mend="Choose another name."
        )


def paths(layout: str, kernels: Mapping[str, Exported]) -> dict[str, str]:
    """Return overload -> path of its file in the export."""
    if layout == "package":
        return {key: f"kernels/{kernel.stem}.py" for key, kernel in kernels.items()}
    return {key: f"{k.stem}/{k.stem}_implementation_v1.py" for key, k in kernels.items()}


def contents(
    out: Path, layout: str, kernels: Mapping[str, Exported], outcomes: Sequence[OperatorOutcome]
) -> dict[str, bytes]:
    """Return path -> bytes of every file but the manifest. Kernel files are the evaluated texts, byte for byte."""
    values = {
        "package": _absolute(out).name,
        "kernels": len(kernels),
        "versions": versions(),
        "passed": sum(outcome.passed for outcome in outcomes),
        "judged": len(outcomes),
    }
    where = paths(layout, kernels)
    files = {where[key]: kernel.source.text.encode() for key, kernel in kernels.items()}
    files["README.md"] = _render(f"{layout}_readme.md.j2", values)
    if layout == "package":
        files["__init__.py"] = _render("package_init.py.j2", values)
        files["kernels/__init__.py"] = b'"""The kernels, one file for each ATen overload; each stands alone."""\n'
        files["serving/__init__.py"] = b'"""The two ways to use the kernels: a context manager and registration."""\n'
        files |= {f"runtime/{path.name}": path.read_bytes() for path in _RUNTIME.glob("*.py")}
        files |= {f"serving/{name}": (_HERE / name).read_bytes() for name in _SERVING_FILES}
    return files


@cache
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # the output is Python and Markdown, not HTML
    )


def _render(template: str, values: Mapping[str, Any]) -> bytes:
    text: str = _environment().get_template(template).render(**values)
    return text.encode()


def _absolute(out: Path) -> Path:
    """The folder as named, without ``.`` and ``..`` but with its own name even where it is a symbolic link."""
    return out.parent.resolve() / out.name if out.name not in ("", "..") else out.resolve()
