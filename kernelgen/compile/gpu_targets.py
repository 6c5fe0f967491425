"""The GPU targets that Triton itself compiles for; finding kernels and caching results is done elsewhere."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from kernelgen.compile.diagnostics import captured_output, explain, read_captured
from kernelgen.compile.encoding import decode_constant
from kernelgen.compile.kernel_file import KernelFile
from kernelgen.compile.resources import Resources, amdgcn_resources, cubin_resources
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation, constant_places
from kernelgen.compile.targets import Target
from sysmith_errors import InputError, MissingPart, SysmithError

_KIB = 1024
# Shared memory one block may ask for, in bytes: "Technical Specifications per Compute Capability" of the CUDA C++
# Programming Guide, and the LDS size of a work group in LLVM's AMDGPU user guide. The compilers do not check it.
CUDA_LIMITS: dict[str, int] = {
    "75": 64 * _KIB,
    "80": 163 * _KIB,
    "86": 99 * _KIB,
    "87": 163 * _KIB,
    "89": 99 * _KIB,
    "90": 227 * _KIB,
    "100": 227 * _KIB,
    "103": 227 * _KIB,
    "120": 99 * _KIB,
}
HIP_LIMITS: dict[str, int] = {
    "gfx90a": 64 * _KIB,
    "gfx942": 64 * _KIB,
    "gfx950": 160 * _KIB,
    "gfx1100": 64 * _KIB,
    "gfx1200": 64 * _KIB,
}
_MAX_THREADS = 1024  # threads of one block, on every GPU listed
_TENSOR_MEMORY_COLUMNS = 512  # of one multiprocessor, compute capability 10.x


class GpuTarget(Target):
    """A target that Triton compiles for. Subclass it, or a subclass, to add constraints in :meth:`objection`."""

    artifact: ClassVar[str]

    def __init__(self, name: str, dialect: str, *, warp_size: int, max_shared_bytes: int) -> None:
        super().__init__(name, dialect)
        self.warp_size = warp_size
        self.max_shared_bytes = max_shared_bytes

    @abstractmethod
    def gpu(self) -> Any:
        """The ``triton.backends.compiler.GPUTarget`` to compile for."""

    @abstractmethod
    def resources(self, asm: Mapping[str, Any]) -> Resources:
        """Registers and spills, from what each stage of the compiler gave (stage name to text or bytes)."""

    def objection(self, specialisation: Specialisation, asm: Mapping[str, Any], result: CompileResult) -> str:
        """Why compiled code cannot run on this target, or "". ``asm`` maps ``ttir``, ``ttgir``, ... to their text."""
        if result.shared_bytes is not None and result.shared_bytes > self.max_shared_bytes:
            return (
                f"needs {result.shared_bytes} bytes of shared memory, and a block on {self.name} has "
                f"{self.max_shared_bytes}: use smaller blocks or fewer stages"
            )
        threads = dict(specialisation.options).get("num_warps", 4) * self.warp_size
        if threads > _MAX_THREADS:
            return f"asks for {threads} threads in a block, and {self.name} has {_MAX_THREADS}: use fewer warps"
        return ""

    def compile(self, kernels: KernelFile, specialisation: Specialisation) -> CompileResult:
        """Compile with Triton's ahead-of-time entry point; see :meth:`Target.compile`."""
        started = time.perf_counter()
        result = CompileResult(self.name, specialisation.kernel, specialisation.key, ok=False)
        with captured_output() as sink:
            try:
                result = self._compile(kernels, specialisation, result)
            except SysmithError as error:
                result = dataclasses.replace(result, error=str(error))
            # Triton raises whatever its front end, its passes and foreign kernel code raise: each is a failed compile.
            except Exception as error:
                result = dataclasses.replace(
                    result, error=explain(error, read_captured(sink), kernels, specialisation.kernel)
                )
        return dataclasses.replace(result, seconds=round(time.perf_counter() - started, 4))

    def _compile(self, kernels: KernelFile, specialisation: Specialisation, result: CompileResult) -> CompileResult:
        import triton
        from triton.compiler import ASTSource, make_backend

        function = kernels.function(specialisation.kernel)
        signature = dict(specialisation.signature)
        if list(signature) != list(function.arg_names):
            raise InputError(
                f"{kernels.name}: {specialisation.kernel} has the parameters {', '.join(function.arg_names)}, "
                f"and was launched with {', '.join(signature)}"
            )
        source = ASTSource(function, signature, constexprs=_constants(kernels, specialisation))
        gpu, options = self.gpu(), dict(specialisation.options)
        # Triton reads the options it knows and only its launcher refuses the rest: refuse them here as it would.
        known = vars(make_backend(gpu).parse_options(options))
        if unknown := [name for name in options if name not in known]:
            return dataclasses.replace(result, error=f"the launch option {unknown[0]} does not exist on {self.name}")
        compiled = triton.compile(source, target=gpu, options=options)
        code = compiled.asm[self.artifact]
        usage = self.resources(compiled.asm)
        result = dataclasses.replace(
            result,
            ok=True,
            artifact=self.artifact,
            size=len(code),
            sha256=hashlib.sha256(code).hexdigest(),
            registers=usage.registers,
            spills=usage.spills,
            shared_bytes=int(compiled.metadata.shared),
        )
        objection = self.objection(specialisation, compiled.asm, result)
        columns = getattr(compiled.metadata, "tmem_size", None) or 0
        if not objection and columns > _TENSOR_MEMORY_COLUMNS:
            objection = f"needs {columns} columns of tensor memory, and {self.name} has {_TENSOR_MEMORY_COLUMNS}"
        if objection:
            return dataclasses.replace(result, ok=False, error=f"{specialisation.kernel} {objection}")
        return result


