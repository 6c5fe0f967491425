"""``mailbox:DIR``: files out, files in, resumed rather than repeated; the loop around it is in test_llm_toy."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agents.budget import Budget, Limits
from agents.llm import LLM, Message, Request, settings_from_options
from agents.llm.errors import Unreachable
from agents.llm.mailbox import MOST_TOLD, Mailbox
from agents.llm.pricing import Price
from agents.llm.secrets import Redactor
from sysmith_errors import BudgetExhausted, InputError, Interrupted

from .llm_helpers import Point, asking

ASK = Request("mailbox", (Message("system", "You help."), Message("user", "Where?")), 100)
KEY = "planted-0123456789"


def mailbox(folder: Path, pause: Callable[[float], None] = time.sleep) -> Mailbox:
    return Mailbox(
        folder, price=Price(), redactor=Redactor({"TOY_KEY": KEY}), pause=pause, tell=lambda text: None, poll_s=0.02
    )


def put(folder: Path, number: int, text: str) -> None:
    draft = folder / "draft"
    draft.write_text(text)
    draft.rename(folder / f"{number:04}.response.md")


def test_a_request_is_written_and_its_answer_awaited(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    threading.Timer(0.2, lambda: put(folder, 1, '\ufeff{"x": 1}')).start()
    completion = mailbox(folder).complete(ASK, None)
    assert completion.text == '{"x": 1}'
    assert completion.cost.calls == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "0001.request.json",
        "0001.request.md",
        "0001.response.md",
    ]
    document = json.loads((folder / "0001.request.json").read_text())
    assert document["schema_version"] == 1
    assert document["key"] == ASK.key
    assert document["request"] == ASK.to_json()


def test_many_requests_that_wait_are_not_all_named(tmp_path: Path) -> None:
    told: list[str] = []
    box = Mailbox(tmp_path, price=Price(), redactor=Redactor({}), pause=time.sleep, tell=told.append, poll_s=0.02)
    for n in range(MOST_TOLD + 5):
        with pytest.raises(Unreachable):
            box.complete(replace(ASK, seed=n), 0.0)
    assert len(told) == MOST_TOLD
    assert told[0].startswith(f"waiting for {tmp_path / '0001.response.md'}")
    assert told[-1].startswith(f"more requests wait for their answers in {tmp_path}")


def test_the_page_tells_a_stranger_what_to_do(tmp_path: Path) -> None:
    put(tmp_path, 1, "an answer")
    (tmp_path / "0001.response.md").rename(tmp_path / "0002.response.md")
    threading.Timer(0.1, lambda: put(tmp_path, 1, "x")).start()
    mailbox(tmp_path).complete(ASK, 5)
    page = (tmp_path / "0001.request.md").read_text()
    assert page.startswith("# Request 0001\n\nSysmith, a program that tunes computer systems")
    assert "to `0001.response.md` in this folder" in page
    assert page.index("# Who asks") < page.index("You help.") < page.index("# The request") < page.index("Where?")
    assert (tmp_path / "0001.request.md").stat().st_mode & 0o444 == 0o444


def test_a_waiting_request_is_not_written_twice_and_an_answer_there_is_taken_at_once(tmp_path: Path) -> None:
    halt = threading.Event()

    def stop(seconds: float) -> None:
        if halt.wait(0.05):
            raise Interrupted("stopped")
        halt.set()

    with pytest.raises(Interrupted):
        mailbox(tmp_path, stop).complete(ASK, None)
    before = (tmp_path / "0001.request.json").stat()
    (tmp_path / "0001.request.md").unlink()  # as if killed between the two files
    put(tmp_path, 1, "late")
    assert mailbox(tmp_path).complete(ASK, 5).text == "late"
    assert mailbox(tmp_path).complete(ASK, 5).text == "late"
    assert (tmp_path / "0001.request.json").stat().st_mtime_ns == before.st_mtime_ns
    assert (tmp_path / "0001.request.md").exists()
    assert len(list(tmp_path.glob("*.request.*"))) == 2


def test_another_request_gets_the_next_number_and_an_orphaned_answer_is_no_answer(tmp_path: Path) -> None:
    put(tmp_path, 2, "the answer to something that is gone")
    put(tmp_path, 1, "one")
    (tmp_path / "0001.request.json").write_text("somebody else's {")
    threading.Timer(0.2, lambda: put(tmp_path, 3, "three")).start()
    assert mailbox(tmp_path).complete(ASK, 5).text == "three"


def test_many_threads_get_numbers_of_their_own(tmp_path: Path) -> None:
    box = mailbox(tmp_path)
    texts: dict[int, str] = {}

    def ask(seed: int) -> None:
        request = Request("mailbox", ASK.messages, 100, seed=seed)
        texts[seed] = box.complete(request, 20).text

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while len(list(tmp_path.glob("*.request.md"))) < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
    for path in tmp_path.glob("*.request.json"):
        seed = json.loads(path.read_text())["request"]["seed"]
        put(tmp_path, int(path.name[:4]), f"for {seed}")
    for thread in threads:
        thread.join(10)
    assert texts == {seed: f"for {seed}" for seed in range(8)}
    assert not list(tmp_path.glob(".*"))


def test_an_answer_that_grows_is_awaited_whole(tmp_path: Path) -> None:
    def write() -> None:
        with (tmp_path / "0001.response.md").open("w") as stream:
            for part in ('{"x"', ": 1", ".5}"):
                stream.write(part)
                stream.flush()
                time.sleep(0.01)

    threading.Timer(0.1, write).start()
    assert mailbox(tmp_path).complete(ASK, 10).text == '{"x": 1.5}'


def test_secrets_are_not_written(tmp_path: Path) -> None:
    put(tmp_path, 1, "x")
    (tmp_path / "0001.response.md").unlink()
    threading.Timer(0.1, lambda: put(tmp_path, 1, "x")).start()
    mailbox(tmp_path).complete(Request("mailbox", (Message("user", f"the key is {KEY}"),), 10), 5)
    for path in tmp_path.iterdir():
        assert KEY not in path.read_text()


def test_bad_folders_and_answers_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"mailbox: folder .*file cannot be used"):
        mailbox(tmp_path / "file")
    box = mailbox(tmp_path / "box")
    threading.Timer(0.1, lambda: (tmp_path / "box" / "0001.response.md").write_bytes(b"\xff\xfe")).start()
    with pytest.raises(InputError, match=r"0001.response.md is not UTF-8 text"):
        box.complete(ASK, 5)


def test_the_clock_of_the_run_ends_the_wait_and_the_request_stays(tmp_path: Path) -> None:
    settings = settings_from_options(f"mailbox:{tmp_path}")
    budget = Budget(Limits(wall_s=0.3))
    llm = LLM.open(settings.models, settings=settings, budget=budget, log=None, say=lambda text: None)
    with pytest.raises(BudgetExhausted, match="seconds for the run"):
        llm.ask(asking(), Point, problem="p", phase="a")
    assert (tmp_path / "0001.request.md").exists()


def test_a_malformed_answer_asks_once_more_and_says_why(tmp_path: Path) -> None:
    settings = settings_from_options(f"mailbox:{tmp_path}")
    told: list[str] = []
    llm = LLM.open(settings.models, settings=settings, budget=Budget(), log=None, say=told.append)
    threading.Timer(0.1, lambda: put(tmp_path, 1, "x = one")).start()
    threading.Timer(1.2, lambda: put(tmp_path, 2, "### x\n1.25")).start()
    assert llm.ask(asking(), Point, problem="p", phase="a").value.x == 1.25
    page = (tmp_path / "0002.request.md").read_text()
    assert "# An earlier answer\n\nBEGIN DATA" in page
    assert "\nx = one\n" in page
    assert "Your answer cannot be used: it holds no JSON object" in page
    assert f"waiting for {tmp_path / '0001.response.md'} (the request is 0001.request.md)" in told


def test_a_mailbox_needs_a_folder() -> None:
    settings = settings_from_options("mailbox:")
    with pytest.raises(InputError, match="'mailbox:' names no folder"):
        LLM.open(settings.models, settings=settings, budget=Budget(), log=None)
