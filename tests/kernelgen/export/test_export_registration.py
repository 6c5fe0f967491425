"""Registered kernels serve a whole process, on the CPU and on a device written in Python; it runs no models."""

from __future__ import annotations

from pathlib import Path

from .helpers import run_alone

_CPU = """
import threading
import torch, mybackend
x = torch.tensor([-1.5, 0.0, 2.0])
registration = mybackend.register("CPU")
assert mybackend.register("CPU") is registration
assert torch.equal(torch.relu(x), torch.tensor([0.0, 0.0, 2.0]))
assert registration.stats.kernel["relu.default"] == 1
total = torch.add(x, x, alpha=2)
assert registration.stats.kernel["add.Tensor"] == 1
x.add_(1.0)
torch.add(x, x, out=total)
stats = registration.stats
assert stats.derived == {"add_.Tensor": 1, "add.out": 1}, stats
assert stats.kernel["copy_.default"] == 2 and stats.launches == 6, stats
weight = torch.nn.Parameter(torch.ones(2, 3))
torch.nn.functional.linear(x[None], weight).sum().backward()
assert registration.stats.kernel["mm.default"] >= 1
counters = [torch.ones(4) for _ in range(4)]
def count(x):
    for _ in range(10):
        x.mul_(2)
threads = [threading.Thread(target=count, args=(counter,)) for counter in counters]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert registration.stats.derived["mul_.Tensor"] == 40
registration.close()
assert all(counter.tolist() == [1024.0] * 4 for counter in counters), counters
assert weight.grad.tolist() == [[-0.5, 1.0, 3.0]] * 2, weight.grad
assert total.tolist() == [-1.0, 2.0, 6.0], total
before = registration.stats
torch.relu(x)
assert registration.stats == before
"""

# A device whose tensors keep their elements where PyTorch's own kernels cannot reach: only launches can compute.
_DEVICE = """
import torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
_setup_privateuseone_for_python_backend("brook")
import mybackend

class Remote(torch.Tensor):
    @staticmethod
    def __new__(cls, raw):
        tensor = torch._C._acc.create_empty_tensor(raw.shape, raw.dtype)
        tensor.__class__ = cls
        return tensor
    def __init__(self, raw):
        self.raw = raw
    def data_ptr(self):
        return self.raw.data_ptr()
    def stride(self, *dim):
        return self.raw.stride(*dim)
    def is_contiguous(self, **options):
        return self.raw.is_contiguous(**options)
    __torch_function__ = torch._C._disabled_torch_function_impl

def allocator(name):
    def allocate(*sizes, **options):
        options = {k: v for k, v in options.items() if k not in ("device", "pin_memory")}
        return Remote(getattr(torch, name)(*sizes, **options))
    return allocate

def view(name):
    return lambda x, *args, **kwargs: Remote(getattr(torch.ops.aten, name)(x.raw, *args, **kwargs))

device = torch.library.Library("aten", "IMPL", "PrivateUse1")
device.impl("empty.memory_format", allocator("empty"))
device.impl("empty_strided", allocator("empty_strided"))
for name in ("expand", "unsqueeze", "view", "as_strided", "t", "permute"):
    device.impl(name, view(name))

def has(name):
    return torch._C._dispatch_has_kernel_for_dispatch_key(name, "PrivateUse1")

assert not has("aten::add.Tensor")
registration = mybackend.register()
assert has("aten::add.Tensor") and has("aten::add_.Tensor") and has("aten::add.out") and has("aten::relu")
assert not has("aten::sin")  # not exported

def remote(x):
    return Remote(x.detach().clone())

torch.manual_seed(0)
linear, x = torch.nn.Linear(3, 4), torch.randn(2, 3)
with torch.no_grad():
    want = torch.softmax(torch.relu(linear(x)), -1) + 1
    hidden = torch.nn.functional.linear(remote(x), remote(linear.weight), remote(linear.bias))
    got = torch.softmax(torch.relu(hidden), -1)
    assert got.device.type == "brook"
    got.add_(remote(torch.ones(4)))
torch.testing.assert_close(got.raw, want)
assert registration.stats.kernel["addmm.default"] == 1
assert registration.stats.derived == {"add_.Tensor": 1}
try:
    torch.sin(remote(x))
except NotImplementedError:
    pass
else:
    raise AssertionError("nothing serves sin on this device")
registration.close()
assert not has("aten::add.Tensor")
"""


def test_the_cpu_key_is_served_on_all_threads_until_closed_without_a_warning(backend: Path, tmp_path: Path) -> None:
    done = run_alone(_CPU, cwd=tmp_path, path=backend.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_device_under_privateuse1_computes_with_the_kernels(backend: Path, tmp_path: Path) -> None:
    done = run_alone(_DEVICE, cwd=tmp_path, path=backend.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_work_is_said_in_one_sentence(backend: Path, tmp_path: Path) -> None:
    code = """
import torch, mybackend
def message(call, kind):
    try:
        call()
    except kind as error:
        print(error)
message(lambda: mybackend.register("Toaster"), ValueError)
message(lambda: mybackend.register("CPU"), mybackend.BackendUnusable)
if not torch.cuda.is_available():
    message(lambda: mybackend.enable().__enter__(), mybackend.BackendUnusable)
import os
os.environ["TRITON_INTERPRET"] = "1"
message(lambda: mybackend.register("CPU"), mybackend.BackendUnusable)
"""
    done = run_alone(code, cwd=tmp_path, path=backend.parent, interpret=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("'Toaster' is no dispatch key of PyTorch")
    assert "set TRITON_INTERPRET=1 before Python starts" in lines[1]
    assert lines[-1].startswith("TRITON_INTERPRET was set after Triton was imported")
