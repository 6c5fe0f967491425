"""``sysmith knowledge search`` and ``score`` with a model: what is printed, kept, refused and spent."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.llm import Request, Unreachable

from ..agents.llm_helpers import Scripted, Step, wait_for
from ..agents.test_looking_up import answer_all, by_phase
from .helpers import command, environment, refusal, said, sysmith

CACHE = """# Cache guide

- `cache.size` - How many bytes are kept in memory.
- `cache.age` - Seconds before an entry goes.
- `peer.timeout` - Seconds without a reply after which a peer counts as dead.
- `peer.count` - How many peers there are.
"""
GOOD = '{"phrases": ["peer.timeout"], "passage": "Seconds without a reply.", "manuals": [1]}'
QUESTIONS = (
    {"id": "a", "question": "What is cache.size?", "kind": "parameter", "source": "cache.md", "section": "cache.size"},
    {"id": "b", "question": "when is a silent one given up", "source": "cache.md", "section": "peer.timeout"},
    {"id": "c", "question": "how long do things stay", "source": "cache.md", "section": "cache.age"},
)
MODEL = ("--models", "any/model")

Fake = Callable[..., list[Scripted]]


@pytest.fixture(autouse=True)
def built_in_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.embedding.preferred", lambda: "lsa")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Every litellm name is a model of this script; the models that were opened are listed."""

    def use(rewrite: Step, rerank: Step = '{"best": []}') -> list[Scripted]:
        opened: list[Scripted] = []

        def make(name: str, price: Any, redactor: Any) -> Scripted:
            opened.append(Scripted([by_phase(rewrite, rerank)], model=name))
            return opened[-1]

        monkeypatch.setattr("agents.llm.opening.LitellmTransport", make)
        return opened

    return use


