"""A scripted transport in this process, answer types and shortcuts for the tests of ``agents.llm``; no tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agents.budget import Budget, Limits
from agents.events import EventLog
from agents.llm import LLM, Completion, LLMSettings, Message, Redactor, Request
from agents.llm.pricing import Price
from agents.protocols import Cost

ROOT = Path(__file__).resolve().parents[2]
TOY = "examples/mailbox_toy.py"

Step = str | Exception | Completion | Callable[[Request], "str | Completion"]


class Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: float = Field(ge=-5, le=5, description="where to look")
    why: str = Field(default="", description="the reason")


class Scripted:
    """A transport that gives, or raises, one step of the script for each call; the last one repeats."""

    patient = False

    def __init__(self, script: Sequence[Step], *, model: str = "scripted", price: Price | None = None) -> None:
        self.model = model
        self.price = price or Price.per_million(1.0, 2.0)
        self.requests: list[Request] = []
        self.timeouts: list[float | None] = []
        self._script = list(script)
        self._lock = threading.Lock()

    def most(self, request: Request) -> Cost:
        return self.price.most(request)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        with self._lock:
            step = self._script[min(len(self.requests), len(self._script) - 1)]
            self.requests.append(request)
            self.timeouts.append(timeout_s)
        if isinstance(step, Exception):
            raise step
        answer = step(request) if callable(step) else step
        if isinstance(answer, Completion):
            return answer
        return Completion(answer, self.model, 100, 50, self.price.of(100, 50), 0.0)


class Calm(threading.Event):
    """A ``halt`` on which waiting takes no time; ``waits`` lists how long it would have taken, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if timeout:
            self.waits.append(timeout)
        return self.is_set()


def client(
    *transports: Any,
    limits: Limits | None = None,
    log: EventLog | None = None,
    budget: Budget | None = None,
    halt: threading.Event | None = None,
    said: list[str] | None = None,
    secrets: Mapping[str, str] | None = None,
    **settings: Any,
) -> LLM:
    return LLM(
        transports,
        settings=LLMSettings(**({"max_tokens": 1000} | settings)),
        budget=budget or Budget(limits),
        log=log,
        redactor=Redactor(secrets or {}),
        halt=halt or Calm(),
        say=(said if said is not None else []).append,
    )


def asking(text: str = "Where is the lowest point?") -> list[Message]:
    return [Message("system", "You help."), Message("user", text)]


def start_toy(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """The example with a language model in a process of its own, guarded against the network."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "guarded")]),
        **(env or {}),
    }
    return subprocess.Popen(
        [sys.executable, TOY, str(folder), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen[str] | None = None, seconds: float = 30) -> None:
    """Wait until ``path`` is there. Fails where the process ended, or the time is over, before."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process is None or process.poll() is None, process.communicate() if process else ""
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.05)
