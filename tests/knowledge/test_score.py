"""The measures of retrieval against hand-computed values, and what counts as the expected place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.questions import Place, Question, read_goals, read_questions
from knowledge.score import bootstrap, measure, wilson
from knowledge.store import KnowledgeStore
from sysmith_errors import InputError

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = ROOT / "examples" / "knowledge" / "questions.jsonl"
MANUALS = ROOT.parent / "shared" / "data" / "manuals"


def test_wilson_as_in_the_literature() -> None:
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    found = wilson(81, 263)
    assert found.low == pytest.approx(0.2553, abs=5e-5)
    assert found.high == pytest.approx(0.3662, abs=5e-5)
    assert wilson(0, 10).low == 0
    assert wilson(10, 10).high == 1


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_value(counts: tuple[int, int]) -> None:
    found = wilson(*counts)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_bootstrap_is_repeatable_and_narrow_where_all_agree() -> None:
    assert bootstrap([0.5] * 9).low == bootstrap([0.5] * 9).high == 0.5
    mixed = bootstrap([0.0, 1.0] * 20)
    assert mixed == bootstrap([0.0, 1.0] * 20)
    assert mixed.low < 0.5 < mixed.high


@pytest.mark.parametrize(
    ("section", "titles", "holds"),
    [
        ("timeo", ["OPTIONS", "timeo=n"], True),
        ("grace_delay", ["Tuning", "`grace_delay`"], True),
        ("max-jobs", ["max-jobs-soft=n"], False),
        ("soft / hard", ["SOFT / hard"], True),
        ("Tuning", ["Tuning", "Deep below"], True),
        ("Tuning", ["Tuning the rest"], False),
    ],
)
def test_what_counts_as_the_place(section: str, titles: list[str], holds: bool) -> None:
    assert Place("a.md", section).holds("manuals/a.md", titles) is holds
    assert not Place("a.md", section).holds("manuals/ba.md", titles)


def test_figures_of_a_small_store(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\n- `io.depth` - Requests in flight.\n- `io.size` - Bytes of a request.\n")
    store = KnowledgeStore.open(tmp_path / "state")
    store.add([tmp_path / "a.md"])
    asked = [
        Question("1", "io.depth", (Place("a.md", "io.depth"),), "parameter", "development"),
        Question("2", "zebra", (Place("a.md", "io.depth"),), "parameter", "held-out"),
    ]
    report = measure(store, asked, goals={"parameter": 0.9})
    rows = {(r.split, r.method): r for r in report.rows}
    assert rows["development", "hybrid"].recall[1].value == 1
    assert rows["held-out", "hybrid"].recall[10].value == 0
    assert (rows["all", "bm25"].count, rows["all", "bm25"].mrr.value) == (2, 0.5)
    assert report.ranks["2"] == {"hybrid": None, "bm25": None, "vectors": None}
    assert len(report.missed_goals) == 1
    assert measure(store, asked, goals={}).missed_goals == ()


def test_goals() -> None:
    assert read_goals(["parameter=0.95", "paraphrase=0.8"]) == {"parameter": 0.95, "paraphrase": 0.8}
    for bad in ("parameter", "parameter=2", "speed=1", "parameter=x"):
        with pytest.raises(InputError, match="cannot be read"):
            read_goals([bad])


def test_the_question_set_has_the_promised_shape() -> None:
    questions = read_questions(QUESTIONS)
    for kind in ("parameter", "paraphrase"):
        halves = [q.split for q in questions if q.kind == kind]
        assert len(halves) >= 30
        assert halves.count("development") == halves.count("held-out")
    assert len({q.manual for q in questions}) >= 3
    # A paraphrase does not give the name away.
    for question in questions:
        if question.kind == "paraphrase":
            assert question.places[0].section.lower() not in question.text.lower().split()


@pytest.mark.slow
@pytest.mark.skipif(not MANUALS.is_dir(), reason="../shared/data/manuals is not there")
def test_names_are_found_in_a_real_manual(tmp_path: Path) -> None:
    store = KnowledgeStore.open(tmp_path)
    manual = "gluster_tuning_volume_options.md"
    store.add([MANUALS / manual])
    questions = [q for q in read_questions(QUESTIONS) if q.manual == manual and q.kind == "parameter"]
    row = next(r for r in measure(store, questions, goals={}).rows if (r.split, r.method) == ("all", "hybrid"))
    assert row.recall[5].value >= 0.95
