"""For every test: a real network call fails the test that tried it, whoever swallowed the error; no example of
hypothesis has a deadline; the user's own rules play no part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import network_guard

# A busy machine is no failure: what is slow is seen in the durations, not by a deadline for each example.
settings.register_profile("sysmith", deadline=None)
settings.load_profile("sysmith")


@pytest.fixture(scope="session", autouse=True)
def _no_rules_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYSMITH_RULES_DIR", str(tmp_path_factory.mktemp("rules") / "none"))
        yield


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    network_guard.install()
    network_guard.attempts.clear()
    yield
    tried = network_guard.attempts.copy()
    network_guard.attempts.clear()
    assert not tried, f"the test tried to use the network: {tried}"
