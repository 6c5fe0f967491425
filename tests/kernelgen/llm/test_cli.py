"""Kernelgen with a model from the command line, judged for real: a local server, a mailbox, budgets and kill -9.

Every test starts judges, so all are slow. ``--without '*'`` leaves the whole library to the model, which also spares
linting it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.events import read_events

from ...agents.openai_server import Asked, OpenAIServer, Reply
from ...cli.helpers import command, environment, sysmith
from .answers import RIGHT, WRONG, answer, learns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

RUN = ("kernelgen", "--ops", "angle", "--dtypes", "float32", "--without", "*", "--jobs", "1", "--json")
QUICK = (*RUN, "--target", "interpret")
SERVED = ("--models", "openai/scripted", "--price-in", "1", "--price-out", "10", "--max-answer-tokens", "500")
KEY = "sk-of-the-tests-4f1d0c7a9b"
CALL = 0.003  # dollars: 1000 prompt tokens and 200 of answer, at the prices above

# What the model needs for an operator that no shipped kernel serves.
CONJUGATE = """
import torch
import triton
import triton.language as tl


@triton.jit
def _conjugate(out, x, numel, shape, out_stride, x_stride, NDIM: tl.constexpr, BLOCK: tl.constexpr):
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = index < numel
    source = x + _offsets(index, shape, x_stride, NDIM) * 2
    target = out + _offsets(index, shape, out_stride, NDIM) * 2
    tl.store(target, tl.load(source, mask=live, other=0), mask=live)
    tl.store(target + 1, -tl.load(source + 1, mask=live, other=0).to(out.dtype.element_ty), mask=live)


def _conj_physical__default_kernel_impl(self):
    out = _empty_result(self.shape, self.dtype, self)
    numel = out.numel()
    if numel == 0:
        return out
    ndim, sizes, strides = _collapse(self.shape, out.stride(), self.stride())
    _conjugate[(triton.cdiv(numel, 1024),)](
        torch.view_as_real(out), torch.view_as_real(self), numel, sizes, strides[0], strides[1], NDIM=ndim, BLOCK=1024
    )
    return out
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSMITH_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def serving(script: Callable[[Asked], str], delay_s: float = 0.0) -> OpenAIServer:
    def reply(asked: Asked) -> Reply:
        return Reply(script(asked), prompt_tokens=1000, completion_tokens=200, delay_s=delay_s)

    return OpenAIServer(reply)


def asking(server: OpenAIServer) -> dict[str, str]:
    return environment(OPENAI_BASE_URL=server.url, OPENAI_API_KEY=KEY)


def events(place: Path, kind: str) -> list[Any]:
    found = []
    for log in sorted((place / ".sysmith" / "runs").glob("*/events.jsonl")):
        found += [event for event in read_events(log) if event.kind == kind]
    return found


def test_an_operator_that_synthesis_does_not_serve_is_solved_in_the_second_attempt(tmp_path: Path) -> None:
    """``conj_physical`` of complex numbers: the first answer forgets the sign, the second has read the feedback."""
    arguments = [
        *("kernelgen", "--ops", "conj_physical", "--dtypes", "complex64", "--without", "*", "--jobs", "1", "--json"),
        *("--target", "interpret,cuda:90", "--out", "backend", "--models", "openai/scripted"),
        *("--price-in", "1", "--price-out", "10"),
    ]

    def script(asked: Asked) -> str:
        told = asked.messages[-1]["content"]
        learned = len(asked.messages) > 2 and "wrong_value" in told and "PyTorch gives" in told
        return answer(CONJUGATE if learned else CONJUGATE.replace("-tl.load", "tl.load"))

    with serving(script) as server:
        done = sysmith(*arguments, cwd=tmp_path, env=asking(server), timeout=560)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        (operator,) = report["operators"]
        assert (operator["passed"], operator["source"]) == (True, "llm:openai/scripted")
        assert operator["compiled"] == {"cuda:90": True}
        assert report["llm"]["total"]["calls"] == 2
        assert report["llm"]["total"]["dollars"] == pytest.approx(2 * CALL)
        assert len(server.requests) == 2
        manifest = json.loads((tmp_path / "backend" / "manifest.json").read_text())
        entry = manifest["overloads"]["_conj_physical.default"]
        assert entry["source"]["by"] == "llm:openai/scripted"
        assert "_conjugate[" in (tmp_path / "backend" / entry["file"]).read_text()
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
        assert KEY not in done.stdout + done.stderr
        trials = [event.data["proposal"]["key"] for event in events(tmp_path, "proposal_started")]
        assert trials == ["default", "s1.a1.c1", "s1.a2.c1"]

        # What a model wrote is kept beside the runs, so the next run pays for nothing.
        again = sysmith(*arguments, cwd=tmp_path, env=asking(server), timeout=560)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["operators"][0]["source"] == "llm:openai/scripted"
        assert len(server.requests) == 2


