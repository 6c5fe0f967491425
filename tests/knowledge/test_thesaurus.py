"""The thesaurus: what a question's words are called elsewhere, and that a search finds it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from knowledge.store import KnowledgeStore
from knowledge.thesaurus import Thesaurus, shipped
from knowledge.tokens import terms

SMALL = Thesaurus(
    ["# a heading", "", "read-only | unwritable | no changes", "cancel | call off | abort", "stop | abort | end"]
)


def test_a_word_leads_to_its_group_without_what_is_said() -> None:
    (concept,) = SMALL.concepts("make it unwritable")
    assert concept.share == 1
    assert tuple(terms("read-only")) in concept.others
    assert tuple(terms("unwritable")) not in concept.others
    assert SMALL.concepts("nothing known") == []


def test_phrases_are_found_whole_and_senses_share_the_weight() -> None:
    (concept,) = SMALL.concepts("please call off the job")
    assert ("abort",) in concept.others
    assert SMALL.concepts("call the job off") == []
    assert [concept.share for concept in SMALL.concepts("abort")] == [0.5, 0.5]


@given(st.lists(st.sampled_from(["abort", "cancel", "stop", "call", "off", "end", "x"]), max_size=8))
def test_no_concept_is_what_the_question_says_already(query: list[str]) -> None:
    for concept in SMALL.concepts(" ".join(query)):
        assert all(not set(terms(" ".join(query))) >= set(other) for other in concept.others)


def test_the_shipped_groups_are_in_order() -> None:
    path = Path(__file__).parents[2] / "knowledge" / "thesaurus.txt"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(set(lines)) == len(shipped())
    for line in lines:
        parts = [part.strip() for part in line.split("|")]
        assert len(parts) == len(set(parts)) > 1, line
        assert line == line.lower(), line


def test_a_search_finds_what_the_manual_calls_otherwise(tmp_path: Path) -> None:
    manual = tmp_path / "manual.md"
    others = "\n\n".join(f"## option-{i}\n\nSets the colour of lamp {i} in the cellar." for i in range(12))
    manual.write_text(f"# Options\n\n{others}\n\n## lock-volume\n\nMakes the volume read-only.\n")
    store = KnowledgeStore(tmp_path / "store")
    store.add([manual], embedding_name="lsa")
    question = "Keep everything unwritable"
    assert store.search(question, 1, None, "bm25") == []
    assert "read-only" in store.search(question, 1, None, "hybrid")[0].text
