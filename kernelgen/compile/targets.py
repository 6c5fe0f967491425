"""What a target is, and the ones shipped here: the interpreter, NVIDIA and AMD GPUs; needs no GPU and runs nothing.

A target from outside is a class or function registered in the entry-point group ``sysmith.targets`` under the name
before the colon. It is called with the text after the colon ("" without one) and returns a :class:`Target`:
``acme:v2`` calls the entry point ``acme`` with ``"v2"``. examples/target_plugin is one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar

from kernelgen.compile.kernel_file import KernelFile
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation
from sysmith_errors import InputError

ENTRY_POINT_GROUP = "sysmith.targets"


class Target(ABC):
    """Something kernels are compiled for. ``name`` is what users type; ``dialect`` names the lint pack it adds."""

    compiles: ClassVar[bool] = True  # False: kernels run as they are, and compile() is never called

    def __init__(self, name: str, dialect: str) -> None:
        self.name = name
        self.dialect = dialect

    def check_available(self) -> None:  # noqa: B027  # most targets need nothing: an empty body is the default
        """Raise MissingPart when this machine lacks a tool the target needs. Called once, in the parent."""

    @abstractmethod
    def toolchain(self) -> str:
        """Names and versions of everything that shapes the compiled code: part of the cache's key."""

    @abstractmethod
    def compile(self, kernels: KernelFile, specialisation: Specialisation) -> CompileResult:
        """Compile one specialisation. Runs in a sandboxed child.

        A kernel that does not compile, or does not fit the target, is a result with ``ok`` False and the reason in
        ``error``. Raises nothing for it.
        """


class InterpretTarget(Target):
    """Triton's interpreter on the CPU: there is nothing to compile."""

    compiles = False

    def __init__(self) -> None:
        super().__init__("interpret", "interpret")

    def toolchain(self) -> str:
        """The interpreter needs no tool chain."""
        return "none"

    def compile(self, kernels: KernelFile, specialisation: Specialisation) -> CompileResult:
        """Always succeeds, with no artifact."""
        return CompileResult(self.name, specialisation.kernel, specialisation.key, ok=True)


def parse_targets(text: str) -> list[Target]:
    """Targets from a list such as ``interpret,cuda:90,hip:gfx942``: in that order, each once.

    Raises InputError on an unknown name, naming what exists.
    """
    names = [name.strip() for name in text.split(",")]
    if not any(names):
        raise InputError("--target is empty", mend=_known())
    return [find_target(name) for name in dict.fromkeys(names) if name]


def find_target(name: str) -> Target:
    """The target called ``name``, from here or from a plug-in. Raises InputError."""
    from kernelgen.compile.gpu_targets import CudaTarget, HipTarget  # it imports this module for the base class

    family, _, arch = name.partition(":")
    built_in: dict[str, Callable[[str], Target]] = {"cuda": CudaTarget, "hip": HipTarget}
    if name == "interpret":
        return InterpretTarget()
    if family in built_in:
        return built_in[family](arch)
    for entry in _plugins():
        if entry.name == family:
            return _load(entry, name, arch)
    raise InputError(f"--target: there is no target {name!r}", mend=_known())


def _plugins() -> list[EntryPoint]:
    return sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)


def _load(entry: EntryPoint, name: str, arch: str) -> Target:
    origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    try:
        target = entry.load()(arch)
    except InputError:
        raise
    except Exception as error:  # a plug-in is foreign code: whatever it raises, the user needs one sentence on it
        raise InputError(
            f"--target {name}: the plug-in {origin} failed with {type(error).__name__}: {error}",
            mend="Repair or uninstall it.",
        ) from error
    if not isinstance(target, Target):
        raise InputError(f"--target {name}: the plug-in {origin} returned a {type(target).__name__}, not a Target")
    return target


def _known() -> str:
    from kernelgen.compile.gpu_targets import CUDA_LIMITS, HIP_LIMITS

    names = ["interpret", *(f"cuda:{arch}" for arch in CUDA_LIMITS), *(f"hip:{arch}" for arch in HIP_LIMITS)]
    plugins = [f"{entry.name} (from {entry.dist.name if entry.dist else entry.value})" for entry in _plugins()]
    return f"Targets are {', '.join(names + plugins)}."