def test_the_budget_holds_to_the_cent_and_ends_with_3(tmp_path: Path) -> None:
    count = 0

    def script(asked: Asked) -> str:
        nonlocal count
        count += 1
        return answer(RIGHT if count > 4 else WRONG.replace("1.5", f"1.{count}"))

    with serving(script) as server:
        first = sysmith(*QUICK, *SERVED, "--max-dollars", "0.03", cwd=tmp_path, env=asking(server), timeout=560)
        assert first.returncode == 3, first.stderr
        report = json.loads(first.stdout)
        paid = len(server.requests)
        assert 1 < paid < 5
        assert report["llm"]["total"]["dollars"] == pytest.approx(paid * CALL, abs=1e-9)
        assert paid * CALL <= 0.03
        assert "0.03 dollars" in first.stderr
        assert report["operators"][0]["trials"] == 1 + paid

        more = [*QUICK, *SERVED, "--max-dollars", "1", "--resume", "latest"]
        second = sysmith(*more, cwd=tmp_path, env=asking(server), timeout=560)
        assert second.returncode == 0, second.stderr
        assert len(server.requests) == 5
        assert json.loads(second.stdout)["llm"]["total"]["dollars"] == pytest.approx(5 * CALL, abs=1e-9)


def test_kill_9_and_resume_repeats_no_paid_call(tmp_path: Path) -> None:
    arguments = [*QUICK, *SERVED, "--max-dollars", "1"]
    with serving(lambda asked: learns(asked.messages)) as server:
        for paid in (1, 2):
            resume = ["--resume", "latest"] if paid > 1 else []
            process = subprocess.Popen(
                command(*arguments, *resume),
                cwd=tmp_path,
                env=asking(server),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            wait_for(lambda paid=paid: len(events(tmp_path, "llm_completed")) == paid, process)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert len(server.requests) == 2
        done = sysmith(*arguments, "--resume", "latest", cwd=tmp_path, env=asking(server), timeout=560)
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 2
        report = json.loads(done.stdout)
        assert report["operators"][0]["source"] == "llm:openai/scripted"
        assert report["llm"]["total"]["dollars"] == pytest.approx(2 * CALL, abs=1e-9)


SECOND_SHELL = """
import pathlib, sys, time
box, right, wrong = (pathlib.Path(name) for name in sys.argv[1:])
answered = 0
while answered < 2:
    for request in sorted(box.glob("*.request.md")):
        response = box / request.name.replace("request", "response")
        if not response.exists():
            learned = "wrong_value" in request.read_text()
            text = (right if learned else wrong).read_text()
            draft = box / "draft"
            draft.write_text("### approach\\n\\nBy hand.\\n\\n### source\\n\\n```python\\n" + text + "\\n```\\n")
            draft.rename(response)
            answered += 1
    time.sleep(0.2)
"""


def test_a_mailbox_is_answered_from_a_second_shell(tmp_path: Path) -> None:
    box, right, wrong = tmp_path / "box", tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(RIGHT)
    wrong.write_text(WRONG)
    shell = subprocess.Popen([sys.executable, "-c", SECOND_SHELL, str(box), str(right), str(wrong)])
    try:
        done = sysmith(*QUICK, "--models", f"mailbox:{box}", cwd=tmp_path, env=environment(), timeout=560)
    finally:
        shell.kill()
        shell.wait()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["operators"][0]["source"] == "llm:mailbox"
    requests = sorted(path.name for path in box.glob("*.request.md"))
    assert len(requests) == 2
    first = (box / requests[0]).read_text()
    for part in ("angle__default_kernel_impl(self)", "## Rules", "## Format of the answer", "documentation of"):
        assert part in first


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], timeout_s: float = 500) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < end, "the run did not get so far"
        time.sleep(0.02)
