"""Reports read back, and laid out as CSV and Markdown; what is no report is refused in one sentence."""

from __future__ import annotations

import copy
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.backtest.saved import read_report
from tuners.upgrade_sched.backtest.tables import claims_markdown, claims_rows, csv_rows

MISSING = object()
FAULTS = [
    ((), [], "no object"),
    ((), "text", "no object"),
    (("history",), MISSING, "field history is missing"),
    (("setup",), MISSING, "field setup is missing"),
    (("schema_version",), 2, "schema_version is 2, not 1"),
    (("schema_version",), MISSING, "schema_version is null"),
    (("history", "source"), 5, "history.source"),
    (("history",), [], "history.source"),
    (("claims",), {}, "claims is no list"),
    (("beyond_claims",), 1, "beyond_claims is no list"),
    (("claims", 1), 3, r"claims\[1\] is no object"),
    (("claims", 0, "met"), "yes", r"claims\[0\].met is \"yes\""),
    (("claims", 0, "met"), MISSING, r"claims\[0\].met is missing"),
    (("claims", 0, "load"), True, r"claims\[0\].load is true"),
    (("claims", 0, "ratio"), 1.5, r"claims\[0\].ratio is 1.5"),
    (("claims", 0, "ratio", "low"), None, "ratio.low is null, no finite number"),
    (("claims", 0, "ratio", "value"), float("nan"), "ratio.value is NaN, no finite number"),
    (("claims", 0, "goal"), float("inf"), "goal is Infinity, no finite number"),
    (("claims", 2, "oracle_ratio"), "much", 'oracle_ratio is "much", no number'),
    (("claims", 0, "against"), "x" * 99, None),
]


def changed(report: dict[str, Any], place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    made: Any = copy.deepcopy(report)
    inner = made
    for step in place[:-1]:
        inner = inner[step]
    if value is MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return made


@pytest.mark.parametrize(("place", "value", "said"), FAULTS)
def test_a_field_that_is_wrong_is_named(
    swept: dict[str, Any], tmp_path: Path, place: tuple[Any, ...], value: Any, said: str | None
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(changed(swept, place, value)))
    if said is None:
        read_report(file)
        return
    with pytest.raises(InputError, match=said) as caught:
        read_report(file)
    assert str(file) in str(caught.value)
    assert "--report FILE.json" in caught.value.mend


def test_a_file_that_is_no_document_is_refused(tmp_path: Path, swept: dict[str, Any]) -> None:
    whole = json.dumps(swept)
    for name, content in {
        "half.json": whole[: len(whole) // 2].encode(),
        "empty.json": b"",
        "binary.json": b"\xff\xfe\x00",
        "deep.json": b"[" * 100_000,
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_report(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path / "gone.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_refused_or_harmless(swept: dict[str, Any], tmp_path: Path, data: st.DataObject) -> None:
    small = {name: swept[name] for name in ("schema_version", "history", "setup")}
    small |= {"rows": [], "claims": swept["claims"][:1], "beyond_claims": []}
    places = [(name,) for name in small] + [("claims", 0, name) for name in small["claims"][0]]
    place = data.draw(st.sampled_from(places))
    file = tmp_path / "report.json"
    file.write_text(json.dumps(changed(small, place, data.draw(values))))
    try:
        report = read_report(file)
    except InputError:
        return
    assert claims_markdown(claims_rows([report], beyond=True))


def test_what_was_written_is_read_back(swept: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(swept))
    assert read_report(tmp_path / "report.json") == swept


def test_the_table_has_every_claim_cell(swept: dict[str, Any]) -> None:
    other = copy.deepcopy(swept)
    other["history"]["source"] = "some/folder/a|b\nc.csv"
    rows = claims_rows([swept, other])
    lines = claims_markdown(rows).splitlines()
    cells = [line for line in lines if line.startswith("| ")][1:]
    assert len(cells) == 2 * len(swept["claims"])
    assert all(line.replace("\\|", "").count("|") == 10 for line in cells)
    assert r"| a\|b c.csv |" in cells[-1]
    assert "some/folder" not in cells[-1]
    met = sum(claim["met"] for claim in swept["claims"])
    assert lines[-1] == f"{2 * met} of {2 * len(swept['claims'])} claims met."
    for claim, line in zip(swept["claims"], cells, strict=False):
        assert f"{claim['ratio']['value']:.2f}" in line
        assert ("| yes |" in line) == claim["met"]
        assert claim["why_not"] in line


def test_what_is_no_claim_stands_beside_them_only_when_asked(swept: dict[str, Any]) -> None:
    report = copy.deepcopy(swept)
    report["beyond_claims"] = [dict(swept["claims"][0], against="squared-error shortest-first")]
    assert len(claims_rows([report], beyond=True)) == len(claims_rows([report])) + 1
    both = claims_markdown(claims_rows([report], beyond=True)).splitlines()[-1]
    assert both == claims_markdown(claims_rows([report])).splitlines()[-1]  # only claims are counted


def test_csv_has_a_row_for_each_policy_and_load_and_each_point(swept: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_rows(swept))))
    mine = [row for row in rows if row["part"] == "backtest"]
    assert [(float(row["load"]), row["policy"]) for row in mine] == [(r["load"], r["policy"]) for r in swept["rows"]]
    for row, told in zip(mine, swept["rows"], strict=True):
        assert float(row["completed"]) == pytest.approx(told["completed"]["value"], rel=1e-5)
        assert float(row["cancelled_share_high"]) == pytest.approx(told["cancelled_share"]["high"], rel=1e-5)
        assert row["efficient_idle_wasted"] == ""
    points = [row for row in rows if row["part"] == "sweep"]
    assert len(points) == len(swept["sweep"]["points"])
    assert {row["efficient_idle_wasted"] for row in points} == {"", "true", "false"}
    assert {row["cost_ratio"] for row in points} == {"", "1.0", "9.0"}
