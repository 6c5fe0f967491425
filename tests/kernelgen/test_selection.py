"""--ops and --dtypes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelgen.selection import DTYPES, REFERENCE_DTYPES, parse_dtypes, select
from sysmith_errors import InputError

FAMILIES = {"add": "pointwise", "mul": "pointwise", "sum": "reduction", "linalg.inv": "linalg", "linalg.det": "linalg"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", list(FAMILIES)),
        ("sum,add", ["add", "sum"]),
        ("add, add", ["add"]),
        ("family:linalg", ["linalg.inv", "linalg.det"]),
        ("linalg.*,add", ["add", "linalg.inv", "linalg.det"]),
        ("reference", ["mul", "sum"]),
    ],
)
def test_select(text: str, names: list[str]) -> None:
    assert select(text, FAMILIES, ["mul", "sum", "gone"]) == names


def test_select_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("# mine\nsum\n\nfamily:linalg\n")
    assert select(f"@{path}", FAMILIES, []) == ["sum", "linalg.inv", "linalg.det"]


@pytest.mark.parametrize("text", ["", ",", "nope", "family:nope", "nope.*", "@/does/not/exist"])
def test_bad_selection_is_one_sentence_with_a_mend(text: str) -> None:
    with pytest.raises(InputError) as caught:
        select(text, FAMILIES, [])
    assert caught.value.mend


def test_a_close_name_is_offered() -> None:
    with pytest.raises(InputError, match=r"linalg\.inv"):
        select("inv", FAMILIES, [])


def test_dtypes() -> None:
    assert parse_dtypes("all") == DTYPES
    assert parse_dtypes("reference") == REFERENCE_DTYPES
    assert parse_dtypes("torch.int64, float32") == ("int64", "float32")
    for bad in ("", "floaty", "float32,nope"):
        with pytest.raises(InputError):
            parse_dtypes(bad)
