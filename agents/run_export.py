"""A run as one file: a JSON document with its texts in place, or an archive of its folder; it changes no run."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from agents.llm.secrets import Redactor
from agents.run_reading import EVENTS, RunView
from sysmith_errors import InputError
from sysmith_files import write_atomic

SCHEMA_VERSION = 1
ARCHIVES = (".tar.gz", ".tgz")


def run_document(run: RunView, *, redact: bool = True) -> dict[str, Any]:
    """Everything that is known of a run; long texts are in place.

    ``redact`` leaves out the values of secret environment variables and what has the shape of a key: the document is
    made to be passed on.
    """
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": "sysmith-run",
        "id": run.info.id,
        "command": run.info.command,
        "created": run.info.created,
        "fault": run.info.fault,
        "options": dict(run.info.options),
        "versions": dict(run.info.versions),
        "events": [run.event_document(event) for event in run.events],
    }
    return dict(Redactor.of_environment().value(document)) if redact else document


def export_run(run: RunView, path: Path, *, redact: bool = True) -> int:
    """Write a run to ``path`` and return the number of bytes: an archive where the name ends so, else JSON.

    An archive is the run's folder as it is (a secret in it cannot be taken out, as artifacts are named by their
    content); two archives of one run are equal. Raises InputError where ``path`` cannot be written.
    """
    if path.name.endswith(ARCHIVES):
        content = _archive(run)
    else:
        content = json.dumps(run_document(run, redact=redact), indent=1).encode() + b"\n"
    write_file(path, content)
    return len(content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file of the user's whole or not at all. Raises InputError where it cannot be written."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder", mend="Name a file.")
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to replace
            with path.open("wb") as stream:
                stream.write(content)
            return
        write_atomic(path, content)
        os.chmod(path, 0o644)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", mend="Name another file.") from error


def _archive(run: RunView) -> bytes:
    names = ["run.json", EVENTS, "report.json"]
    names += sorted(f"artifacts/{file.name}" for file in (run.info.path / "artifacts").glob("*") if file.is_file())
    buffer = io.BytesIO()
    # Without times and owners of its own, so that the same run gives the same bytes.
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in names:
            file = run.info.path / name
            if not file.is_file():
                continue
            content = file.read_bytes()
            entry = tarfile.TarInfo(f"{run.info.id}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(run.info.created), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
