"""One exported package, shared by the tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .helpers import write_backend


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package named ``mybackend`` with the kernels that the models need."""
    return write_backend(tmp_path_factory.mktemp("exported") / "mybackend")
