"""What a kernel reaches in its file: enough that equal texts mean equal code, and no more than that."""

from __future__ import annotations

import ast
import builtins

import pytest

from kernelgen.compile.closure import reachable_text
from kernelgen.synthesis.registry import entries, sources

FILE = '''"""One."""

import torch
import triton
import triton.language as tl

SIZE = 4
OTHER = 5


@triton.jit
def helper(x):
    # doubles
    return x * SIZE


@triton.jit
def kernel(x):
    return helper(x)


@triton.jit
def lonely(x):
    return x + OTHER


def wrapper(x):
    return torch.empty_like(x)
'''


def test_helpers_constants_and_imports_count_and_the_rest_does_not() -> None:
    text = reachable_text(FILE, "kernel")
    assert "def helper" in text
    assert "SIZE = 4" in text
    assert "import triton.language as tl" in text
    assert not any(word in text for word in ("OTHER", "lonely", "wrapper"))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("# doubles", "# anything", True),
        ("One", "Two", True),
        ("OTHER = 5", "OTHER = 6", True),
        ("return torch.empty_like(x)", "return x", True),
        ("SIZE = 4", "SIZE = 8", False),
        ("x * SIZE", "x + SIZE", False),
        ("helper(x)\n", "helper(x) + 1\n", False),
        ("import torch", "import torch as t", False),
    ],
)
def test_what_makes_a_difference(old: str, new: str, same: bool) -> None:
    changed = FILE.replace(old, new, 1)
    assert changed != FILE
    assert (reachable_text(changed, "kernel") == reachable_text(FILE, "kernel")) is same


def test_a_name_bound_twice_counts_twice() -> None:
    assert "SIZE = 9" in reachable_text(FILE + "\nSIZE = 9\n", "kernel")


@pytest.mark.parametrize(
    "more",
    [
        "setattr(tl, 'exp', tl.log)\n",
        "OTHER = setattr(tl, 'exp', tl.log)\n",
        "if True:\n    SIZE = 3\n",
        "tl.exp = tl.log\n",
        "def f(x=print(1)):\n    return x\n",
        "@print\ndef f(x):\n    return x\n",
        "class A:\n    pass\n",
        "def broken(:\n",
        "\0",
    ],
)
def test_a_file_that_does_more_than_define_counts_whole(more: str) -> None:
    assert reachable_text(FILE + more, "kernel") == FILE + more


def test_an_unknown_kernel_counts_whole() -> None:
    assert reachable_text(FILE, "absent") == FILE


def test_every_kernel_of_our_own_keeps_all_names_it_uses() -> None:
    shared: dict[str, set[str]] = {}
    for overload in entries():
        text = sources(overload)[0].text
        for function in ast.parse(text).body:
            if not (isinstance(function, ast.FunctionDef) and function.decorator_list):
                continue
            reached = reachable_text(text, function.name)
            assert reached != text, f"{overload}: every file of ours has a wrapper that no kernel reaches"
            shared.setdefault(reached, set()).add(overload)
            assert _unbound(ast.parse(reached)) <= _unbound(ast.parse(text)), f"{overload} {function.name}"
    assert max(map(len, shared.values())) > 20, "the strided copy comes in many files"


def _unbound(module: ast.Module) -> set[str]:
    bound = set(dir(builtins))
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.arg)):
            bound.add(node.name if isinstance(node, ast.FunctionDef) else node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    return {node.id for node in ast.walk(module) if isinstance(node, ast.Name)} - bound
