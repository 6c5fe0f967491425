"""Shipped knowledge: searchable at once, cited, with sources, and no longer than a prompt can take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knowledge.shipped import FOLDER, find, shipped, texts, topics
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


def test_a_citation_is_read_back() -> None:
    (whole,) = find("upgrade_sched/admission.md")
    (part,) = find("sysmith:upgrade_sched/admission.md > Shortest first")
    assert part["text"] in whole["text"]
    assert part["text"].startswith("## Shortest first\n")
    assert len(find("upgrade_sched")) == sum(row["name"].startswith("sysmith:upgrade_sched/") for row in texts()) == 3
    for name, said in (("cooking", "no note is called 'cooking'"), ("upgrade_sched > Sauces", "There are: .*Shortest")):
        with pytest.raises(InputError, match=said):
            find(name)
