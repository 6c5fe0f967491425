"""The audit of a real run of hostile kernels: judged in the sandbox with lint off, so that it is the sandbox that
stops them; starts judges, so it is slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .helpers import said

CORPUS = Path(__file__).resolve().parents[1] / "kernelgen" / "hostile" / "corpus"
ATTACKS = ("network", "filesystem", "process", "mutated_input")


@pytest.mark.slow
def test_what_the_sandbox_stopped_is_found_in_the_runs_log(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.run_dir import RunDir
    from kernelgen.catalog.store import index
    from kernelgen.run import KernelRun, RunOptions
    from kernelgen.synthesis.entry import KernelSource

    library = {
        "neg.default": tuple(
            KernelSource("neg.default", name, "hostile", (CORPUS / f"{name}.py").read_text()) for name in ATTACKS
        )
    }
    options = RunOptions(
        names=("neg",),
        dtypes=("float32",),
        targets="interpret",
        samples=1,
        jobs=1,
        timeout_s=60,
        memory_bytes=1 << 30,
        use_cache=False,
    )
    with RunDir.create(place / ".sysmith", "kernelgen", options.recorded()) as folder:
        run = KernelRun(options, {fact.name: fact for fact in index()}, folder, library)
        # Lint alone would reject them all, and then nothing would be left for the sandbox to stop.
        monkeypatch.setattr(run.evaluator, "lint_errors", lambda texts: {})
        try:
            outcomes = list(run.outcomes())
        finally:
            run.close()
    assert [outcome.passed for outcome in outcomes] == [False]

    code, out, _ = said(capsys, "runs", "audit", "--json")
    document = json.loads(out)
    assert code == 1
    by_trial = {(f["trial"], f["rule"]): f for f in document["findings"]}
    assert by_trial[0, "sandbox-denial"]["severity"] == "severe", "the connection"
    assert by_trial[1, "files-refused"]["severity"] == "severe", "the reference in a file"
    assert by_trial[2, "sandbox-denial"]["severity"] == "severe", "the process"
    assert by_trial[3, "caught"]["severity"] == "warning", "the input it changed"
    assert "PermissionError" in by_trial[0, "sandbox-denial"]["excerpt"]
    shown = said(capsys, "runs", "show", "--problem", "neg", "--trial", "1")[1]
    assert "neg.default=filesystem from synthesis" in shown
