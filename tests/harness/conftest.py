"""Fixtures for the harness: every guarantee is tried in every tier that this machine offers."""

from __future__ import annotations

import pytest

from harness import bubblewrap, landlock, seccomp
from harness.sandbox import Tier


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def tier(request: pytest.FixtureRequest) -> Tier:
    if request.param == "bubblewrap":
        if problem := bubblewrap.problem():
            pytest.skip(problem)
    elif not (landlock.abi() and seccomp.supported()):
        pytest.skip("this kernel offers no landlock, or this processor has no system-call filter")
    return Tier(request.param, "chosen by the test")
