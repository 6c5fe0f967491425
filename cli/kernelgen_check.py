"""The result of ``sysmith kernelgen check`` as text; it judges nothing."""

from __future__ import annotations

from kernelgen.check import CheckResult
from kernelgen.lint import render as render_lint


def render(result: CheckResult) -> str:
    """Return the lines a person reads: lint, samples by dtype, compile by target, and the verdict last."""
    lines = [render_lint(result.lint)]
    verdict = result.verdict
    if verdict is not None:
        lines.append(f"tests: {verdict.passed_tests} of {verdict.total} samples of {result.op} pass ({verdict.tier})")
        lines += [f"  {dtype}: {score.passed} of {score.total}" for dtype, score in verdict.scores.items()]
        lines.append(f"second calls: {verdict.replays[0]} of {verdict.replays[1]}")
        lines.append(f"kernels of the file that ran: {', '.join(result.called) or 'none'}")
        if result.library:
            lines.append(f"other overloads: {', '.join(result.library)}")
    for target, ok in result.compiled.items():
        used = [r for r in result.resources if r["target"] == target and r["ok"]]
        registers = max((r["registers"] or 0 for r in used), default=0)
        spills = max((r["spills"] or 0 for r in used), default=0)
        shared = max((r["shared_bytes"] or 0 for r in used), default=0)
        most = (
            f": {len(used)} kernels, at most {registers} registers, {spills} spills, {shared} bytes shared"
            if ok
            else ""
        )
        lines.append(f"compile {target}: {'ok' if ok else 'FAILED ' + result.compile_errors.get(target, '')}{most}")
    if result.passed:
        lines.append(f"{result.file}: passed")
    else:
        caught = f" [{verdict.catch}]" if verdict is not None and verdict.catch else ""
        lines.append(f"{result.file}: rejected{caught}: {result.reason}")
    return "\n".join(lines)
