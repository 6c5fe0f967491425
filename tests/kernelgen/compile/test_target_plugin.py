"""The example plug-in is found through its entry point and judges real compiles, here and in the compile child."""

from __future__ import annotations

import importlib
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernelgen.compile.gpu_targets import CudaTarget
from kernelgen.compile.targets import ENTRY_POINT_GROUP, parse_targets
from sysmith_errors import InputError

from .test_compile_targets import MATMUL, POINTWISE, compile_with, spec

EXAMPLE = Path(__file__).parents[3] / "examples" / "target_plugin"


def lay_down(directory: Path, name: str, version: str, entries: dict[str, str]) -> None:
    """What an installer leaves behind, as far as entry points go."""
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {value}" for key, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINT_GROUP}]", *lines]) + "\n")


@pytest.fixture(scope="module")
def brook(plugin_scratch: Path) -> Iterator[Path]:
    """The example as installed, from its own pyproject.toml, on the path of this process and of the compile child."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    site = plugin_scratch / "plugins"
    lay_down(site, project["name"], project["version"], project["entry-points"][ENTRY_POINT_GROUP])
    shutil.copy(EXAMPLE / "src" / "brook_target.py", site)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield site
    sys.path.remove(str(site))
    sys.modules.pop("brook_target", None)
    for left in site.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


# First, as the plug-in stays once a test has asked for it.
def test_without_the_plugin_there_is_no_such_target() -> None:
    with pytest.raises(InputError, match="no target 'brook:1'"):
        parse_targets("brook:1")


def test_the_entry_point_is_found(brook: Path) -> None:
    (target,) = parse_targets("brook:1")
    assert isinstance(target, CudaTarget)
    assert (target.name, target.dialect, target.max_shared_bytes) == ("brook:1", "cuda", 65536)
    assert target.toolchain() != CudaTarget("90").toolchain()
    with pytest.raises(InputError, match="brook:2 is not known"):
        parse_targets("brook:2")


def test_unknown_targets_name_the_plugin(brook: Path) -> None:
    with pytest.raises(InputError, match=r"brook \(from sysmith-target-brook\)"):
        parse_targets("creek:1")


def test_it_compiles_what_it_can_run(brook: Path, compile_child: Any) -> None:
    own = compile_with(compile_child, "brook:1", POINTWISE, MATMUL)
    assert [(result.ok, result.target, result.artifact) for result in own] == [(True, "brook:1", "cubin")] * 2
    base = compile_with(compile_child, "cuda:90", POINTWISE, MATMUL)
    assert [result.sha256 for result in own] == [result.sha256 for result in base]


def test_it_refuses_fp64(brook: Path, compile_child: Any) -> None:
    params = {"x": "*fp32", "y": "*fp32", "n": "i32", "alpha": "fp32", "BLOCK": [256]}
    inside = spec("pointwise", **params, DT=[{"dtype": "fp64"}])
    (result,) = compile_with(compile_child, "brook:1", inside)
    assert not result.ok
    assert result.error == "pointwise computes in fp64, which brook:1 does not have: cast to fp32"
    (elsewhere,) = compile_with(compile_child, "cuda:90", inside)
    assert elsewhere.ok


def test_it_refuses_more_shared_memory_than_it_has(brook: Path, compile_child: Any) -> None:
    big = spec("crowded", {"num_stages": 1}, a="*fp32", b="*fp32", c="*fp32", K="i32", N=[128], KB=[128])
    own, base = (compile_with(compile_child, name, big)[0] for name in ("brook:1", "cuda:90"))
    assert base.ok, base.error
    assert not own.ok
    assert f"needs {own.shared_bytes} bytes of shared memory, and a block on brook:1 has 65536" in own.error


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def make(arch): return 3", "returned a int, not a Target"),
        (
            "def make(arch): raise RuntimeError('no licence')",
            "the plug-in torn 9.9 failed with RuntimeError: no licence",
        ),
        ("import nothing_of_this_name", "failed with ModuleNotFoundError"),
    ],
)
def test_a_broken_plugin_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    lay_down(tmp_path, "torn", "9.9", {"torn": "torn_target:make"})
    (tmp_path / "torn_target.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torn_target", raising=False)
    with pytest.raises(InputError, match=message):
        parse_targets("torn:1")
    sys.modules.pop("torn_target", None)
