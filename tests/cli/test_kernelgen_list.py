"""The catalog as the program lists it, on a few operators recorded for real."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli import kernelgen_list
from cli.kernelgen_list import describe, listing, serving
from kernelgen.catalog.record import record
from kernelgen.synthesis.registry import entries


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return record(["add", "view", "fft.rfft"])


@pytest.fixture(autouse=True)
def _small_catalog(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelgen.catalog.store.catalog", lambda note: small)


def test_a_row_says_what_is_known(small: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in describe(small)}
    assert rows["add"]["family"] == "pointwise"
    assert rows["add"]["samples"] == sum(rows["add"]["dtypes"].values()) > 0
    assert rows["add"]["overloads"]["add.Tensor"] == "synthesis"
    assert set(rows["view"]["overloads"].values()) == {"pytorch"}
    assert rows["view"]["missing"] == []


def test_each_way_of_being_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "kernelgen.synthesis.registry.entries", lambda: dict.fromkeys(["mul.Tensor", "copy_.default"], ())
    )
    kinds = {
        "mul.Tensor": "compute",
        "mul_.Tensor": "compute",
        "mul.out": "compute",
        "view.default": "view",
        "mul.Scalar": "compute",
        "_fft_r2c.default": "compute",
        "no_such_overload.default": "compute",
    }
    assert serving({key: {"kind": kind} for key, kind in kinds.items()}) == {
        "mul.Tensor": "synthesis",
        "mul_.Tensor": "derived",
        "mul.out": "derived",
        "view.default": "pytorch",
        "mul.Scalar": "composition",
        "_fft_r2c.default": "nothing",
        "no_such_overload.default": "nothing",
    }


def test_missing_shows_only_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {key: found for key, found in entries().items() if key != "_fft_r2c.default"}
    monkeypatch.setattr("kernelgen.synthesis.registry.entries", lambda: known)
    found = json.loads(listing("", only_missing=True, details=False, as_json=True))
    assert [row["name"] for row in found["operators"]] == ["fft.rfft"]
    assert found["operators"][0]["missing"] == ["_fft_r2c.default"]
    text = listing("", only_missing=True, details=False, as_json=False)
    assert text.splitlines()[-1].endswith(" 1 served by nothing; 1 operators need one of those")
    assert listing("shape", only_missing=True, details=False, as_json=False) == "no operator matches"


def test_a_family_and_its_details() -> None:
    text = listing("pointwise", only_missing=False, details=True, as_json=False)
    assert "add.Tensor: compute, served by synthesis, PyTorch has a decomposition" in text
    assert "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor" in text
    assert "  | add(input, other" in text
    assert "view" not in {line.split()[0] for line in text.splitlines() if line.strip()}
    assert (
        json.loads(listing("", only_missing=False, details=True, as_json=True))["schema_version"]
        == kernelgen_list.SCHEMA_VERSION
    )
