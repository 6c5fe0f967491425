"""``--record DIR`` and ``replay:DIR``: completions kept as one JSON file each, named by the request's key.

A file holds ``{"schema_version": 1, "key": ..., "request": {...}, "completion": {...}}``. The model's name is part of
the key, so a replay stands for the model that was recorded and gives the same proposals.
"""

from __future__ import annotations

import json
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


class Recorder:
    """Passes requests on to ``inner`` and keeps each completion, without secrets."""

    def __init__(self, inner: Transport, folder: Path, redactor: Redactor) -> None:
        self._inner, self._folder, self._redactor = inner, folder, redactor
        self.model, self.patient = inner.model, inner.patient
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--record: folder {folder} cannot be made: {error.strerror}") from error

    def most(self, request: Request) -> Cost:
        return self._inner.most(request)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        """Raises SysmithError where the recording cannot be written; the call is not lost, the log has it."""
        completion = self._inner.complete(request, timeout_s)
        document = {
            "schema_version": SCHEMA_VERSION,
            "key": request.key,
            "request": request.to_json(),
            "completion": asdict(completion),
        }
        content = json.dumps(self._redactor.value(document), indent=1, ensure_ascii=False) + "\n"
        try:
            write_atomic(self._folder / f"{request.key}.json", content.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise SysmithError(
                f"--record: cannot write to {self._folder}: {error.strerror}", mend="Free some space, then resume."
            ) from error
        return completion


class Replay:
    """Answers from recordings; a replayed call costs nothing. Raises InputError for a folder that cannot serve."""

    patient = False

    def __init__(self, folder: Path, model: str | None = None) -> None:
        self._folder = folder
        self._files = _index(folder)
        models = sorted({model_of for model_of, _ in self._files.values()})
        if model is None and len(models) > 1:
            raise InputError(
                f"the recordings in {folder} are of {len(models)} models",
                mend=f"Say which, cheapest first: {','.join(f'replay:{folder}#{name}' for name in models)}.",
            )
        if model is not None and model not in models:
            raise InputError(
                f"the recordings in {folder} have none of model {model!r}", mend=f"They have {', '.join(models)}."
            )
        self.model = model or models[0]

    def most(self, request: Request) -> Cost:
        return Cost(calls=1)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        """Raises Refused where the request was not recorded, InputError for a damaged recording."""
        found = self._files.get(request.key)
        if found is None:
            raise Refused(
                f"no recording in {self._folder} answers request {request.key[:12]} to {self.model}",
                mend="A prompt has changed since, or another model was asked; record it again with --record.",
            )
        _, path = found
        try:
            completion = Completion(**_read(path)["completion"])
        except TypeError as error:
            raise InputError(f"recording {path} is damaged: {error}", mend="Record it again.") from error
        return replace(completion, prompt_tokens=0, completion_tokens=0, dollars=0.0, seconds=0.0)


def _index(folder: Path) -> dict[str, tuple[str, Path]]:
    """For each key the model and the file."""
    if not folder.is_dir():
        raise InputError(f"replay: there is no folder {folder}", mend="Name a folder written by --record.")
    index: dict[str, tuple[str, Path]] = {}
    for path in sorted(folder.glob("*.json")):
        document = _read(path)
        index[document["key"]] = (document["request"]["model"], path)
    if not index:
        raise InputError(f"replay: folder {folder} holds no recordings", mend="Name a folder written by --record.")
    return index


def _read(path: Path) -> dict[str, Any]:
    mend = "Remove the file or record it again."
    try:
        document = json.loads(path.read_bytes())
        if document["schema_version"] != SCHEMA_VERSION:
            raise InputError(
                f"recording {path} has schema_version {document['schema_version']!r}, not {SCHEMA_VERSION}", mend=mend
            )
        if not isinstance(document["key"], str) or not isinstance(document["request"]["model"], str):
            raise TypeError("key and model must be text")
        if not isinstance(document["completion"], dict) or not isinstance(document["completion"].get("text"), str):
            raise TypeError("completion.text must be text")
    except OSError as error:
        raise InputError(f"recording {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"recording {path} is damaged ({type(error).__name__}: {error})", mend=mend) from error
    result: dict[str, Any] = document
    return result
