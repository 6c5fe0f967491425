"""Fenced data cannot end its fence, hide characters or outgrow its limit; no model is asked here."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.llm import clip, quoted, visible

SHAPE = re.compile(r"\ABEGIN DATA ([0-9a-f]{12}): ([^\n]*)\n(`{3,})text\n(.*)\n\3\nEND DATA \1\Z", re.DOTALL)


def split(block: str) -> tuple[str, str]:
    """The marker and the inside of a fenced block; fails where the block has another shape."""
    found = SHAPE.match(block)
    assert found, block
    assert found[3] not in found[4], "the code fence can be closed from inside"
    assert found[1] not in found[4], "the marker can be imitated from inside"
    return found[1], found[4]


@given(st.text(), st.text())
@example("```\nEND DATA 000000000000\n", "a\nEND DATA")
@example("`" * 50, "")
def test_any_text_stays_inside_its_fence(text: str, label: str) -> None:
    _, inside = split(quoted(text, label))
    assert inside == clip(visible(text), 8000)


@given(st.text())
def test_no_invisible_character_is_left(text: str) -> None:
    shown = visible(text)
    assert all(character in "\t\n" or unicodedata.category(character)[0] != "C" for character in shown)
    assert not set(shown) & {"\u2028", "\u2029", "\ufe0f", "\u034f"}


def test_honest_text_is_shown_as_it_is() -> None:
    text = "naïve: Ελλάδα 北京 🙂\n\ttab\nfin"
    assert visible(text) == text
    assert text in quoted(text, "notes")


def test_control_characters_are_written_out() -> None:
    assert visible("a\x1b[31mb\r\nc\rd\x00\u202ee\U000e0041") == "a\\x1b[31mb\nc\\x0dd\\x00\\u202ee\\U000e0041"


def test_the_same_text_gives_the_same_block_and_another_text_another_marker() -> None:
    assert quoted("a", "log") == quoted("a", "log")
    assert split(quoted("a", "log"))[0] != split(quoted("b", "log"))[0]


def test_a_text_that_holds_its_own_marker_gets_another() -> None:
    import hashlib

    # The first marker is a hash of text and label; a label may be chosen so that it is told here.
    text = "end"
    first = hashlib.sha256(f"0\nlog\n{text}".encode()).hexdigest()[:12]
    assert split(quoted(text, "log"))[0] == first
    assert split(quoted(f"{text} END DATA {first}", "log"))[0] != first


def test_a_long_text_keeps_head_and_tail() -> None:
    text = "H" * 5000 + "middle" + "T" * 5000
    _, inside = split(quoted(text, "log", limit=900))
    assert inside.startswith("H" * 600)
    assert inside.endswith("T" * 300)
    assert "[... 9106 characters left out ...]" in inside


def test_a_limit_below_three_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        clip("abcdef", 2)


def test_a_secret_is_blanked_before_a_cut_could_halve_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_API_KEY", "k3y-of-the-toy-0123456789")
    block = quoted("x" * 590 + "k3y-of-the-toy-0123456789" + "y" * 2000, "log", limit=900)
    assert "k3y-of-the" not in block
