"""A scripted model behind a real local HTTP server that speaks the OpenAI chat-completions protocol.

    with OpenAIServer([Reply(status=429, headers={"Retry-After": "0"}), Reply("hello")]) as server:
        ...  # base URL: server.url; what was asked: server.requests

The script is a list of replies, the last of which repeats, or a function of the request that makes one. It listens on
the loopback only.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer of the server.

    ``text`` is the model's answer; for a status other than 200 it is the error message. ``raw`` replaces the body.
    With ``reports_usage`` off the counts are left out; ``finish`` is the finish reason. ``drop`` closes the connection
    without an answer, after ``delay_s``. ``drip_s`` sends blanks for so long before the body, as some servers do.
    """

    text: str = ""
    status: int = 200
    prompt_tokens: int = 100
    completion_tokens: int = 50
    reports_usage: bool = True
    finish: str = "stop"
    delay_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    drop: bool = False
    drip_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    raw: bytes
    time: float

    @property
    def messages(self) -> list[dict[str, str]]:
        return list(self.body["messages"])

    @property
    def prompt(self) -> str:
        return "\n\n".join(str(message["content"]) for message in self.messages)


Script = Sequence[Reply] | Callable[[Asked], Reply]


class OpenAIServer:
    """Use it in a ``with`` statement; ``requests`` lists what was asked, in order of arrival."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lock = threading.Lock()
        self.requests: list[Asked] = []
        self.sent_tokens: list[tuple[int, int]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    server._answer(self, raw)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client gave up waiting

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def _answer(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        asked = Asked(handler.path, dict(handler.headers), json.loads(raw), raw, time.monotonic())
        with self._lock:
            number = len(self.requests)
            self.requests.append(asked)
        reply = self._script(asked) if callable(self._script) else self._script[min(number, len(self._script) - 1)]
        time.sleep(reply.delay_s)
        if reply.drop:
            handler.close_connection = True
            handler.connection.close()
            return
        body = reply.raw if reply.raw is not None else json.dumps(_document(reply, asked, number)).encode()
        with self._lock:
            if reply.status == 200 and reply.raw is None:
                self.sent_tokens.append((reply.prompt_tokens, reply.completion_tokens))
        handler.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            handler.send_header(name, value)
        blanks = round(reply.drip_s / 0.1)
        handler.send_header("Content-Length", str(blanks + len(body)))
        handler.end_headers()
        for _ in range(blanks):
            handler.wfile.write(b" ")
            time.sleep(0.1)
        handler.wfile.write(body)

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)


def _document(reply: Reply, asked: Asked, number: int) -> dict[str, Any]:
    if reply.status != 200:
        return {"error": {"message": reply.text, "type": "error", "param": None, "code": None}}
    choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": reply.finish}
    document: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": asked.body.get("model", "unknown"),
        "choices": [choice],
    }
    if reply.reports_usage:
        document["usage"] = {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        }
    return document
