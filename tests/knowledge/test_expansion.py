"""Other words beside a question, and an order from elsewhere: both change ranks, and neither loses or doubles any."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.chunks import Chunk
from knowledge.expansion import Expansion, reordered
from knowledge.manuals import Manual, manuals
from knowledge.ranking import METHODS, Weighed, fuse
from knowledge.store import KnowledgeStore
from sysmith_errors import InputError

CACHE = """# Cache guide

## Sizes

- `cache.size` - How many bytes are kept in memory.
- `cache.age` - Seconds before an entry goes.

## Peers

- `peer.timeout` - Seconds without a reply after which a peer counts as dead.
- `peer.count` - How many peers there are.
"""
DISK = "# Disk guide\n\n- `disk.age` - Seconds before a disk is replaced.\n- `disk.count` - How many disks there are.\n"


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cache.md").write_text(CACHE)
    (tmp_path / "docs" / "more.md").write_text("# More\n\nWords that no question here has.\n")
    (tmp_path / "disk.md").write_text(DISK)
    store = KnowledgeStore.open(tmp_path / "state")
    store.add([tmp_path / "docs", tmp_path / "disk.md"])
    return store


def found(store: KnowledgeStore, text: str, expansion: Expansion | None = None, **named: str) -> list[str]:
    passages = store.search(text, 20, expansion=expansion, **named)  # type: ignore[arg-type]  # source and method
    return [passage.section.rpartition(" > ")[2] for passage in passages]


def test_other_words_find_what_the_question_does_not(store: KnowledgeStore) -> None:
    question = "when is a silent neighbour given up"
    assert "peer.timeout" not in found(store, question, method="bm25")
    for method in METHODS:
        assert found(store, question, Expansion(("peer.timeout",)), method=method)[0] == "peer.timeout"
        assert (
            found(store, question, Expansion((), "seconds after which a peer counts as dead"), method=method)[0]
            == "peer.timeout"
        )


def test_an_empty_expansion_changes_nothing(store: KnowledgeStore) -> None:
    for method in METHODS:
        question = "how many seconds"
        assert store.search(question, 9, method=method, expansion=Expansion()) == store.search(  # type: ignore[arg-type]  # a name of the literal type
            question,
            9,
            method=method,  # type: ignore[arg-type]  # as above
        )


def test_a_named_parameter_stays_first_whatever_the_other_words_are(store: KnowledgeStore) -> None:
    wrong = Expansion(("disk.count", "peer.count", "peer.timeout"), "How many disks there are.", ("disk.md",))
    assert found(store, "what is cache.age", wrong)[0] == "cache.age"


def test_a_preferred_manual_comes_first_and_the_others_stay(store: KnowledgeStore) -> None:
    plain = found(store, "seconds before")
    for manual, first in (("docs/", "cache.age"), ("disk.md", "disk.age")):
        liked = found(store, "seconds before", Expansion(manuals=(manual,)))
        assert liked[0] == first
        assert sorted(liked) == sorted(plain)


def test_other_words_leave_the_chosen_manual_as_it_is(store: KnowledgeStore) -> None:
    expansion = Expansion(("disk.count",), "How many disks", ("disk.md",))
    sources = {p.source for p in store.search("seconds", 20, "cache.md", expansion=expansion)}
    assert sources == {"docs/cache.md"}


def test_a_preference_is_for_whole_manuals() -> None:
    assert Expansion(manuals=("docs/",)).prefers("docs/cache.md")
    assert Expansion(manuals=("a.md",)).prefers("a.md")
    assert not Expansion(manuals=("docs/",)).prefers("docs/deep/cache.md")
    assert not Expansion(manuals=("cache.md",)).prefers("docs/cache.md")
    assert not Expansion().prefers("a.md")


def test_what_is_searched_for() -> None:
    assert Expansion(("a", "b c"), "text").texts == ["a", "b c", "a b c", "text"]
    assert Expansion(("a",)).texts == ["a"]
    assert Expansion(manuals=("m",)).texts == []


def test_manuals_are_listed_as_a_reader_knows_them(store: KnowledgeStore) -> None:
    assert store.manuals() == [
        Manual("disk.md", 1, ("Disk guide",)),
        Manual("docs/", 2, ("Cache guide", "More")),
    ]
    assert store.manuals("cache.md") == [Manual("docs/cache.md", 1, ("Cache guide", "Sizes", "Peers"))]
    with pytest.raises(InputError, match="no manual is called"):
        store.manuals("none.md")


def test_an_entry_gives_no_title() -> None:
    assert manuals([("a.md", Chunk("x", ("io.depth",), 1, entry=True))]) == [Manual("a.md", 1, ())]
    assert manuals([]) == []


def test_an_order_from_elsewhere() -> None:
    assert reordered("abcd", [3, 1]) == ["c", "a", "b", "d"]
    assert reordered("abcd", [9, 2, 2, 0, -1]) == ["b", "a", "c", "d"]
    assert reordered("", [1]) == []


@given(st.lists(st.integers(0, 5), max_size=25), st.lists(st.integers(-3, 30)))
def test_reordering_is_a_permutation_and_what_is_not_named_keeps_its_order(items: list[int], best: list[int]) -> None:
    after = reordered(items, best)
    assert Counter(after) == Counter(items)
    named = {number for number in best if 1 <= number <= len(items)}
    assert after[len(named) :] == [item for number, item in enumerate(items, 1) if number not in named]


ROWS = st.lists(st.integers(0, 40), unique=True, max_size=15)
LISTS = st.lists(st.tuples(st.floats(0.01, 2), ROWS.map(lambda rows: [(row, 1.0) for row in rows])), max_size=8)


@given(LISTS)
def test_fusing_holds_every_row_once(lists: list[Weighed]) -> None:
    rows = [row for row, _ in fuse(lists)]
    assert len(rows) == len(set(rows))
    assert set(rows) == {row for _, ranking in lists for row, _ in ranking}


@given(LISTS, st.randoms(use_true_random=False))
def test_fusing_does_not_depend_on_the_order_of_the_lists(lists: list[Weighed], draw: object) -> None:
    mixed = list(lists)
    draw.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random, which hypothesis types loosely
    before, after = dict(fuse(lists)), dict(fuse(mixed))
    assert before.keys() == after.keys()
    assert all(abs(before[row] - after[row]) < 1e-9 for row in before)


@given(ROWS.filter(bool), st.lists(st.integers(0, 3), max_size=3))
def test_an_agreed_first_stays_first(rows: list[int], repeats: list[int]) -> None:
    ranking = [(row, 1.0) for row in rows]
    assert [row for row, _ in fuse([(1.0, ranking)] * (1 + len(repeats)))] == rows