class CudaTarget(GpuTarget):
    """An NVIDIA GPU by compute capability without its dot: ``CudaTarget("90")``."""

    artifact = "cubin"

    def __init__(self, arch: str) -> None:
        """Raises InputError for a compute capability that is not listed."""
        if arch not in CUDA_LIMITS:
            raise InputError(f"--target: cuda:{arch} is not known", mend=f"After cuda: comes {_either(CUDA_LIMITS)}.")
        super().__init__(f"cuda:{arch}", "cuda", warp_size=32, max_shared_bytes=CUDA_LIMITS[arch])
        self.arch = int(arch)

    def check_available(self) -> None:
        """Raise MissingPart when there is no ptxas."""
        self._ptxas()

    def toolchain(self) -> str:
        """Versions of Triton and ptxas. Raises MissingPart when there is no ptxas."""
        return f"{_triton_version()}; ptxas {_ptxas_version(self._ptxas())}"

    def gpu(self) -> Any:
        """See the base class."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.arch, 32)

    def resources(self, asm: Mapping[str, Any]) -> Resources:
        """See the base class."""
        return cubin_resources(asm["cubin"])

    def _ptxas(self) -> Path:
        # The names and the order are Triton's own: a variable first, then what its package ships.
        tool = "ptxas-blackwell" if self.arch >= 100 else "ptxas"
        variable = f"TRITON_{tool.upper().replace('-', '_')}_PATH"
        chosen = os.environ.get(variable)
        path = Path(chosen) if chosen else _triton_directory() / "backends" / "nvidia" / "bin" / tool
        if not os.access(path, os.X_OK):
            raise MissingPart(
                f"--target {self.name} needs {tool}, and there is none at {path}",
                mend=f"Install a triton wheel that ships it, set {variable} to one, or leave {self.name} out.",
            )
        return path


class HipTarget(GpuTarget):
    """An AMD GPU by its LLVM name: ``HipTarget("gfx942")``."""

    artifact = "hsaco"

    def __init__(self, arch: str) -> None:
        """Raises InputError for an architecture that is not listed."""
        if arch not in HIP_LIMITS:
            raise InputError(f"--target: hip:{arch} is not known", mend=f"After hip: comes {_either(HIP_LIMITS)}.")
        warp_size = 64 if arch.startswith("gfx9") else 32
        super().__init__(f"hip:{arch}", "hip", warp_size=warp_size, max_shared_bytes=HIP_LIMITS[arch])
        self.arch = arch

    def check_available(self) -> None:
        """Raise MissingPart when Triton was built without its AMD backend."""
        if not (_triton_directory() / "backends" / "amd" / "lib").is_dir():
            raise MissingPart(
                f"--target {self.name} needs Triton's AMD backend, and the installed triton has none",
                mend=f"Install a triton wheel that has it, or leave {self.name} out.",
            )

    def toolchain(self) -> str:
        """The assembler and linker are inside Triton, so its version says it all."""
        return _triton_version()

    def gpu(self) -> Any:
        """See the base class."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("hip", self.arch, self.warp_size)

    def resources(self, asm: Mapping[str, Any]) -> Resources:
        """See the base class."""
        return amdgcn_resources(asm["amdgcn"])


def _constants(kernels: KernelFile, specialisation: Specialisation) -> dict[tuple[int, ...], object]:
    """Constants by their path in the parameter list, as Triton wants them."""
    import triton.language as tl

    values = dict(specialisation.constants)
    found: dict[tuple[int, ...], object] = {}
    for position, (name, kind) in enumerate(specialisation.signature):
        for place in constant_places(name, kind):
            path = (position, *map(int, place.split(".")[1:]))
            found[path] = decode_constant(
                values[place],
                dtype=lambda short: tl.str_to_ty(short, None),
                function=kernels.function,
            )
    return found


@functools.cache
def _triton_directory() -> Path:
    spec = importlib.util.find_spec("triton")  # finds it without importing it
    if spec is None or not spec.submodule_search_locations:
        raise MissingPart("triton is not installed", mend="Install Sysmith with its dependencies.")
    return Path(spec.submodule_search_locations[0])


def _triton_version() -> str:
    return f"triton {importlib.metadata.version('triton')}"


@functools.cache
def _ptxas_version(path: Path) -> str:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingPart(f"{path} does not run: {error}", mend="Install a ptxas for this machine.") from None
    return answer.split()[-1] if answer.split() else "unknown"  # the build, such as cuda_12.8.r12.8/compiler.35583870_0


def _either(names: Mapping[str, int]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
