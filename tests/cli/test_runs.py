"""``sysmith runs`` from the command line: list, show, tail, diff, export and audit."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agents.events import EventLog
from agents.run_dir import RunDir
from knowledge.rules_book import RuleBook

from ..agents.openai_server import OpenAIServer, Reply
from ..agents.trials import Toy, run_toy
from .helpers import command, environment, modules_loaded_by, refusal, said

STATE = Path(".sysmith")
SCORES: dict[str, float | None] = {"a": 9.0, "b": None}
EVIL = "import socket\n\nsocket.create_connection(('192.0.2.1', 80))\n"


def toy(**more: Any) -> str:
    return run_toy(STATE, Toy(SCORES), **more)[1]


def test_runs_are_listed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [toy(), toy()]
    lines = said(capsys, "runs", "list")[1].splitlines()
    assert [line.split()[0] for line in lines] == ids
    assert said(capsys, "runs", "list", "--command", "kernelgen")[1] == ""
    (STATE / "runs" / ids[0] / "run.json").write_text("{")
    rows = json.loads(said(capsys, "runs", "list", "--json")[1])["runs"]
    assert [bool(row["fault"]) for row in rows] == [True, False]
    assert [row["live"] for row in rows] == [False, False]


def test_a_run_is_shown_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    run_id = toy()
    _, out, _ = said(capsys, "runs", "show")
    assert out.startswith(f"run {run_id}: toy\n")
    assert "  p: passed 9 (2 trials)" in out
    assert "spent: 2 evaluations" in out
    assert "models: none was asked" in out
    document = json.loads(said(capsys, "runs", "show", run_id[:-1], "--json")[1])
    assert document["problems"][0]["objective"] == 9.0
    assert document["spent"]["evaluations"] == 2
    assert document["costs"]["rows"] == []


def test_a_problem_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    _, out, _ = said(capsys, "runs", "show", "latest", "--problem", "p")
    for kind in ("problem_started", "proposal_started", "trial_finished", "problem_finished"):
        assert kind in out
    assert len(json.loads(said(capsys, "runs", "show", "--problem", "p", "--json")[1])["events"]) == 6


def test_a_trial_is_shown_section_by_section(capsys: pytest.CaptureFixture[str]) -> None:
    run_toy(STATE, Toy(SCORES, texts=["def f():\n    \x1b[2J\n"]))
    _, out, _ = said(capsys, "runs", "show", "--trial", "0")
    for words in (
        *("trial 0: passed", "no model was asked", "a from search", "try a"),
        *("== candidate", "-- source", "def f():", "\\x1b[2J", "== lint", "== compile", "== tests", '"passed": 1'),
    ):
        assert words in out
    assert "\x1b" not in out
    assert "b does not work" in said(capsys, "runs", "show", "--trial", "1")[1]
    assert json.loads(said(capsys, "runs", "show", "--trial", "1", "--json")[1])["status"] == "failed"


def with_model(text: str) -> str:
    """A run in which a model was asked, by the real client's own events."""
    from pydantic import BaseModel

    from agents.budget import Budget
    from agents.llm import LLM, LLMSettings, Message

    class Choice(BaseModel):
        choice: str

    settings = LLMSettings(models=("openai/toy",), price_in=10.0, price_out=20.0)
    with RunDir.create(STATE, "toy", {}) as run:
        llm = LLM.open(settings.models, settings=settings, budget=Budget(), log=run.log)
        run.log.append("problem_started", {"analysis": []}, problem="p")
        llm.ask([Message("user", text)], Choice, problem="p", phase="propose")
    run_toy(STATE, Toy(SCORES), run=RunDir.resume(STATE, "toy", run_id=run.info.id))
    return run.info.id


