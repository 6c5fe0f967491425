"""The toy problem with a model, end to end in processes of their own: mailbox from a second shell, replay, limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agents.events import read_events

from .llm_helpers import start_toy, wait_for
from .openai_server import Asked, OpenAIServer, Reply

PRICES = ["--price-in", "1", "--price-out", "5"]
# A second shell with nothing but standard tools: it waits for each request and answers it.
SHELL = """
set -eu
cd "$1"
n=0
for x in 4 -2.5 -0.5122; do
  n=$((n + 1)); name=$(printf '%04d' $n)
  until [ -e $name.request.md ]; do sleep 0.1; done
  grep -q 'lowest point of a curve' $name.request.md
  printf '### x\\n%s\\n### reason\\nattempt %d\\n' $x $n > draft; mv draft $name.response.md
done
"""


def test_a_person_answers_from_a_second_shell(tmp_path: Path) -> None:
    box = tmp_path / "mailbox"
    box.mkdir()
    process = start_toy(tmp_path)
    subprocess.run(["bash", "-c", SHELL, "second", str(box)], check=True, timeout=60)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert out.startswith("x = -0.5122, y = -9.7318 after 3 trials: trial 2 reached")
    assert "3 model calls" in out
    assert "waiting for" in err
    page = (box / "0003.request.md").read_text()
    assert "x = 4: f(x) = 10.6343 (attempt 1)\nx = -2.5: f(x) = -3.13" in page


def test_stopped_while_waiting_it_resumes_with_the_request_that_waits(tmp_path: Path) -> None:
    process = start_toy(tmp_path)
    wait_for(tmp_path / "mailbox" / "0001.request.md", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Resume the run to carry on." in err
    assert "Traceback" not in err

    process = start_toy(tmp_path)
    (tmp_path / "mailbox" / "0001.response.md").write_text('{"x": -0.5122}')
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert len(list((tmp_path / "mailbox").glob("*.request.md"))) == 1


def test_the_clock_ends_a_wait_with_exit_code_3_and_the_request_stays(tmp_path: Path) -> None:
    process = start_toy(tmp_path, "--max-seconds", "0.5")
    out, _ = process.communicate(timeout=150)
    assert process.returncode == 3
    assert "the limit of 0.5 seconds for the run is reached" in out
    assert (tmp_path / "mailbox" / "0001.request.md").exists()


@pytest.mark.parametrize("options", [["--price-in", "1"], ["--models", "replay:nowhere"], ["--models", "replay:"]])
def test_bad_options_are_one_sentence_and_exit_code_2(options: list[str], tmp_path: Path) -> None:
    process = start_toy(tmp_path, *options)
    _, err = process.communicate(timeout=150)
    assert process.returncode == 2
    assert err.startswith("mailbox_toy: ")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_recorded_once_it_replays_without_a_server_and_stops_at_its_limits(tmp_path: Path) -> None:
    points = [3.0, -2.0, -0.5122]

    def reply(asked: Asked) -> Reply:
        tried = asked.prompt.count("f(x) = ")
        return Reply(json.dumps({"x": points[tried]}), prompt_tokens=1000, completion_tokens=10)

    record = ["--record", str(tmp_path / "kept")]
    with OpenAIServer(reply) as server:
        env = {"OPENAI_BASE_URL": server.url}
        options = ["--models", "openai/toy", *PRICES, *record]
        process = start_toy(tmp_path / "limited", *options, "--max-calls", "2", env=env)
        out, err = process.communicate(timeout=150)
        assert process.returncode == 3, err
        assert "the limit of 2 model calls for the run is reached" in out
        assert "2 model calls, 2020 tokens, $0.002100" in out
        # The limit raised, it carries on: two calls are in the log, the third is made.
        process = start_toy(tmp_path / "limited", *options, "--max-calls", "3", env=env)
        recorded, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        assert "3 model calls, 3030 tokens, $0.003150" in recorded
        assert len(server.requests) == 3
    process = start_toy(tmp_path / "replayed", "--models", f"replay:{tmp_path / 'kept'}")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert out.split("\n")[0] == recorded.split("\n")[0]
    assert "3 model calls, 0 tokens, $0.000000" in out
    assert proposals(tmp_path / "replayed") == proposals(tmp_path / "limited")


def proposals(folder: Path) -> list[object]:
    events = read_events(folder / "events.jsonl")
    return [event.data["proposal"] for event in events if event.kind == "proposal_started"]


def test_the_help_of_the_example_answers(tmp_path: Path) -> None:
    process = start_toy(tmp_path, "--help", env={"COLUMNS": "100", "HOME": os.environ.get("HOME", "/")})
    out, _ = process.communicate(timeout=150)
    assert process.returncode == 0
    assert "--models" in out
