"""Real compiles through the worker: every kind of kernel, errors with lines, numbers as NVIDIA's tool gives them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from kernelgen.compile import gpu_targets
from kernelgen.compile.gpu_targets import CudaTarget
from kernelgen.compile.resources import amdgcn_resources, cubin_resources
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation
from kernelgen.compile.targets import parse_targets
from sysmith_errors import InputError, InternalFault, MissingPart

SOURCE = Path(__file__).with_name("example_kernels.py").read_text()
LINES = SOURCE.splitlines()
FAST = ("cuda:90", "hip:gfx942")
SLOW = ("cuda:80", "cuda:100")
every_target = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def spec(kernel: str, options: dict[str, int] | None = None, /, **params: Any) -> Specialisation:
    """``x="*fp32"`` is a typed parameter, ``N=[64]`` a constant (in a list to tell it from a type)."""
    return Specialisation.from_json(
        {
            "kernel": kernel,
            "signature": [[name, "constexpr" if isinstance(value, list) else value] for name, value in params.items()],
            "constants": {name: value[0] for name, value in params.items() if isinstance(value, list)},
            "options": options or {},
        }
    )


POINTWISE = spec("pointwise", x="*i1", y="*bf16", n="i32", alpha="fp32", BLOCK=[256], DT=[{"dtype": "fp32"}])
MATMUL = spec("matmul", a="*fp16", b="*fp16", c="*fp32", N=[32])
GOOD = [
    POINTWISE,
    spec("pointwise", x="*fp64", y="*i64", n="i64", alpha="fp32", BLOCK=[64], DT=[{"dtype": "i64"}]),
    spec("reduction", {"num_warps": 2}, x="*fp32", y="*fp32", n="i32", BLOCK=[512]),
    MATMUL,
    spec("sorting", x="*fp32", N=[64]),
    spec("combined", x="*i32", y="*fp32", combine=[{"function": "_affine"}], N=[64]),
    spec("tuned", {"num_warps": 1}, x="*i32", n="i32", N=[16]),
    Specialisation(
        "tupled",
        (("x", "*i32"), ("strides", ("i32", "constexpr")), ("N", "constexpr"), ("shape", "constexpr")),
        (("strides.1", None), ("N", 16), ("shape", {"tuple": [4, 5]})),
    ),
]


def compile_with(child: Any, target: str, *specs: Specialisation, source: str = SOURCE) -> list[CompileResult]:
    pairs = [{"target": target, "specialisation": each.to_json()} for each in specs]
    imported, *answers = child({"source": source, "filename": "k.py", "pairs": pairs})
    assert imported == {"imported": True}
    assert [answer["index"] for answer in answers] == list(range(len(specs)))
    return [CompileResult.from_json(answer["result"]) for answer in answers]


def line_of(text: str) -> int:
    (number,) = [number for number, line in enumerate(LINES, 1) if text in line]
    return number


@pytest.mark.parametrize("target", every_target)
def test_every_kind_of_kernel_compiles(compile_child: Any, target: str) -> None:
    results = compile_with(compile_child, target, *GOOD)
    assert [result.error for result in results] == [""] * len(GOOD)
    assert all(result.ok and result.size > 1000 and len(result.sha256) == 64 for result in results)
    assert {result.artifact for result in results} == {"cubin" if target.startswith("cuda") else "hsaco"}
    assert all(result.registers and result.registers > 1 for result in results)
    assert all(result.spills == 0 for result in results)
    shared = {result.kernel: result.shared_bytes for result in results}
    assert shared["matmul"]
    assert shared["pointwise"] == 0
    assert len({result.sha256 for result in results}) == len(GOOD)


def test_equal_kernels_give_equal_bytes(compile_child: Any) -> None:
    (first,) = compile_with(compile_child, "cuda:90", POINTWISE)
    (again,) = compile_with(compile_child, "cuda:90", POINTWISE, source=SOURCE + "\n# a comment\n")
    assert first.sha256 == again.sha256


def test_importing_the_worker_starts_no_thread(compile_child: Any) -> None:
    assert compile_child.threads == 1


@pytest.mark.parametrize(
    ("specialisation", "place", "reason"),
    [
        (spec("bad_helper", x="*fp32", N=[16]), ("return w.nope()", "_no_such_method"), "nope"),
        (spec("bad_shapes", x="*fp32", N=[16]), ("tl.arange(0, 2 * N)", "bad_shapes"), "16"),
        (spec("refused", x="*i32", N=[16]), ("tl.static_assert", "refused"), "N must be large"),
    ],
    ids=["helper", "shapes", "static_assert"],
)
def test_front_end_errors_name_line_and_function(
    compile_child: Any, specialisation: Specialisation, place: tuple[str, str], reason: str
) -> None:
    (result,) = compile_with(compile_child, "cuda:90", specialisation)
    assert not result.ok
    assert result.error.startswith(f"k.py:{line_of(place[0])} in {place[1]}: ")
    assert reason in result.error
    assert result.error.count("\n") <= 2
    assert "Traceback" not in result.error
    assert (result.artifact, result.size, result.registers) == ("", 0, None)


def test_ptxas_errors_are_trimmed(compile_child: Any) -> None:
    (result,) = compile_with(compile_child, "cuda:90", spec("bad_assembly", x="*i32"))
    assert not result.ok
    assert "no" in result.error
    assert "ptxas" in result.error
    assert len(result.error) < 600, result.error
    assert "Repro" not in result.error
    assert "/tmp" not in result.error


def test_shared_memory_beyond_the_target_is_an_error(compile_child: Any) -> None:
    big = spec("crowded", {"num_stages": 1}, a="*fp32", b="*fp32", c="*fp32", K="i32", N=[128], KB=[256])
    (result,) = compile_with(compile_child, "hip:gfx942", big)
    assert not result.ok
    assert result.shared_bytes is not None
    assert result.shared_bytes > 65536
    assert f"needs {result.shared_bytes} bytes of shared memory" in result.error


def test_what_cannot_be_launched_does_not_pass(compile_child: Any) -> None:
    crowd = spec("reduction", {"num_warps": 32}, x="*fp32", y="*fp32", n="i32", BLOCK=[512])
    (result,) = compile_with(compile_child, "hip:gfx942", crowd)
    assert not result.ok
    assert "2048 threads" in result.error
    foreign = spec("reduction", {"maxnreg": 64}, x="*fp32", y="*fp32", n="i32", BLOCK=[512])
    (result,) = compile_with(compile_child, "hip:gfx942", foreign)
    assert "maxnreg does not exist on hip:gfx942" in result.error
    odd = spec("reduction", {"num_warps": 3}, x="*fp32", y="*fp32", n="i32", BLOCK=[512])
    (result,) = compile_with(compile_child, "cuda:90", odd)
    assert "num_warps must be a power of 2" in result.error


def test_spills_are_counted(compile_child: Any) -> None:
    starved = spec("matmul", {"num_warps": 1, "maxnreg": 32}, a="*fp16", b="*fp16", c="*fp32", N=[64])
    (result,) = compile_with(compile_child, "cuda:90", starved)
    assert result.ok
    assert result.registers == 32
    assert result.spills is not None
    assert result.spills > 100


def test_unknown_kernel_and_wrong_parameters(compile_child: Any) -> None:
    results = compile_with(compile_child, "cuda:90", spec("absent", x="*i32"), spec("refused", y="*i32", N=[1]))
    assert "has no kernel absent" in results[0].error
    assert "has the parameters x, N" in results[1].error


@pytest.mark.parametrize("source", ["import nothing_of_this_name\n", "def (\n", "raise SystemExit(3)\n"])
def test_a_file_that_does_not_import_is_one_answer(compile_child: Any, source: str) -> None:
    pairs = [{"target": "cuda:90", "specialisation": POINTWISE.to_json()}]
    (answer,) = compile_child({"source": source, "filename": "k.py", "pairs": pairs})
    assert answer["imported"] is False
    assert answer["error"].startswith("k.py does not import: ")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["80", "90", "100"])
def test_registers_agree_with_cuobjdump(compile_child: Any, plugin_scratch: Path, arch: str) -> None:
    starved = spec("matmul", {"num_warps": 1, "maxnreg": 40}, a="*fp16", b="*fp16", c="*fp32", N=[64])
    compile_with(compile_child, f"cuda:{arch}", POINTWISE, starved)
    tool = gpu_targets._triton_directory() / "backends" / "nvidia" / "bin" / "cuobjdump"
    compared = 0
    for cubin in (plugin_scratch / "triton").rglob("*.cubin"):
        said = subprocess.run([tool, "-res-usage", cubin], capture_output=True, text=True, check=True).stdout
        numbers = dict(
            part.split(":") for part in said.split("REG:")[1].join(["REG:", ""]).split() if part.count(":") == 1
        )
        found = cubin_resources(cubin.read_bytes())
        assert (found.registers, found.spills) == (int(numbers["REG"]), int(numbers["STACK"]) // 4)
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 200, b"MZ" * 100])
def test_damaged_cubins_give_no_numbers(data: bytes) -> None:
    found = cubin_resources(data)
    assert (found.registers, found.spills) == (None, None)


def test_amdgcn_metadata_is_read() -> None:
    text = "; x\n    .sgpr_count:     18\n    .vgpr_count:     64\n    .vgpr_spill_count: 129\n"
    found = amdgcn_resources(text)
    assert (found.registers, found.spills) == (64, 129)
    assert amdgcn_resources("").registers is None


def test_parse_targets() -> None:
    targets = parse_targets("interpret, cuda:90,hip:gfx942,cuda:90")
    assert [target.name for target in targets] == ["interpret", "cuda:90", "hip:gfx942"]
    assert [target.dialect for target in targets] == ["interpret", "cuda", "hip"]
    assert [target.compiles for target in targets] == [False, True, True]
    assert targets[0].compile(None, POINTWISE).ok  # type: ignore[arg-type]  # it looks at no file


@pytest.mark.parametrize(
    "text", ["", " , ", "cuda", "cuda:91", "cuda:9.0", "hip:mi300", "cpu", "interpret:1", "cuda:90;x"]
)
def test_unknown_targets_say_what_exists(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_targets(text)
    assert "90" in str(caught.value) or "gfx942" in str(caught.value)


def test_no_ptxas_is_a_missing_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_targets, "_triton_directory", lambda: tmp_path)
    monkeypatch.delenv("TRITON_PTXAS_PATH", raising=False)
    for name, tool in (("90", "ptxas"), ("100", "ptxas-blackwell")):
        with pytest.raises(MissingPart, match=f"cuda:{name} needs {tool}, and there is none at"):
            CudaTarget(name).check_available()
    with pytest.raises(MissingPart, match="AMD backend"):
        gpu_targets.HipTarget("gfx942").check_available()


def test_a_ptxas_for_another_machine_is_a_missing_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "ptxas"
    tool.write_bytes(b"\x7fELF for some other machine")
    tool.chmod(0o755)
    monkeypatch.setenv("TRITON_PTXAS_PATH", str(tool))
    with pytest.raises(MissingPart, match="does not run"):
        CudaTarget("90").toolchain()


def test_toolchain_names_versions() -> None:
    text = CudaTarget("90").toolchain()
    assert text.startswith("triton 3.")
    assert "ptxas cuda_" in text


def test_damaged_results_are_refused() -> None:
    good = CompileResult("cuda:90", "k", "0" * 64, ok=True, registers=3)
    assert CompileResult.from_json(good.to_json()) == good
    with pytest.raises(InternalFault):
        CompileResult.from_json({**good.to_json(), "registers": "3"})
    with pytest.raises(InternalFault):
        CompileResult.from_json({"target": "cuda:90"})