@pytest.mark.slow
def test_costs_and_conversations_are_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([Reply('{"choice": "b"}', prompt_tokens=1000, completion_tokens=500)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key-0123456789")
        run_id = with_model("Which one?")
    _, out, _ = said(capsys, "runs", "show", run_id)
    assert re.search(r"\n  p +propose +openai/toy +1 +0 +1500 +0\.0200\n", out), out
    assert "1 model call, 1500 tokens, $0.0200" in out
    shown = said(capsys, "runs", "show", run_id, "--trial", "0")[1]
    assert "Which one?" in shown
    assert '{"choice": "b"}' in shown
    assert "not-a-real-key" not in out + shown


def test_the_tail_of_an_ended_run(capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    lines = said(capsys, "runs", "tail", "-n", "2")[1].splitlines()
    assert len(lines) == 2
    assert "trial 1: failed b does not work" in lines[0]
    assert "problem_finished dry" in lines[1]
    rows = [json.loads(line) for line in said(capsys, "runs", "tail", "--json", "-n", "99")[1].splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, 7))


def test_a_live_run_is_followed_and_interrupting_the_tail_leaves_it_alone(place: Path) -> None:
    with RunDir.create(STATE, "toy", {}) as run:
        log: EventLog = run.log
        log.append("step", {"n": 1}, problem="p")
        process = subprocess.Popen(
            command("runs", "tail", "--json"),
            cwd=place,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["data"] == {"n": 1}
        log.append("step", {"n": 2}, problem="p")
        assert json.loads(process.stdout.readline())["data"] == {"n": 2}
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in err
        log.append("step", {"n": 3}, problem="p")


def test_two_runs_compared(capsys: pytest.CaptureFixture[str]) -> None:
    first, same = toy(), toy()
    worse = run_toy(STATE, Toy({"b": None}), options={"n": 2})[1]
    code, out, _ = said(capsys, "runs", "diff", first, same)
    assert code == 0
    assert "1 problem ended the same" in out
    code, out, _ = said(capsys, "runs", "diff", first, worse)
    assert code == 1
    assert "option n: 1 -> 2" in out
    assert "lost     p: passed 9 by search -> failed by search (b does not work)" in out
    code, out, _ = said(capsys, "runs", "diff", worse, first, "--json")
    assert (code, json.loads(out)["gained"]) == (0, ["p"])
    sooner = run_toy(STATE, Toy({"c": 1.0, "a": 9.0}))[1]
    assert (
        "equally good, mean of 1 problem: 1.0 -> 1.0 (saved 0.0; fewer"
        in said(capsys, "runs", "diff", first, sooner)[1]
    )


def test_a_run_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    run_id = toy()
    assert json.loads(said(capsys, "runs", "export")[1])["id"] == run_id
    code, out, err = said(capsys, "runs", "export", run_id, "run.json")
    assert (code, out) == (0, "")
    assert f"wrote run {run_id} to run.json" in err
    assert len(json.loads(Path("run.json").read_text())["events"]) == 6
    said(capsys, "runs", "export", run_id, "run.tar.gz")
    with tarfile.open("run.tar.gz") as archive:
        assert f"{run_id}/events.jsonl" in archive.getnames()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "x"], ["there is no run x", "sysmith runs list"]),
        (["show", "--problem", "q"], ["has no problem 'q'"]),
        (["show", "--trial", "7"], ["p has trials 0 to 1, not 7"]),
        (["show", "--trial", "-1"], ["--trial", "greater than or equal to 0"]),
        (["diff", "x"], ["there is no run x"]),
        (["tail", "x"], ["there is no run x"]),
        (["export", "latest", "no/where.json"], ["cannot be written"]),
        (["audit", "x"], ["there is no run x"]),
        (["audit", "--rules", "none.toml"], ["none.toml", "cannot be read"]),
        (["audit", "--models", "replay:none"], ["none"]),
    ],
)
def test_a_refusal_names_what_is_wrong(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    toy()
    line = refusal(capsys, "runs", *arguments)
    for word in words:
        assert word in line


def test_a_damaged_log_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    run_id = toy()
    log = STATE / "runs" / run_id / "events.jsonl"
    log.write_bytes(b"nonsense\n" + log.read_bytes())
    for arguments in (["show"], ["tail"], ["export"], ["audit"], ["diff", run_id]):
        assert "events.jsonl, line 1" in refusal(capsys, "runs", *arguments)


def test_an_honest_run_passes_the_audit_and_a_hostile_one_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    code, out, _ = said(capsys, "runs", "audit")
    assert (code, "0 severe, 0 warnings, 0 notes" in out) == (0, True)
    run_toy(STATE, Toy(SCORES, texts=[EVIL]))
    code, out, _ = said(capsys, "runs", "audit")
    assert code == 1
    assert out.startswith("severe   network: reached for the network (2 places)\n         in p, trial 0 (event 2,")
    assert "a closer look: the code imports or calls socket" in out
    document = json.loads(said(capsys, "runs", "audit", "--json")[1])
    assert (document["severe"], document["findings"][0]["rule"]) == (1, "network")


def test_rules_of_the_user_decide_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    run_toy(STATE, Toy(SCORES, texts=[EVIL]))
    Path("off.toml").write_text('[[rule]]\nid = "network"\nseverity = "off"\n')
    assert said(capsys, "runs", "audit", "--rules", "off.toml")[0] == 0


@pytest.mark.slow
def test_a_model_is_asked_about_what_was_flagged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_toy(STATE, Toy(SCORES, texts=[EVIL]))[1]
    before = sorted((path, path.stat().st_mtime_ns) for path in (STATE / "runs" / run_id).rglob("*"))
    with OpenAIServer([Reply('{"verdict": "attack", "reason": "It connects to an address."}')]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key-0123456789")
        model = ["--models", "openai/toy", "--price-in", "1", "--price-out", "1"]
        code, out, _ = said(capsys, "runs", "audit", *model)
        assert len(server.requests) == 1
        assert "socket.create_connection" in server.requests[0].prompt
    assert code == 1
    assert "a model says: attack: It connects to an address." in out
    assert sorted((path, path.stat().st_mtime_ns) for path in (STATE / "runs" / run_id).rglob("*")) == before


def test_a_planted_secret_is_found_and_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_API_KEY", "planted-secret-0123456789")
    run_toy(STATE, Toy(SCORES, texts=["key = 'planted-secret-0123456789'\n"]))
    code, out, err = said(capsys, "runs", "audit")
    assert code == 1
    assert "secret: holds a secret" in out
    assert "planted-secret" not in out + err
    assert "planted-secret" not in said(capsys, "runs", "export")[1]


def test_runs_with_rules_read_back_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSMITH_RULES_DIR", "user")
    scores: dict[str, float | None] = {"a": 9.0, "b": 2.0}
    for _ in range(2):
        run_toy(STATE, Toy(scores), book=RuleBook(STATE))
    _, out, _ = said(capsys, "runs", "show", "--trial", "0")
    assert "from knowledge" in out
    assert "cites rule:" in out
    assert said(capsys, "runs", "audit")[0] == 0
    assert "rules: 1 offered, 1 confirmed" in said(capsys, "runs", "show")[1]


def test_reading_back_loads_nothing_heavy(place: Path) -> None:
    toy()
    for arguments in (["runs", "show"], ["runs", "audit"], ["runs", "list"]):
        _, loaded = modules_loaded_by(*arguments, cwd=place)
        assert {"torch", "litellm", "numpy", "rich"} & loaded == set()