@pytest.fixture(autouse=True)
def manuals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "cache.md").write_text(CACHE)
    (place / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    assert said(capsys, "knowledge", "add", "cache.md")[0] == 0


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    ended, out, err = said(capsys, "knowledge", *arguments, "--json")
    assert ended == code, err
    found: dict[str, Any] = json.loads(out)
    assert found["schema_version"] == 1
    return found


def places(found: dict[str, Any]) -> list[str]:
    return [passage["section"].rpartition(" > ")[2] for passage in found["passages"]]


def test_a_search_with_a_model(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    (opened,) = [fake(GOOD, '{"best": [2]}')]
    code, out, err = said(capsys, "knowledge", "search", "when is a silent one given up", "--top", "2", *MODEL)
    assert code == 0
    assert out.startswith("[1] cache.md:")
    assert out.splitlines()[-1] == ""
    assert err.splitlines() == [
        "also searched for: peer.timeout",
        "preferred: cache.md",
        "the model put passages 2 of the search first",
        "model any/model: 2 calls, 300 tokens, $0.0004",
    ]
    found = document(capsys, "search", "when is a silent one given up", "--top", "2", *MODEL)
    assert places(found)[1] == "peer.timeout"
    assert found["model"] == {
        "models": ["any/model"],
        "asked_for": ["rewrite", "rerank"],
        "cost": {"calls": 2, "tokens": 300, "dollars": 0.0004},
        "rewrite": {"phrases": ["peer.timeout"], "passage": "Seconds without a reply.", "manuals": ["cache.md"]},
        "rerank": {"named": 1, "before": [2, 1]},
        "failures": {},
    }
    assert [len(model.requests) for model in opened] == [2, 2]


def test_without_models_nothing_is_asked_or_said(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    opened = fake(GOOD)
    assert "model" not in document(capsys, "search", "peers")
    report = document(capsys, "score", "q.jsonl", "--no-rewrite", "--no-rerank")
    assert "model" not in report
    assert report["goal_method"] == "hybrid"
    assert {row["method"] for row in report["rows"]} == {"hybrid", "bm25", "vectors"}
    assert opened == []


def test_score_has_one_more_method_and_goals_judge_it(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    def words(request: Request) -> str:
        name = "cache.age" if "how long do things stay" in request.messages[1].content else "peer.timeout"
        return json.dumps({"phrases": [name], "passage": f"{name} says it."})

    opened = fake(words)
    goals = ("--goal", "parameter=1", "--goal", "paraphrase=1")
    report = document(capsys, "score", "q.jsonl", *goals, *MODEL)
    assert report["goal_method"] == "model"
    assert report["missed_goals"] == []
    assert report["ranks"]["a"]["model"] == report["ranks"]["b"]["model"] == 1
    assert report["ranks"]["b"]["hybrid"] is None
    row = next(r for r in report["rows"] if (r["kind"], r["method"]) == ("paraphrase", "model"))
    assert row["recall"]["5"]["value"] == 1
    assert report["model"]["cost"]["calls"] == len(opened[0].requests) == 6
    assert report["model"]["without"] == {"rewrite": [], "rerank": []}
    assert report["model"]["questions"]["c"]["rewrite"]["phrases"] == ["cache.age"]
    code, out, err = said(capsys, "knowledge", "score", "q.jsonl", *goals, *MODEL)
    assert code == 0
    assert sum(" model " in line for line in out.splitlines()) == 2
    assert "rewrite: asking any/model about 3 questions" in err
    assert "goals are those of the method model" in err
    assert "model any/model: 6 calls, 900 tokens, $0.0012" in err


def test_a_goal_that_the_model_misses_is_exit_code_1(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    fake('{"phrases": []}', '{"best": [4, 3, 2]}')
    code, _, err = said(capsys, "knowledge", "score", "q.jsonl", "--goal", "parameter=1", *MODEL)
    assert code == 0, err
    many = "".join(f"- `other.{n}` - What is it, and what size?\n" for n in range(12))
    Path("cache.md").write_text(CACHE + many)
    said(capsys, "knowledge", "add", "cache.md")
    fake('{"phrases": []}', '{"best": [10, 9, 8, 7, 6]}')
    code, _, err = said(capsys, "knowledge", "score", "q.jsonl", "--goal", "parameter=1", *MODEL)
    assert code == 1
    assert "recall@5 of model for parameter questions is 0.000, below the goal 1" in err


def test_a_model_that_fails_changes_no_exit_code_and_is_counted(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    fake("no answer at all", Unreachable("any/model cannot be reached"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.llm.calling.FIRST_WAIT_S", 0.0)
        found = document(capsys, "search", "peers", *MODEL)
        report = document(capsys, "score", "q.jsonl", *MODEL)
        code, _, err = said(capsys, "knowledge", "score", "q.jsonl", *MODEL)
    assert places(found) == places(document(capsys, "search", "peers"))
    assert set(found["model"]["failures"]) == {"rewrite", "rerank"}
    assert all(ranks["model"] == ranks["hybrid"] for ranks in report["ranks"].values())
    assert report["model"]["without"] == {"rewrite": ["a", "b", "c"], "rerank": ["a", "c"]}  # b finds one passage
    assert code == 0
    assert "model: 3 of 3 questions went without its rewrite: a, b, c" in err


def test_answers_are_recorded_and_replayed_for_nothing(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    fake(GOOD, '{"best": [3, 1]}')
    first = document(capsys, "score", "q.jsonl", *MODEL, "--record", "kept")
    opened = fake(GOOD)
    again = document(capsys, "score", "q.jsonl", "--models", "replay:kept")
    assert opened == []
    assert again["rows"] == first["rows"]
    assert again["ranks"] == first["ranks"]
    assert again["model"]["questions"] == first["model"]["questions"]
    assert again["model"]["cost"]["tokens"] == 0


@pytest.mark.parametrize("kept", ["kept", "kept.jsonl"])
def test_a_spent_budget_is_exit_code_3_and_can_be_carried_on(
    capsys: pytest.CaptureFixture[str], fake: Fake, kept: str
) -> None:
    opened = fake(GOOD, '{"best": [1]}')
    limited = (*MODEL, "--record", kept, "--max-calls", "4")
    report = document(capsys, "score", "q.jsonl", "--goal", "parameter=1", *limited, code=3)
    assert {row["method"] for row in report["rows"]} == {"hybrid", "bm25", "vectors"}
    assert all("model" not in ranks for ranks in report["ranks"].values())
    assert "limit of 4 model calls" in report["stopped"]
    assert report["missed_goals"] == []
    assert report["model"]["cost"]["calls"] == 4
    code, out, err = said(capsys, "knowledge", "score", "q.jsonl", *MODEL, "--max-calls", "1")
    assert code == 3
    assert "hybrid" in out
    assert "the rewrite of 1 of 3 questions was answered" in err
    assert "--models replay:DIR,MODEL" in err
    opened.clear()
    report = document(capsys, "score", "q.jsonl", "--models", f"replay:{kept},any/model", "--record", kept)
    assert len(opened[0].requests) == 2  # 6 were needed, 4 are kept
    assert report["model"]["cost"]["tokens"] == 300


def test_a_search_whose_budget_ends_shows_what_was_found_without_the_model(
    capsys: pytest.CaptureFixture[str], fake: Fake
) -> None:
    fake(GOOD, '{"best": [2]}')
    _, plain, _ = said(capsys, "knowledge", "search", "peers")
    code, out, err = said(capsys, "knowledge", "search", "peers", *MODEL, "--max-calls", "1")
    assert (code, out) == (3, plain)
    assert "what is shown was found without the model\nsysmith: the limit of 1 model calls" in err
    found = document(capsys, "search", "peers", *MODEL, "--max-calls", "1", code=3)
    assert "limit of 1 model calls" in found["model"]["stopped"]
    assert found["model"]["cost"]["calls"] == 1


@pytest.mark.slow
def test_an_interrupt_ends_it_in_good_order_and_answers_are_kept(place: Path) -> None:
    arguments = ("knowledge", "score", "q.jsonl", "--models", "mailbox:box", "--json")
    for kill, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)):
        process = subprocess.Popen(
            command(*arguments), cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        while "rewrite: asking mailbox" not in (line := process.stderr.readline()):
            assert line, "it ended before it asked anything"
        wait_for(place / "box" / "0003.request.md", process)
        if kill == signal.SIGINT:
            # Two of three are answered, and read: a half-written answer is left alone for a moment.
            for number in (1, 2):
                (place / "box" / f"000{number}.response.md").write_text(GOOD)
            time.sleep(2)
        process.send_signal(kill)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (code, "")
        assert "Traceback" not in err
        if kill == signal.SIGINT:
            assert "the rewrite of 2 of 3 questions was answered" in err
    assert len(list((place / "box").glob("*.request.md"))) == 3
    done = threading.Thread(target=answer_all, args=(place / "box", 3, lambda page: GOOD), daemon=True)
    rest = threading.Thread(target=answer_all, args=(place / "box", 6, lambda page: '{"best": []}'), daemon=True)
    done.start()
    done.join(20)
    rest.start()
    ended = sysmith(*arguments, cwd=place)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["model"]["cost"]["calls"] == 6


def test_a_mailbox_end_to_end(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    def person() -> None:
        answer_all(place / "box", 3, lambda page: GOOD)
        answer_all(place / "box", 6, lambda page: '{"best": [2, 1]}')

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    report = document(capsys, "score", "q.jsonl", "--within", "--models", "mailbox:box")
    thread.join(20)
    assert report["model"]["cost"] == report["model"]["cost"] | {"calls": 6, "dollars": 0.0}
    assert all(one["rerank"]["before"][:2] == [2, 1] for one in report["model"]["questions"].values())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "x", *MODEL, "--no-rewrite", "--no-rerank"], "nothing is left to ask"),
        (["search", "x", "--models", "replay:nowhere"], "there is no folder nowhere"),
        (["score", "q.jsonl", *MODEL, "--price-in", "1"], "--price-in is given without --price-out"),
        (["search", " ", *MODEL], "the question is empty"),
        (["search", "x", *MODEL, "--source", "none"], "no manual is called 'none'"),
        (["search", "x", *MODEL, "--method", "magic"], "--method 'magic' is not known"),
        (["score", "bad.jsonl", *MODEL], "question 1: cache.md has no section 'Nothing'"),
        (["score", "q.jsonl", *MODEL, "--jobs", "0"], "Invalid value for '--jobs'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_paid(
    capsys: pytest.CaptureFixture[str], fake: Fake, place: Path, arguments: list[str], says: str
) -> None:
    (place / "bad.jsonl").write_text('{"question": "x", "source": "cache.md", "section": "Nothing"}\n')
    opened = fake(GOOD)
    assert says in refusal(capsys, "knowledge", *arguments)
    assert all(model.requests == [] for model in opened)


def test_a_model_steers_no_terminal(capsys: pytest.CaptureFixture[str], fake: Fake) -> None:
    fake('{"phrases": ["\\u001b[31mred", "\\u202eback"], "passage": "\\u0007"}')
    _, out, err = said(capsys, "knowledge", "search", "peers", *MODEL)
    assert not {"\x1b", "\u202e", "\x07"} & set(out + err)
    assert "also searched for: \\x1b[31mred; \\u202eback" in err
