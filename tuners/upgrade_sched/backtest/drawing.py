"""Axes, ticks and label places for charts in SVG; it knows neither policies nor predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 470, 330
LEFT, RIGHT, TOP, BOTTOM = 66, 452, 16, 272  # the plot's edges
_COARSE = (
    *((1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (36_000, "10 h")),
    *((86_400, "1 d"), (864_000, "10 d"), (8_640_000, "100 d")),
)
_FINE = (
    *((1, "1 s"), (2, "2 s"), (5, "5 s"), (10, "10 s"), (30, "30 s")),
    *((60, "1 min"), (120, "2 min"), (300, "5 min"), (600, "10 min"), (1800, "30 min")),
    *((3600, "1 h"), (7200, "2 h"), (18_000, "5 h"), (36_000, "10 h"), (86_400, "1 d"), (172_800, "2 d")),
)
_FEWEST_TICKS = 4


@dataclass(frozen=True)
class Axis:
    """A scale from ``low`` to ``high`` onto the pixels ``begin`` to ``end``; ``ticks`` are values with labels."""

    low: float
    high: float
    begin: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of ``value``; what lies outside is put on the edge."""
        low, high, value = (math.log(max(v, 1e-9)) if self.log else v for v in (self.low, self.high, value))
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(self.begin + share * (self.end - self.begin), 2)

    @property
    def places(self) -> list[dict[str, Any]]:
        """Each tick's pixel and label."""
        return [{"at": self.at(value), "text": text} for value, text in self.ticks]


def linear(values: Iterable[float], begin: float, end: float, *, percent: bool = False, zero: bool = True) -> Axis:
    """An axis over ``values`` whose ends are round numbers; from 0 with ``zero``."""
    known = list(values) or [0.0]
    low, high = (0.0 if zero else min(known)), max(known)
    if high - low < 1e-12:
        high = low + 1.0
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    numbers = [n * step for n in range(first, last + 1)]
    ticks = tuple((number, f"{number:.6g}" if high < 1e5 else f"{number / 1000:.6g}k") for number in numbers)
    if percent:
        ticks = tuple((number, f"{100 * number:.4g} %") for number in numbers)
    return Axis(first * step, last * step, begin, end, ticks)


def durations(values: Iterable[float], begin: float, end: float) -> Axis:
    """A logarithmic axis over seconds, a little wider than ``values``."""
    known = [max(value, 1.0) for value in values] or [1.0, 3600.0]
    low, high = min(known) / 1.15, max(known) * 1.15
    ticks = tuple((float(value), text) for value, text in _COARSE if low <= value <= high)
    if len(ticks) < _FEWEST_TICKS:
        ticks = tuple((float(value), text) for value, text in _FINE if low <= value <= high) or ticks
    return Axis(low, high, begin, end, ticks, log=True)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * (1 - 1e-9))


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """The attribute ``points`` of an SVG polyline."""
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def place_labels(marks: Sequence[dict[str, Any]], size: float = 11) -> None:
    """Give each mark that has a ``label`` a place beside it (``label_x``, ``label_y``, ``anchor``) that no label placed
    before it and no mark covers, where there is one; all inside the plot."""
    taken = [(mark["x"] - 5, mark["y"] - 5, mark["x"] + 5, mark["y"] + 5) for mark in marks]
    for own, mark in enumerate(marks):
        if not mark.get("label"):
            continue
        width = 0.58 * size * len(mark["label"])
        best: tuple[int, float, float, tuple[float, float, float, float]] | None = None
        for dx, dy in ((8, -5), (8, 13), (-8 - width, -5), (-8 - width, 13), (8, 26), (8, -18), (-8 - width, 26)):
            x = min(max(mark["x"] + dx, LEFT + 1), RIGHT - width - 1)
            y = min(max(mark["y"] + dy, TOP + size), BOTTOM - 2)
            box = (x, y - size, x + width, y + 2)
            hits = sum(_meet(box, other) for place, other in enumerate(taken) if place != own)
            if best is None or hits < best[0]:
                best = (hits, x, y, box)
        assert best is not None
        mark["label_x"], mark["label_y"] = round(best[1], 1), round(best[2], 1)
        taken.append(best[3])


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
