"""``--record DIR`` and ``replay:DIR``: completions kept as one JSON file each, named by the request's key.

A file holds ``{"schema_version": 1, "key": ..., "request": {...}, "completion": {...}}``. The model's name is part of
the key, so a replay stands for the model that was recorded and gives the same proposals.

``--record FILE.jsonl`` keeps all in one file, a line each, and of a request only key and model: small, and free of what
was asked, so that it can be passed on. ``replay:FILE.jsonl`` reads it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agents.llm.errors import Refused
from agents.llm.secrets import Redactor
from agents.llm.types import Completion, Request, Transport
from agents.protocols import Cost
from sysmith_errors import InputError, SysmithError
from sysmith_files import write_atomic

SCHEMA_VERSION = 1
LINES = ".jsonl"  # a name with this suffix is one file for all recordings
_writing = threading.Lock()


class Recorder:
    """Passes requests on to ``inner`` and keeps each completion, without secrets, in a folder or a file of lines."""

    def __init__(self, inner: Transport, place: Path, redactor: Redactor) -> None:
        self._inner, self._place, self._redactor = inner, place, redactor
        self.model, self.patient = inner.model, inner.patient
        folder = place.parent if place.suffix == LINES else place
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--record: folder {folder} cannot be made: {error.strerror}") from error
        if place.suffix == LINES:
            _mend(place)

    def most(self, request: Request) -> Cost:
        return self._inner.most(request)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        """Raises SysmithError where the recording cannot be written; the call is not lost, the log has it."""
        completion = self._inner.complete(request, timeout_s)
        try:
            self._keep(request, completion)
        except OSError as error:
            raise SysmithError(
                f"--record: cannot write to {self._place}: {error.strerror}", mend="Free some space, then resume."
            ) from error
        return completion

    def _keep(self, request: Request, completion: Completion) -> None:
        head = {"schema_version": SCHEMA_VERSION, "key": request.key}
        if self._place.suffix == LINES:
            line = self._redactor.value(head | {"model": request.model, "completion": asdict(completion)})
            content = json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
            with _writing, self._place.open("ab") as file:
                file.write(content)  # one write: another process's lines are not cut
                file.flush()
                os.fsync(file.fileno())
            return
        document = self._redactor.value(head | {"request": request.to_json(), "completion": asdict(completion)})
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        write_atomic(self._place / f"{request.key}.json", text.encode("utf-8", "surrogatepass"))


class Replay:
    """Answers from recordings; a replayed call costs nothing. Raises InputError for a place that cannot serve."""

    patient = False

    def __init__(self, place: Path, model: str | None = None) -> None:
        self._place = place
        self._known = _index(place)
        models = sorted({model_of for model_of, _, _ in self._known.values()})
        if model is None and len(models) > 1:
            raise InputError(
                f"the recordings in {place} are of {len(models)} models",
                mend=f"Say which, cheapest first: {','.join(f'replay:{place}#{name}' for name in models)}.",
            )
        if model is not None and model not in models:
            raise InputError(
                f"the recordings in {place} have none of model {model!r}", mend=f"They have {', '.join(models)}."
            )
        self.model = model or models[0]

    def most(self, request: Request) -> Cost:
        return Cost(calls=1)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        """Raises Refused where the request was not recorded, InputError for a damaged recording."""
        found = self._known.get(request.key)
        if found is None:
            raise Refused(
                f"no recording in {self._place} answers request {request.key[:12]} to {self.model}",
                mend="A prompt has changed since, or another model was asked; record it again with --record.",
            )
        _, fields, where = found
        try:
            completion = Completion(**fields)
        except TypeError as error:
            raise InputError(f"recording {where} is damaged: {error}", mend="Record it again.") from error
        return replace(completion, prompt_tokens=0, completion_tokens=0, dollars=0.0, seconds=0.0)


def _mend(file: Path) -> None:
    """Drop a last line that a kill cut off, so that the next one stands by itself."""
    try:
        with _writing, file.open("ab+") as lines:
            lines.seek(0)
            content = lines.read()
            lines.truncate(content.rfind(b"\n") + 1)
    except OSError as error:
        raise InputError(f"--record: {file} cannot be written: {error.strerror}", mend="Name another file.") from error


def _index(place: Path) -> dict[str, tuple[str, dict[str, Any], str]]:
    """For each key the model, the completion's fields, and where they stand; of several the last."""
    if not place.exists():
        raise InputError(f"replay: there is no folder {place}", mend="Name a folder or file written by --record.")
    index = {}
    for where, content in _contents(place):
        document = _checked(where, content)
        index[document["key"]] = (document["model"], document["completion"], where)
    if not index:
        raise InputError(f"replay: {place} holds no recordings", mend="Name a folder or file written by --record.")
    return index


def _contents(place: Path) -> Iterator[tuple[str, bytes]]:
    """Each recording with its name. A last line without an end was cut off by a kill: it was not kept."""
    files = [place] if place.is_file() else sorted(place.glob("*.json"))
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"recording {path} cannot be read: {error.strerror}") from error
        if path is not place:
            yield str(path), content
            continue
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            yield f"{path}, line {number}", line


def _checked(where: str, content: bytes) -> dict[str, Any]:
    """The recording, with its model beside key and completion."""
    mend = "Remove it or record it again."
    try:
        document = json.loads(content)
        if document["schema_version"] != SCHEMA_VERSION:
            raise InputError(
                f"recording {where} has schema_version {document['schema_version']!r}, not {SCHEMA_VERSION}", mend=mend
            )
        model = document["request"]["model"] if "request" in document else document["model"]
        if not isinstance(document["key"], str) or not isinstance(model, str):
            raise TypeError("key and model must be text")
        if not isinstance(document["completion"], dict) or not isinstance(document["completion"].get("text"), str):
            raise TypeError("completion.text must be text")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"recording {where} is damaged ({type(error).__name__}: {error})", mend=mend) from error
    result: dict[str, Any] = document
    return result | {"model": model}
