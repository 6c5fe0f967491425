"""Exported packages, shared by the tests that only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelgen.synthesis.registry import entries

from .helpers import FEW, write_backend


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package named ``mybackend`` with the few kernels that the registration tests call."""
    return write_backend(tmp_path_factory.mktemp("few") / "mybackend", FEW)


@pytest.fixture(scope="session")
def whole_backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package named ``mybackend`` with every kernel that synthesis has."""
    return write_backend(tmp_path_factory.mktemp("whole") / "mybackend", list(entries()))
