"""The files of both layouts and what the manifest says of them; models and registration are tested elsewhere."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelgen.export import LAYOUTS, export
from kernelgen.export.layouts import paths
from kernelgen.export.manifest import Exported
from kernelgen.outcome import OperatorOutcome
from kernelgen.runtime.overloads import function_name
from kernelgen.synthesis.entry import KernelSource
from kernelgen.synthesis.registry import sources
from sysmith_errors import InputError, InternalFault

from .helpers import outcome, run_alone, write_backend

_RELU, _ADD, _COPY = "relu.default", "add.Tensor", "copy_.default"
_identifier = st.from_regex(r"_{0,2}[a-z][a-z0-9_]{0,8}", fullmatch=True)


def library(*overloads: str) -> dict[str, tuple[KernelSource, ...]]:
    return {key: sources(key) for key in overloads}


def read_manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_the_directory_layout_holds_the_evaluated_texts_byte_for_byte(tmp_path: Path) -> None:
    folder = write_backend(tmp_path / "some kernels", [_RELU, _ADD, _COPY], "directory")
    names = {_RELU: "relu__default", _ADD: "add__Tensor", _COPY: "copy___default"}
    for key, name in names.items():
        path = folder / name / f"{name}_implementation_v1.py"
        assert path.read_bytes() == sources(key)[0].text.encode()
    assert {p.name for p in folder.iterdir()} == {*names.values(), "manifest.json", "README.md"}


def test_a_harness_can_load_the_directory_layout_and_call_its_kernels(tmp_path: Path) -> None:
    folder = write_backend(tmp_path / "kernels", [_RELU, _ADD], "directory")
    # What such harnesses do: each sub-folder, its first file of the expected name, a function named after the folder.
    code = """
