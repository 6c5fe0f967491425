"""A planted key, used for real against a local server, is found nowhere: on disk, on screen, in a child."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from agents.budget import Budget
from agents.events import EventLog
from agents.llm import LLM, LLMError, child_environment, settings_from_options
from harness.sandbox import Tier, prepare

from .llm_helpers import Calm, Point, asking, start_toy
from .openai_server import Asked, OpenAIServer, Reply

KEY = "planted-0a1b2c3d4e5f6g7h8i9j"  # of no well-known shape, so that only its name gives it away
OTHER = "another/planted+secret=value"
ENV = {"OPENAI_API_KEY": KEY, "DATABASE_PASSWORD": OTHER}
OPTIONS = ["--models", "openai/toy", "--price-in", "1", "--price-out", "1"]


def tainted(folder: Path) -> list[str]:
    """Files below ``folder`` with a secret in their name or content, also in the encodings a leak would use."""
    raw = [secret.encode() for secret in (KEY, OTHER)]
    forms = [*raw, *(base64.b64encode(one)[:-4] for one in raw), *(one.hex().encode() for one in raw)]
    forms += [json.dumps(OTHER).encode()[1:-1], b"another%2Fplanted%2Bsecret"]
    found = []
    for path in folder.rglob("*"):
        content = str(path).encode() + (path.read_bytes() if path.is_file() else b"")
        found += [f"{path}: {form!r}" for form in forms if form in content]
    return found


def echo(asked: Asked) -> Reply:
    """An honest-looking answer that carries what the server knows, and at first an error that does."""
    tried = asked.prompt.count("f(x) = ")
    key = asked.headers["Authorization"]
    reason = f"{key} {OTHER} {base64.b64encode(key.encode()).decode()} {key.encode().hex()}"
    return Reply(json.dumps({"x": [2.0, 1.0, -0.5122][tried], "reason": reason[:490]}))


@pytest.mark.slow
def test_a_planted_key_is_used_and_found_nowhere(tmp_path: Path) -> None:
    replies = iter([Reply(f"overloaded, key {KEY} and {OTHER}", status=503), Reply(f'{{"x": "{KEY}"}}')])
    with OpenAIServer(lambda asked: next(replies, None) or echo(asked)) as server:
        env = ENV | {"OPENAI_BASE_URL": server.url}
        process = start_toy(tmp_path / "run", *OPTIONS, "--record", str(tmp_path / "kept"), env=env)
        out, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        assert all(asked.headers["Authorization"] == f"Bearer {KEY}" for asked in server.requests)
        assert not [asked for asked in server.requests if KEY.encode() in asked.raw or OTHER.encode() in asked.raw]
    log = (tmp_path / "run" / "events.jsonl").read_text()
    assert "[redacted OPENAI_API_KEY]" in log  # it was there to be caught
    assert "[redacted DATABASE_PASSWORD]" in log
    assert len(list((tmp_path / "kept").iterdir())) == 4
    assert tainted(tmp_path) == []
    assert KEY not in out + err
    assert OTHER not in out + err


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_server_that_echoes_the_key_in_its_error_gives_nothing_away(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    with OpenAIServer([Reply(f"Incorrect API key: {KEY}. {OTHER}", status=status)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        settings = settings_from_options("openai/toy", price_in=1, price_out=1, record=tmp_path / "kept")
        with EventLog(tmp_path / "events.jsonl") as log:
            llm = LLM.open(settings.models, settings=settings, budget=Budget(), log=log, halt=Calm())
            with pytest.raises(LLMError) as caught:
                llm.ask(asking(f"My key is {KEY}."), Point, problem="p", phase="a")
        assert not [asked for asked in server.requests if KEY.encode() in asked.raw]
    said = "Incorrect API key: [redacted OPENAI_API_KEY]. [redacted DATABASE_PASSWORD]"
    out, err = capfd.readouterr()
    shown = "".join(traceback.format_exception(caught.value))  # what SYSMITH_TRACEBACK=1 prints, causes included
    assert said in (tmp_path / "events.jsonl").read_text()
    assert said in err
    assert said in shown
    assert tainted(tmp_path) == []
    assert KEY not in out + err + shown
    assert OTHER not in out + err + shown


def test_a_child_process_does_not_get_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    program = "import os; print(*(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=child_environment(), capture_output=True, text=True, timeout=60
    )
    assert KEY not in done.stdout
    assert OTHER not in done.stdout
    assert f"PATH={os.environ['PATH']}" in done.stdout


def test_a_sandboxed_child_does_not_get_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kernelgen starts: the judge's environment is made anew, not copied."""
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    launch = prepare(Tier("none", "chosen by the test"), [sys.executable, "-c", "pass"], env={})
    launch.clean()
    assert KEY not in json.dumps(launch.env)
    assert OTHER not in json.dumps(launch.env)
