"""The predictors a policy is compared with, by name; each gives one number for an upgrade and learns no risk.

``cutoff:M``        every upgrade is taken to last M minutes
``timeout:M``       as cutoff:M, and what runs longer than M minutes is killed
``per-type-mean``   the mean of its type so far
``median-N``        the median of the last N of the finest key known
``p95``             the 95th percentile of the last 40 of the finest key known
``squared-error``   boosted trees fitted to squared error (xgboost)
``oracle``          the true duration: what no predictor can beat
"""

from __future__ import annotations

import numpy as np

from sysmith_errors import InputError
from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.policies import PointPolicy
from tuners.upgrade_sched.durations.boosted import Squared
from tuners.upgrade_sched.durations.recent import point_history, type_mean

DEFAULT = "cutoff:60,per-type-mean,median-10,squared-error,oracle"
_NAMES = "cutoff:MINUTES, timeout:MINUTES, per-type-mean, median-N, p95, squared-error, oracle"


def parse_baselines(text: str) -> tuple[str, ...]:
    """The names in ``text``, commas between. Raises InputError for one that does not exist."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        head, _, number = name.partition(":")
        if head in ("cutoff", "timeout"):
            good = _positive(number)
        elif name.startswith("median-"):
            good = name[7:].isdigit() and 1 <= int(name[7:]) <= 1000
        else:
            good = name in ("per-type-mean", "p95", "squared-error", "oracle")
        if not good:
            raise InputError(f"--baselines: {name!r} is no baseline", mend=f"Choose from {_NAMES}.")
    if not names:
        raise InputError("--baselines is empty", mend=f"Choose from {_NAMES}.")
    return names


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < 1e6
    except ValueError:
        return False


def baseline_policy(name: str, blocks: Blocks, block: int, load: float, lean: float) -> PointPolicy:
    """The baseline ``name`` as a policy for one block and load, ranking with ``lean`` as the learned policy does."""
    query = blocks.query(block, load)
    head, _, number = name.partition(":")
    if head in ("cutoff", "timeout"):
        seconds = float(number) * 60
        constant = np.full(len(query.rows), seconds)
        return PointPolicy(constant, lean, seconds if head == "timeout" else np.inf)
    if name == "per-type-mean":
        return PointPolicy(type_mean(query), lean)
    if name.startswith("median-"):
        return PointPolicy(point_history(query, "median", int(name[7:])), lean)
    if name == "p95":
        return PointPolicy(point_history(query, "p95"), lean)
    if name == "oracle":
        return PointPolicy(blocks.demand(block, load).duration_s, lean)
    model = blocks.fitted(block).families.get("squared")
    # With too few records to grow trees on, the mean of the type is what squared error would give.
    predicted = np.maximum(model.scores(query), 0.0) if isinstance(model, Squared) else type_mean(query)
    return PointPolicy(predicted, lean)