import importlib.util
from pathlib import Path
import torch
for folder in sorted(p for p in Path(sys.argv[1]).iterdir() if p.is_dir()):
    file = sorted(folder.glob(f"{folder.name}_implementation*.py"))[0]
    spec = importlib.util.spec_from_file_location(f"op_{folder.name}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kernel = getattr(module, f"{folder.name}_kernel_impl")
    op, overload = folder.name.split("__")
    reference = getattr(getattr(torch.ops.aten, op), overload)
    arguments = [torch.linspace(-2, 2, 7)] * (2 if op == "add" else 1)
    assert torch.equal(kernel(*arguments), reference(*arguments))
    print(folder.name)
"""
    done = run_alone(code, folder, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("add__Tensor\nrelu__default\n", "")


def test_a_package_needs_no_part_of_sysmith_and_loads_a_kernel_when_first_called(backend: Path, tmp_path: Path) -> None:
    code = """
import torch, mybackend
def loaded():
    return sorted(name for name in sys.modules if name.startswith("mybackend.kernels."))
assert "triton" not in sys.modules and not loaded()
x = torch.tensor([-1.0, 2.0], dtype=torch.bfloat16)
with mybackend.enable() as router:
    y = torch.relu(x)
assert y.tolist() == [0.0, 2.0]
print(loaded(), router.stats.launches)
"""
    done = run_alone(code, cwd=tmp_path, path=backend.parent)
    assert (done.stdout, done.stderr) == ("['mybackend.kernels.relu__default'] 1\n", "")


def test_the_manifest_counts_who_passed_and_failed_with_each_kernel(tmp_path: Path) -> None:
    good, bad = {"cuda:90": True, "hip:gfx942": True}, {"cuda:90": True, "hip:gfx942": False}
    outcomes = [
        outcome("relu", [_RELU], compiled=good),
        outcome("fused", [_RELU, _ADD], compiled=bad, compile_errors={"hip:gfx942": "add.Tensor: too large"}),
        outcome("broken", [_ADD, _COPY], passed=False),
    ]
    assert export(tmp_path / "b", "package", outcomes, library(_RELU, _ADD, _COPY), {"run": "r7"}) == 2
    found = read_manifest(tmp_path / "b")
    assert found["schema_version"] == 1
    assert found["run"] == "r7"
    assert set(found["versions"]) == {"sysmith", "torch", "triton"}
    relu, add = found["overloads"][_RELU], found["overloads"][_ADD]
    assert set(found["overloads"]) == {_RELU, _ADD}, "a kernel that ran in failing operators only is not exported"
    assert (relu["operators_passed"], relu["operators_failed"]) == (["relu", "fused"], [])
    assert (add["operators_passed"], add["operators_failed"]) == (["fused"], ["broken"])
    assert (add["tests_total"], add["tests_passed"]) == (10, 9)
    assert relu["compiled"] == {"cuda:90": True, "hip:gfx942": None}, "another kernel was to blame"
    assert add["compiled"] == {"cuda:90": True, "hip:gfx942": False}
    assert relu["source"] == {"by": "synthesis", "archetype": "pointwise", "variant": "default"}
    assert relu["function"] == "relu__default_kernel_impl"
    assert found["operators"]["broken"]["passed"] is False
    assert found["operators"]["fused"]["overloads"] == [_RELU, _ADD]
    for entry in found["overloads"].values():
        assert hashlib.sha256((tmp_path / "b" / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    written = {p.relative_to(tmp_path / "b").as_posix() for p in (tmp_path / "b").rglob("*") if p.is_file()}
    assert written == {*found["files"], "manifest.json"}


@dataclass(frozen=True)
class _WithVariants(OperatorOutcome):
    variants: Mapping[str, str] = field(default_factory=dict)


def test_the_variant_that_most_operators_passed_with_is_exported(tmp_path: Path) -> None:
    first, second = (KernelSource(_RELU, name, "pointwise", f"# {name}\n") for name in ("plain", "tiled"))
    outcomes = [
        _WithVariants("relu", "any", True, overloads=(_RELU,)),
        *(_WithVariants(name, "any", True, overloads=(_RELU,), variants={_RELU: "tiled"}) for name in ("a", "b")),
        _WithVariants("bad", "any", False, overloads=(_RELU,)),
    ]
    export(tmp_path / "b", "package", outcomes, {_RELU: (first, second)}, {})
    found = read_manifest(tmp_path / "b")["overloads"][_RELU]
    assert (tmp_path / "b" / found["file"]).read_text() == "# tiled\n"
    assert found["source"]["variant"] == "tiled"
    assert found["operators_passed"] == ["a", "b"]
    assert found["operators_failed"] == [], "it failed with the other variant"
    assert found["operators_other_variant"] == ["relu"]


def test_a_run_in_which_nothing_passed_exports_no_kernel(tmp_path: Path) -> None:
    assert export(tmp_path / "b", "package", [outcome("relu", [_RELU], passed=False)], library(_RELU), {}) == 0
    assert read_manifest(tmp_path / "b")["overloads"] == {}


def test_an_outcome_with_an_unknown_kernel_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InternalFault, match=r"relu\.default"):
        export(tmp_path / "b", "package", [outcome("relu", [_RELU])], {}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["my-backend", "2nd", "class", "torch", "json", "a b"])
def test_a_package_that_could_not_be_imported_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="--out") as caught:
        export(tmp_path / name, "package", [], {}, {})
    assert name in caught.value.message
    assert export(tmp_path / name, "directory", [], {}, {}) == 0


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--layout: 'zip' is unknown. Use package or directory"):
        export(tmp_path / "b", "zip", [], {}, {})


@given(st.sets(st.tuples(_identifier, _identifier), max_size=6), st.sampled_from(LAYOUTS))
def test_a_file_is_named_like_the_function_in_it(names: set[tuple[str, str]], layout: str) -> None:
    keys = [f"{op}.{overload}" for op, overload in names]
    kernels = {key: Exported(KernelSource(key, "default", "any", ""), (), ()) for key in keys}
    for key, path in paths(layout, kernels).items():
        stem = function_name(key).removesuffix("_kernel_impl")
        assert Path(path).stem == (stem if layout == "package" else f"{stem}_implementation_v1")
        assert (stem if layout == "directory" else "kernels") == Path(path).parent.name


def test_importing_the_exporter_does_not_import_torch() -> None:
    code = "import sys, kernelgen.export; print({'torch', 'triton', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
