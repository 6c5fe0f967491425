"""Search terms keep whole names beside their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.tokens import stem, terms


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("osc.max_rpcs_in_flight", {"osc.max_rpcs_in_flight", "max_rpcs_in_flight", "osc", "rpc", "flight"}),
        ("osc.*osc_instance*.max_dirty_mb", {"osc.max_dirty_mb", "max_dirty_mb", "dirti"}),
        ("llite.*.statahead_max", {"llite.statahead_max", "statahead_max"}),
        ("--numjobs", {"numjob"}),
        ("--max-jobs=nr", {"max-jobs", "max_jobs", "job"}),
        ("cluster.min-free-disk", {"cluster.min-free-disk", "min-free-disk", "disk"}),
        ("timeo=n", {"timeo"}),
        ("rate_process=poisson", {"rate_process", "poisson"}),
        ("BatchMode", {"batchmod", "batch", "mode"}),
    ],
)
def test_names_give_themselves_and_their_parts(text: str, wanted: set[str]) -> None:
    assert wanted <= set(terms(text))


def test_both_spellings_of_a_name_meet() -> None:
    assert "io_depth" in set(terms("--io-depth")) & set(terms("io_depth"))


def test_words_of_no_weight_are_dropped() -> None:
    assert terms("What does the client do with it?") == ["client"]


@pytest.mark.parametrize(
    "words",
    [("cache", "caches", "cached", "caching"), ("thread", "threads"), ("retry", "retries"), ("flush", "flushed")],
)
def test_forms_of_a_word_meet(words: tuple[str, ...]) -> None:
    assert len({stem(word) for word in words}) == 1


@given(st.text())
def test_any_text_gives_terms_in_lower_case(text: str) -> None:
    found = terms(text)
    assert all(term and term == term.lower() and not term.isspace() for term in found)
    assert terms(text) == found
