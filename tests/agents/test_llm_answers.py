"""From a model's text to an answer, and the words that ask for it; nothing is asked here."""

from __future__ import annotations

import contextlib
import json
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from agents.llm import MalformedAnswer
from agents.llm.answers import LONGEST, parse
from agents.llm.format import format_of

from .llm_helpers import Point


class Kernel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: str
    warps: int = 4
    tags: list[str] = []
    note: str | None = None


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str = Field(min_length=1, description="what it is called")
    size: int = Field(gt=0, le=8)


class Everything(BaseModel):
    kind: Literal["a", "b"]
    colour: Colour = Field(description="which colour")
    parts: list[Part] = Field(min_length=1, max_length=3)
    both: int | str
    maybe: float | None = None
    fixed: Literal["x"] = "x"
    flag: bool = False
    table: dict[str, int] = {}


@pytest.mark.parametrize(
    "text",
    [
        '{"x": 1.5, "why": "so"}',
        '  \n{"x": 1.5, "why": "so"}\n',
        '```json\n{"x": 1.5, "why": "so"}\n```',
        'Here it is:\n\n```\n{"x": 1.5,\n "why": "so"}\n```\nI hope {it} helps.',
        'The set {1, 2} and {"tool": "shell"} aside, {"x": 1.5, "why": "so"} is mine.',
        'Twice the same: {"x": 1.5, "why": "so"} and {"why": "so", "x": 1.5}.',
        "### x\n1.5\n### why\nso",
        "## `x`:\n\n1.5\n\n## **why**\n\n```text\nso\n```\n",
        "I think:\n# x\n```json\n1.5\n```\n# why\nso\n",
    ],
)
def test_every_honest_spelling_is_understood(text: str) -> None:
    assert parse(text, Point) == Point(x=1.5, why="so")


def test_source_code_needs_no_escapes_below_a_heading() -> None:
    source = 'def f():\n    # source\n    return "a\\n{x}"'
    text = f'{{"warps": 8}}\n\n### source\n```python\n{source}\n```\n### tags\n["a", "b"]\n'
    assert parse(text, Kernel) == Kernel(source=source, warps=8, tags=["a", "b"])


def test_a_heading_inside_a_code_block_is_no_heading() -> None:
    text = "### source\n````\n### warps\n```\n99\n```\n````\n### warps\n2"
    assert parse(text, Kernel) == Kernel(source="### warps\n```\n99\n```", warps=2)


@pytest.mark.parametrize("text", ["[1, 2]", '{"a": 1}', "true", "7", "null"])
def test_a_text_that_looks_like_json_stays_a_text(text: str) -> None:
    assert parse(f"### source\n{text}", Kernel).source == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it holds no JSON object with the fields x, why"),
        ("I cannot.", "it holds no JSON object"),
        ('{"y": 1}', "x: Field required"),
        ('{"x": "left"}', "x: Input should be a valid number"),
        ('{"x": 6}', "x: Input should be less than or equal to 5"),
        ('{"x": 1, "tool": "shell"}', "tool: Extra inputs are not permitted"),
        ('{"x": NaN}', "it holds no JSON object"),
        ('[{"x": 1}, {"x": 2}]', "it holds 2 different objects that fit; give exactly one"),
        ('{"x": 1} or {"x": 2}', "it holds 2 different objects that fit; give exactly one"),
        ("### x\n1\n### x\n2", "x: 2 headings name it"),
        ('{"x": 1', "it holds no JSON object"),
        ("{" * 100_000, "it holds no JSON object"),
        ("[" * 100_000, "it holds no JSON object"),
        ('{"x": ' + "9" * 10_000 + "}", ""),
        ("x" * (LONGEST + 1), "more than 1000000"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(MalformedAnswer) as caught:
        parse(text, Point)
    assert says in str(caught.value)


def test_a_reason_is_short_and_shows_no_control_characters() -> None:
    with pytest.raises(MalformedAnswer) as caught:
        parse(json.dumps({"x": 1, "\x1b[31m" + "k" * 1000: 2}), Point)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(st.text())
def test_any_text_is_an_answer_or_refused(text: str) -> None:
    with contextlib.suppress(MalformedAnswer):
        parse(text, Point)


@given(st.floats(-5, 5), st.text(st.characters(codec="utf-8")), st.text("ab {}#`\n", max_size=20))
def test_an_answer_written_as_json_is_read_as_it_was(x: float, why: str, prose: str) -> None:
    document = json.dumps({"x": x, "why": why})
    assert parse(document, Point) == Point(x=x, why=why)
    if "{" not in prose and "#" not in prose:
        assert parse(f"{prose}\n{document}\n{prose}", Point) == Point(x=x, why=why)


def test_the_format_names_each_field_with_its_bounds() -> None:
    text = format_of(Everything)
    for line in (
        '- `kind` (one of "a", "b", required)',
        '- `colour` (one of "red", "blue", required): which colour',
        "- `parts` (list of at least 1 and at most 3 items, each: object, required)",
        "  - `name` (text of at least 1 characters, required): what it is called",
        "  - `size` (whole number above 0 and at most 8, required)",
        "- `both` (whole number or text, required)",
        "- `maybe` (number, may be left out)",
        '- `fixed` (always "x", may be left out)',
        "- `flag` (true or false, may be left out)",
        "- `table` (object, may be left out)",
    ):
        assert line in text.split("\n"), line


@pytest.mark.parametrize("answer", [Point, Kernel])
def test_the_shape_that_is_shown_would_itself_be_accepted(answer: type[BaseModel]) -> None:
    shape: dict[str, Any] = json.loads(format_of(answer).split("```json\n")[1].split("\n```")[0])
    assert parse(json.dumps(shape), answer)


def test_headings_are_offered_for_long_texts_only() -> None:
    class Short(BaseModel):
        name: str = Field(max_length=80)

    assert "heading with the field's name" in format_of(Kernel)
    assert "heading" not in format_of(Short)
