"""Pools: nothing twice, nothing that says who found it, and the same ids in a later pool."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.passages import Passage
from knowledge.pool import merge, pool, pool_id, read_judgements
from knowledge.questions import Place, Question
from knowledge.score import measure
from knowledge.store import KnowledgeStore
from sysmith_errors import InputError

ROOT = Path(__file__).resolve().parents[2]
ASKED = Question("q1", "How many requests are in flight?", (Place("a.md", "io.depth"),), manual="a.md")
FOUND = [Passage(f"text {n}", f"m{n % 3}", f"A > S{n}", n + 1, 1.0) for n in range(12)]
MANUAL = "# A\n\n- `io.depth` - Requests in flight.\n- `io.size` - Bytes of a request.\n"


@given(st.lists(st.lists(st.sampled_from(FOUND), unique=True, max_size=5), max_size=4))
def test_a_pool_is_the_union_in_an_order_of_its_own(answers: list[list[Passage]]) -> None:
    made = merge(ASKED, answers)
    assert {p for _, p in made.passages} == {p for answer in answers for p in answer}
    assert len({i for i, _ in made.passages}) == len(made.passages)
    # Neither the order of the methods nor their ranks and scores show.
    signed = [[replace(p, score=9.0, also=("m:1",)) for p in reversed(answer)] for answer in reversed(answers)]
    assert merge(ASKED, signed).document() == made.document()


def test_ids_hold_for_a_question_and_a_passage() -> None:
    other = Question("q2", "Another one?", ASKED.places)
    assert pool_id(ASKED, FOUND[0]) == pool_id(replace(ASKED, id="renamed"), FOUND[0])
    assert len({pool_id(ASKED, p) for p in FOUND} | {pool_id(other, p) for p in FOUND}) == 2 * len(FOUND)


def test_a_pool_of_two_stores(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MANUAL)
    (tmp_path / "b.md").write_text("# B\n\nRequests in flight are counted.\n")
    stores = [KnowledgeStore.open(tmp_path / name) for name in ("one", "two")]
    stores[0].add([tmp_path / "a.md"])
    stores[1].add([tmp_path / "a.md", tmp_path / "b.md"])
    made = pool(ASKED, stores)
    assert {p.source for _, p in made.passages} == {"a.md", "b.md"}
    assert {p.source for _, p in pool(ASKED, stores, within=True).passages} == {"a.md"}
    document = made.document()
    assert {field for shown in document["passages"] for field in shown} == {"id", "source", "section", "text"}
    assert [row["id"] for row in made.key()] == [shown["id"] for shown in document["passages"]]


def test_judged_passages_count_as_right(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MANUAL)
    store = KnowledgeStore.open(tmp_path / "state")
    store.add([tmp_path / "a.md"])
    asked = replace(ASKED, text="bytes of a request", places=(Place("a.md", "io.depth"),))
    assert measure(store, [asked], goals={}).ranks["q1"]["bm25"] == 2
    right = {i for i, p in pool(asked, [store]).passages if p.section.endswith("io.size")}
    report = measure(store, [asked], goals={"paraphrase": 1.0}, judged=right)
    assert report.ranks["q1"]["bm25"] == 1
    assert measure(store, [replace(asked, text="bytes of requests")], goals={}, judged=right).ranks["q1"]["bm25"] == 2


def test_judgements_are_read(tmp_path: Path) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_text('{"id": "a", "relevant": true, "why": "it says so"}\n\n{"id": "b", "relevant": false}\n')
    assert read_judgements(file) == {"a"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no judgement"),
        ("{", r"judged\.jsonl:1 is not JSON"),
        ("[]", "id is missing"),
        ('{"relevant": true}', "id is missing"),
        ('{"id": "a", "relevant": "yes"}', 'relevant "yes" is not true or false'),
        ('{"id": "a", "relevant": true}\n{"id": "a", "relevant": false}', r":2: id 'a' was judged otherwise"),
        ("\udcff", "it is not text in UTF-8"),
    ],
)
def test_bad_judgements_are_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=says):
        read_judgements(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_judgements(tmp_path / "nowhere")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "examples/knowledge/pool.py", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_example_writes_pools_and_their_key(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MANUAL)
    store = KnowledgeStore.open(tmp_path / "state")
    store.add([tmp_path / "a.md"])
    lines = [
        {"id": "p", "question": "requests in flight", "source": "a.md", "section": "io.depth"},
        {"id": "n", "question": "io.size", "source": "a.md", "section": "io.size", "kind": "parameter"},
    ]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out, key = tmp_path / "pool.jsonl", tmp_path / "key.jsonl"
    arguments = (questions, "--state", tmp_path / "state", "--out", out, "--kind", "paraphrase")
    done = run(*arguments, "--key", key)
    assert (done.returncode, done.stdout) == (0, "1 questions, 2 passages to judge\n"), done.stderr
    (shown,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (shown["question_id"], shown["question"]) == ("p", "requests in flight")
    places = {row["id"]: row for row in map(json.loads, key.read_text().splitlines())}
    assert [places[p["id"]]["section"] for p in shown["passages"]] == [p["section"] for p in shown["passages"]]
    refused = run(questions, "--state", tmp_path / "nothing", "--out", out)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "there is no manual" in refused.stderr
    assert "Traceback" not in refused.stderr
    missing = run(*arguments[:4], tmp_path / "no" / "pool.jsonl")
    assert missing.returncode == 2
    assert "cannot be written" in missing.stderr
