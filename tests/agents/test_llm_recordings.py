"""``--record`` and ``replay:``: what was recorded answers again, at no cost, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.budget import Budget
from agents.llm import LLM, LLMSettings, Refused, Request, settings_from_options
from agents.llm.recordings import Recorder, Replay
from agents.llm.secrets import Redactor
from agents.protocols import Cost
from sysmith_errors import InputError, SysmithError

from .llm_helpers import Point, Scripted, asking, client

KEY = "planted-0123456789"


def record(folder: Path, *models: str) -> None:
    redactor = Redactor({"TOY_KEY": KEY})
    transports = [
        Recorder(Scripted([f'{{"x": 1, "why": "{name} {KEY}"}}'], model=name), folder, redactor) for name in models
    ]
    llm = client(*transports)
    for tier in range(len(models)):
        llm.ask(asking(), Point, problem="p", phase="a", tier=tier)


def replay(models: str, budget: Budget | None = None) -> LLM:
    settings = LLMSettings(models=tuple(models.split(",")), max_tokens=1000)
    return LLM.open(settings.models, settings=settings, budget=budget or Budget(), log=None, say=lambda text: None)


def test_a_recording_answers_as_the_model_did_at_no_cost(tmp_path: Path) -> None:
    record(tmp_path / "deep" / "er", "cheap")
    budget = Budget()
    answer = replay(f"replay:{tmp_path}/deep/er", budget).ask(asking(), Point, problem="p", phase="a")
    assert answer.value == Point(x=1, why="cheap [redacted TOY_KEY]")
    assert answer.source == "llm:cheap"
    assert budget.spent == Cost(calls=1)


def test_a_file_of_lines_holds_the_answers_and_not_what_was_asked(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "answers.jsonl"
    record(file, "cheap", "strong")
    content = file.read_text()
    assert len(content.splitlines()) == 2
    assert KEY not in content
    assert asking()[0].content not in content
    assert sorted(json.loads(content.splitlines()[0])) == ["completion", "key", "model", "schema_version"]
    llm = replay(f"replay:{file}#cheap,replay:{file}#strong")
    for tier, name in enumerate(("cheap", "strong")):
        answer = llm.ask(asking(), Point, problem="p", phase="a", tier=tier)
        assert answer.value == Point(x=1, why=f"{name} [redacted TOY_KEY]")


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_that_a_kill_cut_off_is_dropped_and_recorded_again(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "answers.jsonl"
    record(file, "cheap", "strong")
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    assert replay(f"replay:{file}").models == ("cheap",)
    record(file, "strong")
    assert [json.loads(line)["model"] for line in file.read_text().splitlines()] == ["cheap", "strong"]
    file.write_bytes(b"{}\n" + whole)
    with pytest.raises(InputError, match=r"answers.jsonl, line 1 is damaged"):
        Replay(file)


def test_recordings_of_two_models_need_a_choice(tmp_path: Path) -> None:
    record(tmp_path, "cheap", "org/strong")
    names = f"replay:{tmp_path}#cheap,replay:{tmp_path}#org/strong"
    with pytest.raises(InputError, match="are of 2 models") as caught:
        replay(f"replay:{tmp_path}")
    assert names in str(caught.value)
    llm = replay(names)
    assert [llm.ask(asking(), Point, problem="p", phase="a", tier=tier).source for tier in (0, 1)] == [
        "llm:cheap",
        "llm:org/strong",
    ]
    with pytest.raises(InputError, match="have none of model 'weak'"):
        replay(f"replay:{tmp_path}#weak")


def test_a_request_that_was_not_recorded_is_refused(tmp_path: Path) -> None:
    record(tmp_path, "cheap")
    with pytest.raises(Refused, match=r"no recording in .* answers request [0-9a-f]{12} to cheap") as caught:
        replay(f"replay:{tmp_path}").ask(asking("something else"), Point, problem="p", phase="a")
    assert not caught.value.lasting


def test_secrets_are_not_recorded(tmp_path: Path) -> None:
    record(tmp_path, "cheap")
    for path in tmp_path.iterdir():
        assert KEY not in path.read_text()
        assert path.name == f"{json.loads(path.read_text())['key']}.json"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema_version": 2}', "has schema_version 2, not 1"),
        ('{"schema_version": 1, "key": 3, "request": {"model": "m"}}', "key and model must be text"),
        (
            '{"schema_version": 1, "key": "k", "request": {"model": "m"}, "completion": {}}',
            "completion.text must be text",
        ),
    ],
)
def test_a_damaged_recording_is_named(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(InputError, match=says):
        Replay(tmp_path)


def test_a_field_that_no_completion_has_is_named(tmp_path: Path) -> None:
    request = Request("m", tuple(asking()), 10)
    document = {"schema_version": 1, "key": request.key, "request": {"model": "m"}, "completion": {"text": "", "x": 1}}
    (tmp_path / "bad.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"bad.json is damaged"):
        Replay(tmp_path).complete(request, None)


def test_folders_that_cannot_serve_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        Replay(tmp_path / "none")
    with pytest.raises(InputError, match="holds no recordings"):
        Replay(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--record: folder .* cannot be made"):
        Recorder(Scripted(["{}"]), tmp_path / "file", Redactor({}))
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InputError, match=r"--record: .*folder.jsonl cannot be written"):
        Recorder(Scripted(["{}"]), tmp_path / "folder.jsonl", Redactor({}))
    with pytest.raises(InputError, match="'replay:' names no folder"):
        replay("replay:")


def test_a_folder_that_goes_away_is_said_in_a_sentence(tmp_path: Path) -> None:
    recorder = Recorder(Scripted(['{"x": 1}']), tmp_path / "r", Redactor({}))
    (tmp_path / "r").rmdir()
    with pytest.raises(SysmithError, match="--record: cannot write"):
        client(recorder).ask(asking(), Point, problem="p", phase="a")


def test_a_mark_in_the_name_of_a_folder_is_no_model(tmp_path: Path) -> None:
    record(tmp_path / "a#b", "cheap")
    assert replay(f"replay:{tmp_path}/a#b").models == ("cheap",)
    assert settings_from_options(f"replay:{tmp_path}/a#b").models == (f"replay:{tmp_path}/a#b",)
