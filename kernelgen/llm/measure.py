"""What can be measured of compiled kernels without a GPU, and when one set of kernels beats another; it times nothing.

Code, registers and launches are not time. So nothing is traded against anything: a candidate beats the incumbent only
if it is better in one number by a margin and worse in none (Pareto). Smaller blocks make every program smaller and need
more of them, so the smallest block counts as well, and there more is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kernelgen.compile.result import CompileResult

MARGIN = 0.02  # names and alignment alone move the size of an artifact by a percent or so
_WARP = 32
_WARPS = 4  # Triton's default
_SMALLEST_BLOCK = 16  # smaller powers of two among the constants are numbers of dimensions and the like
_MORE_IS_BETTER = "elements of the smallest block"


@dataclass(frozen=True)
class Measure:
    """``launches``: kernel launches over all samples under the interpreter. ``block``: the smallest product of block
    sizes (the powers of two from 16 on among a launch's constants; 1 where there are none).

    By target, over all that was compiled for it: ``code_bytes`` (artifacts, added up), ``spills`` (32-bit values of a
    thread, added up), ``registers`` (32-bit registers of all threads of a program, the largest), ``shared_bytes`` (of a
    program, the largest).
    """

    launches: int
    block: int = 1
    code_bytes: Mapping[str, int] = field(default_factory=dict)
    spills: Mapping[str, int] = field(default_factory=dict)
    registers: Mapping[str, int] = field(default_factory=dict)
    shared_bytes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measure:
        """Read :meth:`to_json`."""
        return cls(**data)

    def named(self) -> dict[str, int]:
        """Every number with its name."""
        numbers = {"launches": self.launches, _MORE_IS_BETTER: self.block}
        for name in ("code_bytes", "spills", "registers", "shared_bytes"):
            for target, value in sorted(getattr(self, name).items()):
                numbers[f"{name.replace('_', ' ')} for {target}"] = value
        return numbers


def measure(
    metrics: Mapping[str, Any],
    results: Iterable[CompileResult],
    launched: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
) -> Measure:
    """Measure an operator that passed: from its verdict's metrics, what was compiled for it, and what was ``launched``
    (overload -> specialisations as JSON)."""
    from kernelgen.compile.specialisation import Specialisation

    made = [Specialisation.from_json(item) for items in (launched or {}).values() for item in items]
    warps = {one.key: dict(one.options).get("num_warps", _WARPS) for one in made}
    by_target: dict[str, list[CompileResult]] = {}
    for result in results:
        by_target.setdefault(result.target, []).append(result)
    threads = {key: _WARP * number for key, number in warps.items() if isinstance(number, int)}

    def largest(name: str, factor: Mapping[str, int]) -> dict[str, int]:
        return {
            target: max(known)
            for target, found in by_target.items()
            if (
                known := [
                    value * factor.get(one.specialisation, 1)
                    for one in found
                    if (value := getattr(one, name)) is not None
                ]
            )
        }

    return Measure(
        int(metrics.get("stats", {}).get("launches", 0)),
        min((_block(dict(one.constants)) for one in made), default=1),
        {target: sum(result.size for result in found) for target, found in by_target.items()},
        {target: sum(result.spills or 0 for result in found) for target, found in by_target.items()},
        largest("registers", threads),
        largest("shared_bytes", {}),
    )


def _block(constants: Mapping[str, Any]) -> int:
    sizes = [value for value in constants.values() if type(value) is int and value >= _SMALLEST_BLOCK]
    return math.prod(size for size in sizes if size & (size - 1) == 0)


def compared(own: Measure, incumbent: Measure) -> tuple[float, str]:
    """Return (objective, in words). The objective is below 1 only if ``own`` beats ``incumbent``: then it is the
    geometric mean of the ratios of all numbers; else it is the worst ratio, at least 1."""
    mine, theirs = own.named(), incumbent.named()
    ratios = {name: (mine[name] + 1) / (theirs[name] + 1) for name in mine if name in theirs}
    ratios[_MORE_IS_BETTER] = 1 / ratios[_MORE_IS_BETTER]
    moved = [f"{name} {theirs[name]} -> {mine[name]}" for name in ratios if mine[name] != theirs[name]]
    words = "; ".join(moved) or "nothing changed"
    worst = max(ratios.values())
    # Larger blocks alone are another launch of the same kernel, so they count against a loss only.
    gained = min((ratio for name, ratio in ratios.items() if name != _MORE_IS_BETTER), default=1.0)
    if worst > 1 or gained > 1 - MARGIN:
        return max(1.0, worst), f"not better than the incumbent: {words}"
    kept = [ratio for name, ratio in ratios.items() if name != _MORE_IS_BETTER]
    return math.exp(sum(map(math.log, kept)) / len(kept)), f"better than the incumbent: {words}"
