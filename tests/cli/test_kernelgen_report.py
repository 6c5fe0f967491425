"""The report of a run in its four forms: JSON, text, JUnit and HTML."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.kernelgen_report import document, html_page, junit_xml
from cli.kernelgen_table import failures, score_lines, table
from kernelgen.outcome import OperatorOutcome
from kernelgen.selection import DTYPES

FACTS = {name: SimpleNamespace(samples={}) for name in ("view", "add", "sum", "igamma", "fft.fft")}
REFERENCE = ("add", "view", "sum", "igamma")


def outcomes() -> list[OperatorOutcome]:
    compiled = {"cuda:90": True, "hip:gfx942": False}
    return [
        OperatorOutcome(
            "sum", "reduction", False, {"float32": (9, 8)}, "synthesis", reason="sample f/1: wrong_value: 1"
        ),
        OperatorOutcome(
            "add", "pointwise", True, {"float32": (5, 5), "float64": (4, 4)}, "synthesis", compiled=compiled, launches=9
        ),
        OperatorOutcome("view", "shape", True, {"float32": (3, 3)}, "pytorch", metadata_only=True, cached=True),
        OperatorOutcome(
            "fft.fft", "fft", False, {"float64": (2, 0)}, missing=("_fft_r2c.default",), reason="no kernel"
        ),
    ]


def report(found: list[OperatorOutcome] | None = None, **changes: Any) -> dict[str, Any]:
    options = {
        "names": ["view", "add", "sum", "igamma", "fft.fft"],
        "dtypes": list(DTYPES),
        "targets": "interpret,cuda:90,hip:gfx942",
        "samples": None,
        "lint_packs": [],
    }
    arguments: dict[str, Any] = {
        "facts": FACTS,
        "reference": REFERENCE,
        "run_id": "20260101-000000",
        "options": options | changes.pop("options", {}),
        "seconds": 65.4321,
        "interrupted": False,
        "lost": None,
    }
    return document(outcomes() if found is None else found, **(arguments | changes))


def test_the_document_counts_names_and_tests_of_both_sets() -> None:
    found = report()
    assert found["schema_version"] == 1
    assert found["summary"]["reference"] == {
        "set_names": 4,
        "names_total": 3,
        "names_passed": 2,
        "tests_total": 17,
        "tests_passed": 16,
        "metadata_only": 1,
        "compiled": {"cuda:90": {"compiled": 1, "failed": 0}, "hip:gfx942": {"compiled": 0, "failed": 1}},
    }
    assert found["summary"]["full"] == {
        "set_names": 5,
        "names_total": 4,
        "names_passed": 2,
        "tests_total": 23,
        "tests_passed": 20,
        "metadata_only": 1,
        "compiled": {"cuda:90": {"compiled": 1, "failed": 0}, "hip:gfx942": {"compiled": 0, "failed": 1}},
    }
    assert found["summary"]["sources"] == {"synthesis": 2, "pytorch": 1, "none": 1}
    assert found["summary"]["compiled"]["cuda:90"] == {"compiled": 1, "failed": 0}
    assert found["summary"]["compiled"]["hip:gfx942"] == {"compiled": 0, "failed": 1}
    assert found["not_judged"] == ["igamma"]
    assert found["sandbox"]["tier"] in ("bubblewrap", "landlock", "none")
    assert found["versions"]["torch"] != "absent"
    assert json.loads(json.dumps(found)) == found


def test_operators_come_in_the_catalogs_order_with_all_that_the_interface_promises() -> None:
    operators = report()["operators"]
    assert [operator["name"] for operator in operators] == ["view", "add", "sum", "fft.fft"]
    promised = {"name", "passed", "tests_total", "tests_passed", "source", "metadata_only", "compiled", "reason"}
    assert all(promised <= set(operator) for operator in operators)


def test_a_judging_that_broke_still_counts_its_tests() -> None:
    """``add`` has samples of float32 in OpInfo, so a crash cannot make the total smaller."""
    broken = OperatorOutcome("add", "pointwise", False, reason="the evaluator broke: KeyError: 'x'")
    small = {"dtypes": ["float32", "int32"], "samples": 3}
    found = report([broken], options=small)
    assert found["operators"][0]["dtypes"] == {"float32": [3, 0], "int32": [3, 0]}
    assert found["summary"]["full"]["tests_total"] == 6
    assert report([broken], options=small | {"samples": None})["summary"]["full"]["tests_total"] > 6


def test_the_scores_always_show_their_denominators() -> None:
    lines = score_lines(report())
    assert lines[0].startswith(
        "reference set: 2 of 3 names judged (the set has 4) pass (66.7 %), 16 of 17 tests (94.1 %)"
    )
    assert lines[1].startswith("full set: 2 of 4 names judged (the set has 5) pass (50.0 %), 20 of 23 tests (87.0 %)")
    assert all("1 of the names that pass are metadata only" in line for line in lines[:2])
    assert len(lines) == 2


def test_a_part_of_the_tests_is_called_a_part() -> None:
    lines = score_lines(report(options={"samples": 3, "dtypes": ["float32"]}))
    assert "first 3 samples" in lines[2]
    assert "both sets have more" in lines[3]
    reference = ["bfloat16", "float16", "float32", "int32", "int64"]
    assert "the full set has more" in score_lines(report(options={"dtypes": reference}))[2]


def test_the_table_shows_families_failures_and_what_is_left() -> None:
    text = table(report(lost=["sum"]), rich=False)
    assert re.search(r"^pointwise +1 +1 +9 +9$", text, re.M)
    assert re.search(r"^ +1  _fft_r2c\.default$", text, re.M)
    assert re.search(r"^ +1  wrong values$", text, re.M)
    assert "cuda:90 1 of 1; hip:gfx942 0 of 1" in text
    assert "not judged: 1 of 5 selected operators" in text
    assert "lost against the baseline: sum" in text
    assert "1 min 5 s" in text
    assert "\x1b" not in text


def test_the_rich_table_honours_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = table(report(), rich=True)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = table(report(), rich=True)
    colours = re.compile(r"\x1b\[[0-9;]*3[0-7]")
    assert colours.search(coloured)
    assert not colours.search(plain)
    assert "pointwise" in plain


def test_an_empty_run_reports_without_dividing_by_nothing() -> None:
    found = report([], interrupted=True)
    assert "0 of 0 names" in table(found, rich=False)
    assert xml.fromstring(junit_xml(found)).find("testsuite[@name='not judged']") is not None
    assert "Interrupted" in html_page(found)


def test_what_fails_most_comes_first() -> None:
    held = [
        OperatorOutcome(f"a{i}", "x", False, {"float32": (1, 0)}, missing=("b.default",) if i else ("a.default",))
        for i in range(3)
    ]
    caught = OperatorOutcome("c", "x", False, {"float32": (1, 0)}, catch="no_launch", reason="no launch")
    operators = [outcome.to_json() for outcome in [*held, caught]]
    missing, others = failures({"operators": operators})
    assert missing == [("b.default", 2), ("a.default", 1)]
    assert others == [("no_launch", 1)]


@given(st.text(max_size=80))
def test_any_reason_survives_junit(reason: str) -> None:
    found = TEMPLATE | {"operators": [TEMPLATE["operators"][2] | {"reason": reason}]}
    case = xml.fromstring(junit_xml(found).encode()).find(".//failure")
    assert case is not None
    expected = "".join(c if c in "\t\n" or (c >= " " and c not in "\ufffe\uffff") else "\ufffd" for c in reason)
    # XML reads a carriage return as a line feed.
    assert (case.text or "") == expected.replace("\ufffd", "\ufffd") or "\r" in reason


def test_junit_counts_what_it_holds() -> None:
    root = xml.fromstring(junit_xml(report()).encode())
    cases = {case.attrib["name"]: [child.tag for child in case] for case in root.iter("testcase")}
    assert cases == {"view": [], "add": [], "sum": ["failure"], "fft.fft": ["failure"], "igamma": ["skipped"]}
    for suite in root.iter("testsuite"):
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "action")]


def test_the_page_is_self_contained_and_escapes_what_it_shows() -> None:
    hostile = "<script>alert(1)</script> & <img src=x>"
    found = outcomes()
    found[0] = OperatorOutcome("sum", "reduction", False, {"float32": (1, 0)}, reason=hostile)
    text = html_page(report(found))
    page = _Page()
    page.feed(text)
    assert page.links == []
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search(r"https?://|@import|url\(", text)
    assert page.tags.count("tr") == 1 + 4 + 1 + 4 + 2 * 2


TEMPLATE = report()
