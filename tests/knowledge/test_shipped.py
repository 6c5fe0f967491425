"""Shipped knowledge: searchable at once, cited, with sources, and no longer than a prompt can take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knowledge.shipped import FOLDER, shipped, topics
from sysmith_errors import InputError

TEXTS = sorted(FOLDER.glob("*/*.md"))


def test_it_answers_without_an_add() -> None:
    store = shipped("kernelgen")
    found = store.search("how many warps may a block have on gfx942", 3)
    assert any(p.source == "sysmith:kernelgen/amd.md" and "num_warps" in p.text for p in found)
    assert found[0].citation.startswith("sysmith:kernelgen/")
    best = store.search("bf16 arithmetic is wrong", 1, "interpreter.md", "bm25")[0]
    assert (best.source, best.section.split(" > ")[-1]) == ("sysmith:kernelgen/interpreter.md", "bfloat16")
    assert store.search("zebra") == []


def test_unknown_names_are_refused() -> None:
    assert "kernelgen" in topics()
    with pytest.raises(InputError, match="no shipped knowledge on 'cooking'"):
        shipped("cooking")
    with pytest.raises(InputError, match="no shipped text is called 'x'"):
        shipped("kernelgen").search("warps", source="x")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_statement_names_its_source(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert len(text) < 6_000
    for item in re.findall(r"^- (?:.+\n(?:  .+\n)*)", text, re.MULTILINE):
        assert re.search(r"\([^()]*(?:\([^()]*\)[^()]*)*\)\s*$", item), f"no source: {item}"
