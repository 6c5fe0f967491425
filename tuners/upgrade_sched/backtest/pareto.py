"""Which points no other point beats in two figures at once; it knows no policy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.types import Floats


def efficient(points: Floats) -> NDArray[np.bool_]:
    """Which of ``points`` (n x 2, both to be small) are Pareto-efficient: no other is as small in both and smaller in
    one. Equal points are efficient together. Raises ValueError for another shape or for NaN."""
    if points.ndim != 2 or points.shape[1] != 2 or np.isnan(points).any():
        raise ValueError("points are n x 2 numbers")
    order = np.lexsort((points[:, 1], points[:, 0]))
    result = np.zeros(len(points), dtype=bool)
    best, at = np.inf, np.nan  # the smallest second figure so far, and the first figure of the point that has it
    for place in order.tolist():
        first, second = points[place]
        if second < best or (second == best and first == at):
            best, at = second, first
            result[place] = True
    return result
