"""Each rule fires on the smallest file that breaks it, and stays silent on the nearest file that does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgen.lint import lint_source, render

HEAD = "import torch\nimport triton\nimport triton.language as tl\nimport math\n"
KERNEL = """
@triton.jit
def _k(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n).to(tl.float32)
    tl.store(o_ptr + offs, x, mask=offs < n)
"""


def wrapper(body: str, *, top: str = "", signature: str = "self, other=None, alpha=1, dim=None") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    run = "    out = torch.empty_like(self)\n    _k[(1,)](self, out, self.numel(), BLOCK=16)\n"
    return f"{HEAD}{top}{KERNEL}\ndef op__default_kernel_impl({signature}):\n{run}{lines}    return out\n"


def kernel(body: str, *, top: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    text = f"\n@triton.jit\ndef _k(x_ptr, o_ptr, n, s, BLOCK: tl.constexpr):\n    i = tl.arange(0, BLOCK)\n{lines}"
    run = "    out = torch.empty_like(self)\n    _k[(1,)](self, out, self.numel(), self.stride(0), BLOCK=16)\n"
    return f"{HEAD}{top}{text}\ndef op__default_kernel_impl(self):\n{run}    return out\n"


def rules(source: str, *severities: str) -> set[str]:
    wanted = severities or ("error",)
    return {finding.rule for finding in lint_source(source).findings if finding.severity in wanted}


BREACHES = {
    "a = torch.add(self, 1)": "aten-function",
    "a = torch.Tensor.add(self, self)": "aten-function",
    "a = torch.zeros(3)": "aten-function",
    "a = torch.empty(3, out=out)": "aten-function",
    "fs = [torch.add]": "aten-alias",
    "t = torch\nout = t.add(self, self)": "aten-alias",
    "a = list(map(torch.neg, [self]))": "aten-alias",
    "a = self.sum()": "aten-method",
    "a = [self, out][0].sum()": "aten-method",
    "a = self.view(-1).contiguous()": "aten-method",
    "a = self.to(torch.float32)": "aten-method",
    "for t in (self, out):\n    t.neg()": "aten-method",
    "a = self.fill_(0)": "aten-method",
    "a = -self": "aten-operator",
    "a = self == out": "aten-operator",
    "a = out[0]": "aten-operator",
    "out[0] = 1": "aten-operator",
    "a = sum([self, out])": "aten-operator",
    "a = max(self, out)": "aten-operator",
    "a = [t * 2 for t in (self, out)]": "aten-operator",
    "a = other.view(-1) + 1": "aten-operator",
    "if isinstance(other, torch.Tensor):\n    out = other * 2": "aten-operator",
    "t = torch.is_tensor(other)\nif t:\n    out = other * 2": "aten-operator",
    "out = other + 1": "aten-operator",
    "g = lambda a: a + 1\nout = g(self)": "lambda",
    "def g(a, b):\n    return a + b\nout = g(self, other)": "aten-operator",
    "a = [out][0]\na += 1": "aten-operator",
    "pair = (self, 1)\na = pair[0] * 2": "aten-operator",
    "a = f'{self}'": "host-bulk-read",
    "a = self.tolist()": "host-bulk-read",
    "a = list(self)": "host-bulk-read",
    "a = [self.select(0, i).item() for i in range(3)]": "host-read-loop",
    "a = dim(self)": "unknown-call",
    "a = [dim][0](self)": "unknown-call",
    "a = undefined_thing": "unknown-name",
    "a = _k(self, out, 1, BLOCK=16)": "kernel-internals",
    "a = _k.fn": "kernel-internals",
    "a = self.data_ptr()": "native-memory",
    "a = self.data": "native-memory",
    "a = id(self)": "native-memory",
    "a = [eval for eval in ()]\nb = eval('1')": "dynamic-code",
    "compile('1', '', 'eval')": "dynamic-code",
    "a = ().__class__": "dunder",
    "a = __builtins__": "dunder",
    "a = self._base": "private-attribute",
    "a = torch._C": "torch-internals",
    "a = self.cuda()": "device-move",
    "a = self.to('cuda')": "device-move",
    "a = self.to(other.device)": "device-move",
    "a = torch.empty(3, device='cuda')": "device-move",
    "torch.manual_seed(0)": "torch-state",
    "with torch.no_grad():\n    pass": "with-block",
    "self.requires_grad = True": "patching",
    "import os": "local-import",
    "yield 1": "coroutine",
    "match self.shape:\n    case (2, 3):\n        pass": "match-statement",
    "print(1)": "print",
    "vars()": "reflection",
    "torch = None": "shadowing",
    "a = triton.jit(dim)": "decorator",
    "dim = '{0.x}'.format(self)": "string-format",
    "a = map(dim, [self])": "unknown-call",
    "out = dict(a=self)['a'] * 2": "aten-operator",
    "out = {**{'a': self}}['a'] + 1": "aten-operator",
    "d = {}\nd['x'] = self\nout = d.get('x') * 2": "aten-operator",
    "out = tuple(zip([self], [out]))[0][0] + 1": "aten-operator",
    "out = (x := self) * 2": "aten-operator",
    "return alpha * other": "aten-operator",
    "_k[(1,)](self, other * 2, 3, BLOCK=16)": "aten-operator",
    "_k[lambda m: (out.copy_(self), 1)](self, out, 3, BLOCK=16)": "aten-method",
    "_k[(1,)](self, out, 3, BLOCK=self)": "kernel-internals",
    "def isinstance(a, b):\n    return False": "shadowing",
}


@pytest.mark.parametrize("body", BREACHES, ids=lambda body: body.replace("\n", "; "))
def test_a_breach_in_a_wrapper_is_named(body: str) -> None:
    assert BREACHES[body] in rules(wrapper(body))


HONEST = [
    "n = alpha * 2 + math.prod(self.shape)",
    "out = self.expand(self.shape).permute(0).unsqueeze(0).view(-1)",
    "if not isinstance(other, torch.Tensor):\n    alpha = other * alpha",
    "if isinstance(other, torch.Tensor):\n    n = other.numel()\nelse:\n    n = other + 1",
    "if isinstance(other, (int, float)):\n    alpha = -other",
    "a = other * 2 if not isinstance(other, torch.Tensor) else other.shape[0]",
    "dims = [d + self.ndim if d < 0 else d for d in dim]\n"
    "shape = tuple(s for d, s in enumerate(self.shape) if d not in dims)",
    "order = sorted(range(self.ndim), key=lambda d: -self.stride(d))\norder.append(1)\norder.sort()",
    "limit = torch.finfo(self.dtype).max\nsize = self.dtype.itemsize * self.element_size()",
    "number = float if alpha else int\nn = number(alpha)",
    "def grid(meta):\n    return (triton.cdiv(out.numel(), meta['BLOCK']),)\n_k[grid](self, out, 3, BLOCK=16)",
    "grid = lambda meta: (triton.cdiv(3, meta['BLOCK']),)\n_k[grid](self, out, 3, BLOCK=16)",
    "if dim is None:\n    dim = list(range(self.dim()))\n"
    "elif isinstance(dim, int):\n    dim = [dim]\ndim = [d % 3 for d in dim]",
    "raise ValueError(f'expected {self.dtype}, got {alpha}')",
    "shape, n = list(self.shape), 1\nfor s in shape[1:]:\n    n *= s\nshape[0] = n",
    "(a, b), c = (self, out), 3\nc = c + 1",
]


@pytest.mark.parametrize("body", HONEST)
def test_honest_wrapper_code_has_no_error(body: str) -> None:
    assert rules(wrapper(body)) == set()


MODULE_BREACHES = {
    "import numpy\n": "import",
    "from . import other\n": "relative-import",
    "from torch import *\n": "star-import",
    "import torch.nn.functional as F\n": "aten-alias",
    "from torch.nn.functional import relu\n": "aten-alias",
    "import subprocess\n": "process",
    "from triton.language.extra import libdevice\n": "libdevice",
    "class A:\n    pass\n": "class",
    "for _i in range(3):\n    pass\n": "module-statement",
    "x = torch.neg\n": "aten-alias",
    "def eval(x):\n    return x\n": "shadowing",
    "def __getattr__(name):\n    return name\n": "dunder",
    "def f(a, b=print('x')):\n    return a\n": "mutable-default",
    "def f(a: print('x')):\n    return a\n": "annotation",
    "@torch.no_grad()\ndef f(a):\n    return a\n": "decorator",
    "_S = []\ndef f(a):\n    s = _S\n    s.append(a)\n": "module-state",
    "_S = {}\ndef f(a):\n    _S['a'] = a\n": "module-state",
    "def f(a, s=[]):\n    s.append(a)\n": "module-state",
    "def f(a):\n    global q\n    q = a\n": "global-state",
    "async def f(a):\n    return a\n": "coroutine",
}


@pytest.mark.parametrize("top", [top for top, rule in MODULE_BREACHES.items() if rule])
def test_a_breach_at_module_level_is_named(top: str) -> None:
    assert MODULE_BREACHES[top] in rules(wrapper("pass", top=top))


KERNEL_BREACHES = {
    "tl.store(o_ptr + i, tl.load(x_ptr + i) * 2)": "bf16-uncast",
    "tl.store(o_ptr + i, tl.exp(tl.load(x_ptr + i)))": "bf16-uncast",
    "tl.store(o_ptr + i, (tl.load(x_ptr + i) + 1).to(tl.float32))": "bf16-uncast",
    "acc = 0.0\nfor k in range(n):\n    acc += tl.load(x_ptr + i)\ntl.store(o_ptr + i, acc)": "bf16-uncast",
    "p = tl.load(x_ptr).to(tl.pointer_type(tl.float32))\ntl.store(o_ptr, tl.load(p))": "pointer-from-memory",
    "tl.store(tl.load(x_ptr), 1.0)": "pointer-from-memory",
    "tl.store(o_ptr + i, torch.neg(x_ptr))": "kernel-torch",
    "tl.device_print('x', i)": "kernel-print",
    "print(i)": "kernel-print",
    "tl.store(o_ptr + i, tl.nonesuch(i))": "tl-name",
    "tl.store(o_ptr + i, tl.inline_asm_elementwise(i))": "tl-name",
    "tl.store(o_ptr + i, tl.extra.cuda.libdevice.tanh(i))": "libdevice",
    "tl.store(o_ptr + i, sorted(i))": "kernel-builtin",
    "tl.store(o_ptr + i, i.data)": "kernel-attribute",
    "tl.store(o_ptr + i, i.handle.data)": "kernel-attribute",
    "d = {1: 2}": "kernel-statement",
    "tl.store(o_ptr + i, op__default_kernel_impl(i))": "kernel-host-call",
    "tl.store(o_ptr + i, i * _C)": "kernel-global",
}


@pytest.mark.parametrize("body", KERNEL_BREACHES)
def test_a_breach_in_a_kernel_is_named(body: str) -> None:
    assert KERNEL_BREACHES[body] in rules(kernel(body, top="_C = 3\n"))


@pytest.mark.parametrize(
    "body",
    [
        "tl.store(o_ptr + i, tl.load(x_ptr + i))",
        "x = tl.load(x_ptr + i).to(tl.float32)\ntl.store(o_ptr + i, (x * _C).to(o_ptr.dtype.element_ty))",
        "at = tl.load(x_ptr + i)\nat = tl.where(at < 0, at + n, at)\ntl.store(o_ptr + i, tl.load(x_ptr + at * s + i))",
        "x = tl.load(x_ptr + i)\ntl.store(o_ptr + i, tl.where(x != x, 0.0, x))",
        "m = tl.load(x_ptr + i) != 0\ntl.store(o_ptr + i, m & (i < n))",
        "p = x_ptr + i\nwhile n > 0:\n    tl.store(o_ptr + i, tl.load(p))\n    p += s\n    n -= 1",
        "tl.static_assert(BLOCK > 0)",
    ],
)
def test_honest_kernel_code_has_no_error(body: str) -> None:
    assert rules(kernel(body, top="_C = tl.constexpr(3.0)\n")) == set()


def test_computing_in_a_decorator_is_named() -> None:
    hook = "@triton.heuristics({'N': lambda args: args['o_ptr'].copy_(args['x_ptr'].neg())})\n"
    assert "aten-method" in rules(wrapper("pass").replace("@triton.jit", hook + "@triton.jit"))
    fine = "@triton.heuristics({'N': lambda args: triton.next_power_of_2(args['n']) * 2})\n"
    assert rules(wrapper("pass").replace("@triton.jit", fine + "@triton.jit")) == set()


def test_computing_behind_a_long_chain_of_helpers_is_named() -> None:
    links = [f"def _h{i}(t):\n    return _h{i + 1}(t)\n" for i in range(20)]
    for order in (links, links[::-1]):
        top = "".join(order) + "def _h20(t):\n    return t\n"
        assert "aten-operator" in rules(wrapper("out = _h0(self) * 2", top=top))
        assert rules(wrapper("out = _h0(self)", top=top)) == set()


def test_a_cast_inside_a_helper_counts() -> None:
    top = "@triton.jit\ndef _sq(a):\n    b = a{cast}\n    return b * b\n"
    body = "tl.store(o_ptr + i, _sq(tl.load(x_ptr + i)))"
    assert rules(kernel(body, top=top.format(cast=".to(tl.float32)"))) == set()
    assert rules(kernel(body, top=top.format(cast=""))) == {"bf16-uncast"}


def test_uncast_is_a_warning_where_the_hardware_computes_bf16() -> None:
    source = kernel("tl.store(o_ptr + i, tl.load(x_ptr + i) * 2)")
    assert lint_source(source, targets=["cuda:90"]).ok
    assert not lint_source(source, targets=["cuda:90", "interpret"]).ok


def test_unlaunched_kernels_and_files_without_wrappers() -> None:
    extra = KERNEL.replace("_k(", "_spare(")
    assert rules(wrapper("pass", top=extra), "warning") == {"decoy-kernel"}
    assert "no-wrapper" in rules(HEAD + KERNEL)
    dead = wrapper("pass").replace("    _k[(1,)]", "    return out\n    _k[(1,)]")
    assert "no-launch" in rules(dead)


def test_exact_sizes_are_a_warning_and_comparing_sizes_is_not() -> None:
    assert rules(wrapper("if self.numel() == 25:\n    pass"), "warning") == {"shape-special-case"}
    assert rules(wrapper("if self.shape == (2, 3):\n    pass"), "warning") == {"shape-special-case"}
    assert rules(wrapper("if self.numel() == 0 or self.shape[0] <= 1024:\n    pass"), "warning") == set()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def f(:\n", "syntax"),
        ("x = 1\0", "syntax"),
        ("# coding: utf-7\n", "encoding"),
        ("x = " + "(" * 5000 + ")" * 5000, None),
        ("x = " + "-" * 60000 + "1", None),
        ("x = 1\n" * 60000, "too-large"),
        ("x = " + "+".join(["1"] * 20000), None),
    ],
    ids=["syntax", "null byte", "encoding", "parentheses", "minus signs", "large", "long sum"],
)
def test_damaged_files_are_findings(text: str, rule: str | None) -> None:
    report = lint_source(text)
    assert not report.ok
    found = {finding.rule for finding in report.errors}
    assert found & ({rule} if rule else {"syntax", "too-large"})


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_any_text_gives_a_report(text: str) -> None:
    report = lint_source(text)
    assert not report.ok
    assert render(report).endswith("info)")


@given(st.lists(st.sampled_from([*BREACHES, *HONEST]), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_any_mix_of_statements_gives_a_report(bodies: list[str]) -> None:
    report = lint_source(wrapper("\n".join(bodies)))
    assert all(finding.line >= 1 and finding.why and finding.mend for finding in report.findings)
