"""``mailbox:DIR``: requests as files for a person or a program elsewhere to answer; it judges no answer.

    NNNN.request.md     to read and to answer             NNNN.request.json   the same for programs, with its key
    NNNN.response.md    the answer, put there by others

A request is known by its key: one that already lies in the folder is waited for, or its answer taken, rather than
written twice. That holds across runs and for many threads and processes at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.llm.errors import Unreachable
from agents.llm.pricing import Price, estimated_usage
from agents.llm.quote import quoted
from agents.llm.secrets import Redactor
from agents.llm.types import Completion, Request
from agents.protocols import Cost
from sysmith_errors import InputError
from sysmith_files import fsync_dir, write_atomic

SCHEMA_VERSION = 1
POLL_S = 0.5
MOST_TOLD = 20  # requests that are named while they wait: a hundred at once need no hundred lines
_MODE = 0o644  # whoever answers is often somebody else
_REQUEST = re.compile(r"^(\d{4,})\.request\.json$")
_here = threading.Lock()


class Mailbox:
    """``pause`` sleeps so many seconds, and raises Interrupted when the run is to stop; ``tell`` informs the user.

    Raises InputError for a folder that cannot be made or read.
    """

    model = "mailbox"
    patient = True

    def __init__(
        self,
        folder: Path,
        *,
        price: Price,
        redactor: Redactor,
        pause: Callable[[float], None],
        tell: Callable[[str], None],
        poll_s: float = POLL_S,
    ) -> None:
        self._folder, self._price, self._redactor = folder, price, redactor
        self._pause, self._tell, self._poll_s = pause, tell, poll_s
        self._waited = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.listdir(folder)
        except OSError as error:
            raise InputError(f"mailbox: folder {folder} cannot be used: {error.strerror}") from error

    def most(self, request: Request) -> Cost:
        return self._price.most(request)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        """Write the request unless it lies there, and wait for its answer.

        Raises Unreachable where ``timeout_s`` seconds passed, Interrupted where the run is to stop, and InputError
        where the folder cannot be written or an answer is not text.
        """
        begun = time.monotonic()
        try:
            number = self._post(request)
        except OSError as error:
            raise InputError(f"mailbox: cannot write to {self._folder}: {error.strerror}") from error
        path = self._folder / f"{number}.response.md"
        text = self._answer(path)
        if text is None:
            self._say_waiting(path, number)
        while text is None:
            if timeout_s is not None and time.monotonic() - begun >= timeout_s:
                raise Unreachable(f"nobody answered {self._folder / number}.request.md in time")
            self._pause(self._poll_s)
            text = self._answer(path)
        prompt, completion = estimated_usage(request, text)
        return Completion(
            text=text,
            model=self.model,
            prompt_tokens=prompt,
            completion_tokens=completion,
            dollars=self._price.of(prompt, completion),
            seconds=time.monotonic() - begun,
        )

    def _say_waiting(self, path: Path, number: str) -> None:
        with _here:
            self._waited += 1
            count = self._waited
        if count < MOST_TOLD:
            self._tell(f"waiting for {path} (the request is {number}.request.md)")
        elif count == MOST_TOLD:
            self._tell(f"more requests wait for their answers in {self._folder}; no more of them are named here")

    def _post(self, request: Request) -> str:
        with _here:  # two threads with one request must not both find it missing
            numbers = self._numbers()
            for number in numbers:
                if self._key(number) == request.key:
                    break
            else:
                number = self._claim(request, numbers)
            page = self._folder / f"{number}.request.md"
            if not page.exists():  # new, or the program was killed between the two files
                write_atomic(page, self._redactor.text(page_of(request, number)).encode("utf-8", "surrogatepass"))
                page.chmod(_MODE)
            return number

    def _numbers(self) -> list[str]:
        found = (_REQUEST.match(name) for name in os.listdir(self._folder))
        return sorted((match[1] for match in found if match), key=int)

    def _key(self, number: str) -> str | None:
        try:
            document: Any = json.loads((self._folder / f"{number}.request.json").read_bytes())
        except (OSError, ValueError):
            return None  # somebody else's file; its number is taken all the same
        return document.get("key") if isinstance(document, dict) else None

    def _claim(self, request: Request, numbers: list[str]) -> str:
        """Take the next free number with a whole file in one step: a hard link fails where the name exists."""
        document = {"schema_version": SCHEMA_VERSION, "key": request.key, "request": request.to_json()}
        content = json.dumps(self._redactor.value(document), indent=1, ensure_ascii=False) + "\n"
        draft = self._folder / f".{os.getpid()}-{threading.get_ident()}.request"
        write_atomic(draft, content.encode("utf-8", "surrogatepass"))
        draft.chmod(_MODE)
        try:
            count = int(numbers[-1]) if numbers else 0
            while True:
                count += 1
                number = f"{count:04}"
                if (self._folder / f"{number}.response.md").exists():
                    continue  # left over from a request that is gone; it answers something else
                with contextlib.suppress(FileExistsError):
                    os.link(draft, self._folder / f"{number}.request.json")
                    fsync_dir(self._folder)
                    return number
        finally:
            draft.unlink()

    def _answer(self, path: Path) -> str | None:
        """The answer, once its file is not empty and has not changed for a poll: it may be written bit by bit."""
        try:
            before = path.stat()
            if before.st_size == 0:
                return None
            self._pause(min(self._poll_s, 0.2))
            content, after = path.read_bytes(), path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"mailbox: {path} cannot be read: {error.strerror}") from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"mailbox: {path} is not UTF-8 text ({error.reason})", mend="Save it as UTF-8.") from error


def page_of(request: Request, number: str) -> str:
    """The request as a page for a person: how to answer first, then the conversation."""
    parts = [
        f"# Request {number}\n\n"
        "Sysmith, a program that tunes computer systems by trial, asks for one answer. It normally asks a language "
        "model; here a person or another program may answer instead.\n\n"
        f"Write the answer, and nothing else, to `{number}.response.md` in this folder. Write it under another name "
        "first and rename it when it is complete. Sysmith waits, checks the answer's format and carries on by itself; "
        "should the format be wrong, it says why in one further request.\n"
        f"The answer should not be longer than about {request.max_tokens * 4} characters."
    ]
    titles = {"system": "Who asks", "user": "The request", "assistant": "An earlier answer"}
    if len(request.messages) > 2:
        titles["user"] = "Asked"
    for message in request.messages:
        earlier = message.role == "assistant"  # not our own words, so they must not look like a part of the page
        content = quoted(message.content, "an earlier answer", limit=100_000) if earlier else message.content
        parts.append(f"---\n\n# {titles[message.role]}\n\n{content}")
    return "\n\n".join(parts) + "\n"
