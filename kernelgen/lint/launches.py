"""Which kernels a wrapper can reach through launches; what they compute is judged elsewhere."""

from __future__ import annotations

import ast

from kernelgen.lint.source import Reporter, Source


def check_launches(
    source: Source, launched: dict[str, set[str]], calls: dict[str, set[str]], reporter: Reporter
) -> None:
    """Report a file without a wrapper, wrappers that reach no launch, and kernels that nothing launches."""
    if not source.wrappers:
        reporter.add("no-wrapper", None, "no function is named <op>__<overload>_kernel_impl")
    used: set[str] = set()
    for name, function in source.wrappers.items():
        reached = _closure({name}, calls)
        kernels = set().union(*(launched.get(item, set()) for item in reached))
        used |= kernels
        if not kernels:
            reporter.add("no-launch", function, f"{name} launches no kernel")
    called = {
        name: {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in source.jit}
        for name, function in source.jit.items()
    }
    for name in sorted(set(source.jit) - _closure(used, called)):
        reporter.add("decoy-kernel", source.jit[name], f"{name} is never launched")


def _closure(start: set[str], edges: dict[str, set[str]]) -> set[str]:
    seen = set(start)
    todo = list(start)
    while todo:
        for name in edges.get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen
