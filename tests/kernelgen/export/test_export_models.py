"""Plain PyTorch models run on an exported backend without ATen compute and agree with PyTorch; kernels are not timed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .helpers import run_alone, write_backend

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "use_backend.py"

# Everything of ATen that may reach PyTorch itself: it views, allocates or reads sizes. Written out here, and not taken
# from the router, so that a router that let compute through would be noticed.
HARMLESS = {
    *("_unsafe_view", "alias", "as_strided", "detach", "empty", "empty_like", "empty_strided", "expand", "new_empty"),
    *("permute", "promote_types", "resize_", "select", "slice", "split", "squeeze", "t", "transpose", "unsqueeze"),
    *("unfold", "view", "_reshape_alias", "split_with_sizes"),
}

_WATCH = """
import json, runpy
import torch
from torch.utils._python_dispatch import TorchDispatchMode
import mybackend

class Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = set()
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))

models = runpy.run_path(sys.argv[1])["models"]()
report = {}
for name, (model, x) in models.items():
    model.eval().to(getattr(torch, sys.argv[2]))
    x = x.to(getattr(torch, sys.argv[2])) if x.is_floating_point() else x
    with torch.no_grad():
        expected = model(x)
    watch = Watch()
    with torch.set_grad_enabled(sys.argv[3] == "grad"):
        with watch, mybackend.enable() as router:
            result = model(x)
    first, second = (expected[0], result[0]) if isinstance(expected, tuple) else (expected, result)
    report[name] = {
        "error": (first - second).abs().max().item(),
        "scale": first.abs().max().item(),
        "reached": sorted(watch.seen),
        "stats": router.stats.to_json(),
    }
print(json.dumps(report))
"""


def test_the_example_runs_every_model_and_matches_pytorch(backend: Path, tmp_path: Path) -> None:
    code = "import runpy; sys.argv[:] = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = run_alone(code, EXAMPLE, backend, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("two-layer MLP", "convolutional network", "small GPT"):
        assert f"{name}: matches PyTorch" in done.stdout
    calls = [int(n) for n in re.findall(r"(\d+) calls served by kernels", done.stdout)]
    assert len(calls) == 3
    assert min(calls) >= 3
    assert re.findall(r"(\d+) calls unserved", done.stdout) == ["0", "0", "0"]


def test_the_example_says_how_to_call_it(tmp_path: Path) -> None:
    code = "import runpy; sys.argv[:] = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = run_alone(code, EXAMPLE, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: python examples/use_backend.py FOLDER")


@pytest.mark.parametrize(
    ("dtype", "grad", "relative"), [("float32", "grad", 1e-5), ("bfloat16", "no_grad", 0.03)]
)
def test_no_compute_of_pytorch_runs_under_a_model(
    backend: Path, tmp_path: Path, dtype: str, grad: str, relative: float
) -> None:
    done = run_alone(_WATCH, EXAMPLE, dtype, grad, cwd=tmp_path, path=backend.parent)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) == {"two-layer MLP", "convolutional network", "small GPT"}
    for name, found in report.items():
        assert found["stats"]["missing"] == {}, name
        assert found["stats"]["kernel"], name
        assert found["stats"]["launches"] >= sum(found["stats"]["kernel"].values()), name
        assert set(found["reached"]) <= HARMLESS, name
        assert found["error"] <= relative * found["scale"], name
    assert report["small GPT"]["stats"]["kernel"]["_softmax.default"] == 2
    assert report["convolutional network"]["stats"]["kernel"]["convolution.default"] == 2


def test_a_model_that_needs_an_unserved_overload_stops_and_names_it(tmp_path: Path) -> None:
    write_backend(tmp_path / "small", ["addmm.default"])
    code = """
import torch, small
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
try:
    with small.enable() as router:
        model(torch.ones(2, 3))
except small.MissingKernel as error:
    print(error.key, dict(router.stats.missing), dict(router.stats.kernel))
"""
    done = run_alone(code, cwd=tmp_path, path=tmp_path)
    assert done.stdout == "relu.default {'relu.default': 1} {'addmm.default': 1}\n", done.stderr
