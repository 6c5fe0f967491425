"""Fixtures for the harness: every guarantee is tried in every tier that this machine offers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import bubblewrap, landlock, seccomp
from harness.sandbox import Tier

# The servers of the tests import hostile_entries by its own name, whatever pytest puts on the path.
if (here := str(Path(__file__).parent)) not in sys.path:
    sys.path.insert(0, here)


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def tier(request: pytest.FixtureRequest) -> Tier:
    if request.param == "bubblewrap":
        if problem := bubblewrap.problem():
            pytest.skip(problem)
    elif not (landlock.abi() and seccomp.supported()):
        pytest.skip("this kernel offers no landlock, or this processor has no system-call filter")
    return Tier(request.param, "chosen by the test")
