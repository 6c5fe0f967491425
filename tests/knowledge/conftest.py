"""Stores of these tests use the built-in embedding, whatever is installed: a pretrained model takes seconds to load."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def built_in_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.embedding.preferred", lambda: "lsa")
