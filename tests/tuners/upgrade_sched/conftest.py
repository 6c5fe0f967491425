"""One small backtest with a sweep, run once for all tests that read its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuners.upgrade_sched.backtest.blocks import Setup
from tuners.upgrade_sched.backtest.run import Backtest, Request, open_run
from tuners.upgrade_sched.types import History

from .made import history

SWEPT_SETUP = Setup(window_s=7200.0, slots=2, loads=(1.5, 3.0), splits=2, most_windows=12, families=("history", "bins"))
SWEPT = Request(SWEPT_SETUP, ("cutoff:60", "median-5", "oracle"), trials=1, cost_ratios=(1.0, 9.0))


@pytest.fixture(scope="session")
def swept_history() -> History:
    return history(900, censored=0.05)


@pytest.fixture(scope="session")
def swept_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("swept")


@pytest.fixture(scope="session")
def swept(swept_history: History, swept_state: Path) -> dict[str, Any]:
    with open_run(SWEPT, swept_history, swept_state, None) as folder:
        return Backtest(SWEPT, swept_history, folder, swept_state).run()
