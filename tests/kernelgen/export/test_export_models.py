"""Plain PyTorch models run on an exported backend without ATen compute and agree with PyTorch; it times nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
from torch.utils._pytree import tree_leaves
import mybackend

class Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = set()
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        # A call on tensors without elements checks arguments and computes nothing.
        if kwargs.get("device") != torch.device("meta") and not any(x.is_meta for x in tensors):
            self.seen.add(func.overloadpacket.__name__)
        return func(*args, **kwargs)

report = {}
for dtype, grad in (("float32", True), ("bfloat16", False)):
    for name, (model, x) in runpy.run_path(sys.argv[1])["models"]().items():
        model.eval().to(getattr(torch, dtype))
        x = x.to(getattr(torch, dtype)) if x.is_floating_point() else x
        with torch.no_grad():
            expected = model(x)
        watch = Watch()
        with torch.set_grad_enabled(grad), watch, mybackend.enable() as router:
            result = model(x)
        first, second = (expected[0], result[0]) if isinstance(expected, tuple) else (expected, result)
        assert second.requires_grad == grad
        report[f"{name} {dtype}"] = {
            "error": (first - second).abs().max().item(),
            "scale": first.abs().max().item(),
            "reached": sorted(watch.seen),
            "stats": router.stats.to_json(),
        }
print(json.dumps(report))
"""

# The largest difference allowed, relative to the largest result: some dozen roundings of each type.
RELATIVE = {"float32": 1e-5, "bfloat16": 0.03}


def test_the_example_runs_every_model_and_matches_pytorch(whole_backend: Path, tmp_path: Path) -> None:
    code = "import runpy; sys.argv[:] = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = run_alone(code, EXAMPLE, whole_backend, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("two-layer MLP", "convolutional network", "small GPT"):
        assert f"{name}: matches PyTorch" in done.stdout
    calls = [int(n) for n in re.findall(r"(\d+) calls served by kernels", done.stdout)]
    assert len(calls) == 3
    assert min(calls) >= 3
    assert re.findall(r"(\d+) calls unserved", done.stdout) == ["0", "0", "0"]


def test_no_compute_of_pytorch_runs_under_a_model(whole_backend: Path, tmp_path: Path) -> None:
    done = run_alone(_WATCH, EXAMPLE, cwd=tmp_path, path=whole_backend.parent)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    names = ("two-layer MLP", "convolutional network", "small GPT")
    assert set(report) == {f"{name} {dtype}" for name in names for dtype in RELATIVE}
    for name, found in report.items():
        assert found["stats"]["missing"] == {}, name
        assert found["stats"]["kernel"], name
        assert found["stats"]["launches"] >= sum(found["stats"]["kernel"].values()), name
        assert set(found["reached"]) - HARMLESS == set(), name
        assert found["error"] <= RELATIVE[name.split()[-1]] * found["scale"], name
    assert report["small GPT float32"]["stats"]["kernel"]["_softmax.default"] == 2
    assert report["convolutional network float32"]["stats"]["kernel"]["convolution.default"] == 2


def test_a_model_that_needs_an_unserved_overload_stops_and_names_it(tmp_path: Path) -> None:
    write_backend(tmp_path / "small", ["addmm.default"])
    code = """
import torch, small
model = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.Conv1d(2, 3, 3))
x = torch.ones(2, 6)
try:
    with small.enable() as router:
        model(x)
except small.MissingKernel as error:
    print(error.key, dict(router.stats.missing), dict(router.stats.kernel))
"""
    done = run_alone(code, cwd=tmp_path, path=tmp_path)
    assert done.stdout == "convolution.default {'convolution.default': 1} {'addmm.default': 1}\n", done.stderr
