"""``sysmith rules`` from the command line: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from knowledge.rules import Advice, Evidence, Has, OneOf, Rule, Span, weighed
from knowledge.rules_book import RuleBook, document

from ..agents.openai_server import Asked, OpenAIServer, Reply
from ..agents.trials import Toy, run_toy
from .helpers import refusal, said


@pytest.fixture(autouse=True)
def _own_user_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSMITH_RULES_DIR", str(place / "user"))


def rule(n: int = 1, domain: str = "toy") -> Rule:
    condition = (Span("nodes", 16, 64, 32, 32), OneOf("fs", ("lustre",), required=True), Has("dtype", ("f16", "f32")))
    origin = Evidence("run-1", "p", n, "learned", {"objective": 1.5}, 1.7e9)
    words = f"stripe {n} \x1b[31mwas best"
    return Rule(domain, condition, Advice("try", {"stripe": n}, words), evidence=(origin,))


def book() -> RuleBook:
    return RuleBook(Path(".sysmith"))


def test_without_rules_it_says_where_they_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "rules", "list")
    assert code == 0
    assert "no rules" in out
    assert json.loads(said(capsys, "rules", "list", "--json")[1]) == {"schema_version": 1, "rules": []}


def test_rules_are_listed_strongest_first_and_retired_ones_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    strong = weighed(rule(2), Evidence("r", "p", 9, "confirmed"))
    book().merge([rule(1), strong, rule(3, "other")])
    book().retire(rule(3, "other").id, "luck")
    book().merge([rule(4)], "user")
    _, out, _ = said(capsys, "rules", "list")
    lines = out.splitlines()
    assert lines[1].startswith(strong.id)
    assert "0.67  1/0" in lines[1]
    assert len(lines) == 5
    assert sum("  user" in line for line in lines) == 1
    assert lines[-1] == "1 retired rules are not shown (--retired)"
    assert "\x1b" not in out
    assert rule(3, "other").id in said(capsys, "rules", "list", "--retired")[1]
    listed = json.loads(said(capsys, "rules", "list", "--domain", "toy", "--json")[1])["rules"]
    assert [row["strength"] for row in listed] == [strong.strength, 0.5, 0.5]
    assert {row["place"] for row in listed} == {"state", "user"}


def test_one_rule_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    book().merge([rule()])
    _, out, _ = said(capsys, "rules", "show", rule().id[:6])
    for words in (
        "nodes is 16 to 64, seen at 32",
        'fs is "lustre" (required)',
        'dtype has "f16", "f32"',
        "try this candidate",
        '"stripe": 1',
        "run run-1, p, trial 1: objective 1.5",
        "\\x1b[31mwas best",
    ):
        assert words in out
    assert json.loads(said(capsys, "rules", "show", rule().id, "--json")[1])["id"] == rule().id


def test_rules_go_from_one_folder_to_another(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    book().merge([rule(1), rule(2), rule(3, "other")])
    code, out, err = said(capsys, "rules", "export", "mine.json", "--domain", "toy")
    assert (code, out) == (0, "")
    assert "wrote 2 rules to mine.json" in err
    assert json.loads(said(capsys, "rules", "export", "--domain", "toy")[1]) == json.loads(
        Path("mine.json").read_text()
    )
    assert (
        "2 rules added, 0 merged, 0 already known" in said(capsys, "rules", "import", "mine.json", "--state", "new")[1]
    )
    done = json.loads(said(capsys, "rules", "import", "mine.json", "--state", "new", "--json")[1])
    assert (done["added"], len(done["unchanged"])) == ([], 2)
    assert said(capsys, "rules", "import", "mine.json", "--user")[0] == 0
    assert (place / "user" / "rules.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "abc"], ["there is no rule 'abc'", "rules list"]),
        (["retire", "abc"], ["there is no rule 'abc'"]),
        (["import", "none.json"], ["none.json", "cannot be read"]),
        (["import", "broken.json"], ["broken.json: rules[0]: advice.payload 5 is not a JSON object"]),
        (["import", "notes.txt"], ["notes.txt is not JSON"]),
        (["export", "no/where.json"], ["no/where.json", "cannot be written"]),
        (["learn", "xyz"], ["there is no run xyz"]),
        (["learn"], ["there is no run"]),
    ],
)
def test_a_refusal_names_what_is_wrong(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = document([rule()])
    broken["rules"][0]["advice"]["payload"] = 5
    Path("broken.json").write_text(json.dumps(broken))
    Path("notes.txt").write_text("remember the milk")
    line = refusal(capsys, "rules", *arguments)
    for word in words:
        assert word in line


def test_nothing_of_a_file_that_is_wrong_in_one_place_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    mixed = document([rule(1), rule(2)])
    mixed["rules"][1]["confirmed"] = "often"
    Path("mixed.json").write_text(json.dumps(mixed))
    assert "rules[1]: confirmed" in refusal(capsys, "rules", "import", "mixed.json")
    assert book().rules() == []


def test_a_damaged_store_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".sysmith/rules").mkdir(parents=True)
    Path(".sysmith/rules/rules.jsonl").write_text("nonsense\n{}\n")
    assert "rules.jsonl, line 1 is damaged" in refusal(capsys, "rules", "list")


def test_a_rule_is_retired_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    book().merge([rule()])
    _, out, _ = said(capsys, "rules", "retire", rule().id, "--reason", "the disks were replaced")
    assert "is retired: by hand: the disks were replaced" in out
    assert "the disks were replaced" in said(capsys, "rules", "show", rule().id)[1]


def test_an_old_run_is_learned_from_once(capsys: pytest.CaptureFixture[str]) -> None:
    run_toy(Path(".sysmith"), Toy({"a": 9.0, "b": 2.0}))
    assert "1 learned" in said(capsys, "rules", "learn")[1]
    again = json.loads(said(capsys, "rules", "learn", "latest", "--json")[1])
    assert again["learned"] == []
    assert again["problems"] == 1
    assert len(book().rules("toy")) == 1


@pytest.mark.slow
def test_a_model_phrases_new_rules_better(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run_toy(Path(".sysmith"), Toy({"a": 9.0, "b": 2.0}))

    def better(asked: Asked) -> Reply:
        found = re.search(r"BEGIN DATA \w+: rule (\w+)", asked.prompt)
        assert found
        words = "With 32 nodes choose b: it was the best of 2 trials, far ahead of the first choice."
        return Reply(json.dumps({"rules": [{"id": found[1], "words": words}]}))

    with OpenAIServer(better) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key-0123456789")
        said(capsys, "rules", "learn", "--models", "openai/toy", "--price-in", "1", "--price-out", "1")
    (rule_,) = book().rules("toy")
    assert rule_.advice.words.startswith("With 32 nodes choose b")
    assert rule_.advice.payload == {"choice": "b"}


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "rules", "--help")
    for name in ("list", "show", "export", "import", "learn", "retire"):
        assert f"\n  {name} " in out
