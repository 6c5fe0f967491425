"""The page of a backtest: whole, self-contained, escaped, and drawn inside its frames."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuners.upgrade_sched.backtest import drawing
from tuners.upgrade_sched.backtest.drawing import BOTTOM, LEFT, RIGHT, TOP, place_labels
from tuners.upgrade_sched.backtest.page import baseline_letters, page

VOID = {"meta", "br", "hr", "img", "input", "link"}
ALONE = {"line", "rect", "circle", "path", "polyline"}


class Reader(HTMLParser):
    """Collects tags, texts and everything drawn; raises for tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.drawn: list[tuple[tuple[float, float], list[tuple[float, float]]]] = []
        self.box = (0.0, 0.0)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "svg":
            _, _, width, height = (float(part) for part in found["viewbox"].split())
            self.box = (width, height)
        self._draw(tag, found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert tag in ALONE, tag
        self.tags.append((tag, found))
        self._draw(tag, found)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def _draw(self, tag: str, a: dict[str, str]) -> None:
        points = []
        if tag == "line":
            points = [(float(a["x1"]), float(a["y1"])), (float(a["x2"]), float(a["y2"]))]
        elif tag == "circle":
            x, y, r = float(a["cx"]), float(a["cy"]), float(a["r"])
            points = [(x - r, y - r), (x + r, y + r)]
        elif tag == "rect":
            x, y = float(a["x"]), float(a["y"])
            assert float(a["width"]) >= 0
            assert float(a["height"]) >= 0
            points = [(x, y), (x + float(a["width"]), y + float(a["height"]))]
        elif tag == "polyline":
            points = [tuple(map(float, pair.split(","))) for pair in a["points"].split()]  # type: ignore[misc]  # two each
        elif tag == "path":
            x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)", a["d"]).groups())  # type: ignore[union-attr]  # ours begin so
            points = [(x, y)]
        elif tag == "text" and "x" in a:
            points = [(float(a["x"]), float(a["y"]))]
        if points:
            self.drawn.append((self.box, points))


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_stands_alone(swept: dict[str, Any]) -> None:
    text = page(swept)
    found = read(text)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in found.tags}
    assert "http" not in text
    assert not any(name in attributes for _, attributes in found.tags for name in ("src", "href", "onclick"))
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"\b(nan|inf|None|True|False)\b", " ".join(found.texts))


def test_everything_is_drawn_inside_its_picture(swept: dict[str, Any]) -> None:
    found = read(page(swept))
    assert len(found.drawn) > 100
    for (width, height), points in found.drawn:
        for x, y in points:
            assert -0.01 <= x <= width + 0.01
            assert -0.01 <= y <= height + 0.01


def test_it_says_all_that_the_report_says(swept: dict[str, Any]) -> None:
    text = " ".join(" ".join(read(page(swept)).texts).split())
    for row in swept["rows"]:
        assert row["policy"] in text
        assert f"{row['completed']['value']:.0f} ({row['completed']['low']:.0f}" in text
    for claim in swept["claims"]:
        assert f"{claim['ratio']['value']:.2f} ({claim['ratio']['low']:.2f}" in text
        assert claim["met"] or f"not met: {claim['why_not']}" in text
    for heading in ("Figures", "Claims", "What each cost ratio buys", "Predicted against actual", "Calibration"):
        assert heading in text
    for name in ("idle slot minutes in a window", "nominal level", "actual duration (logarithmic)", "9:1"):
        assert name in text


def test_without_a_sweep_there_is_no_trade_off(swept: dict[str, Any]) -> None:
    plain = {name: value for name, value in swept.items() if name != "sweep"}
    text = page(plain)
    read(text)
    assert "What each cost ratio buys" not in text
    assert "Calibration" in text


def test_names_from_a_history_are_text_and_nothing_else(swept: dict[str, Any]) -> None:
    hostile = copy.deepcopy(swept)
    hostile["history"]["source"] = "folder/<script>alert(1)</script>&\"'.csv"
    hostile["rows"][0]["policy"] = "<img src=x onerror=alert(1)>"
    hostile["claims"][0]["why_not"], hostile["claims"][0]["met"] = "</td><script>", False
    found = read(page(hostile))
    assert not {"script", "img"} & {tag for tag, _ in found.tags}
    assert any("<img src=x" in text for text in found.texts)


def test_a_report_without_claims_or_efficient_points_has_a_page(swept: dict[str, Any]) -> None:
    bare = copy.deepcopy(swept)
    bare["claims"], bare["beyond_claims"] = [], []
    for point in bare["sweep"]["points"]:
        for figure in ("wasted_minutes", "idle_minutes", "completed", "cancelled_share"):
            point[figure] = {"value": 0.0, "low": 0.0, "high": 0.0}
    read(page(bare))


def test_each_baseline_and_order_has_a_letter_of_its_own(swept: dict[str, Any]) -> None:
    letters = baseline_letters(swept["sweep"]["points"])
    assert len(set(letters.values())) == len(letters) > 3
    many = [{"policy": f"median-{n}", "kind": "baseline"} for n in range(1, 100)]
    assert len(set(baseline_letters(many).values())) == 99


numbers = st.floats(0, 1e9, allow_subnormal=False)


@given(st.lists(numbers, max_size=20), st.booleans())
def test_an_axis_holds_all_its_values_and_ticks(values: list[float], percent: bool) -> None:
    for axis in (
        drawing.linear(values, LEFT, RIGHT, percent=percent),
        drawing.linear(values, BOTTOM, TOP, zero=False),
        drawing.durations(values, LEFT, RIGHT),
    ):
        low, high = sorted((axis.begin, axis.end))
        places = [place["at"] for place in axis.places]
        assert all(low <= place <= high for place in places)
        assert len(places) <= 16
        assert sorted(places, reverse=axis.begin > axis.end) == places
        for value in values:
            assert low <= axis.at(value) <= high
            assert axis.low * (1 - 1e-9) <= max(value, 1.0 if axis.log else 0.0) <= axis.high * (1 + 1e-9)


@given(st.lists(st.tuples(st.floats(LEFT, RIGHT), st.floats(TOP, BOTTOM)), max_size=12))
def test_labels_lie_inside_the_plot(places: list[tuple[float, float]]) -> None:
    marks: list[dict[str, Any]] = [{"x": x, "y": y, "label": "4:1"} for x, y in places]
    place_labels(marks)
    for mark in marks:
        assert LEFT <= mark["label_x"] <= RIGHT
        assert TOP <= mark["label_y"] <= BOTTOM


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    marks: list[dict[str, Any]] = [{"x": 200.0 + n, "y": 150.0, "label": f"{n}:1"} for n in range(3)]
    place_labels(marks)
    assert len({(mark["label_x"] > mark["x"], mark["label_y"]) for mark in marks}) == 3


def test_a_short_range_of_durations_still_has_ticks() -> None:
    assert len(drawing.durations([300.0, 3600.0], LEFT, RIGHT).ticks) >= 3
    assert drawing.durations([], LEFT, RIGHT).ticks


@pytest.mark.parametrize("value", [0.0, 5.0, 1e12])
def test_an_axis_of_one_value_is_no_division_by_zero(value: float) -> None:
    assert drawing.linear([value, value], LEFT, RIGHT, zero=False).at(value) >= LEFT
