"""``sysmith upgrade-sched plan`` when the disk is full, the power goes or a file is cut off: nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .fleet import ALL, QUICK, copy_example
from .helpers import command, environment, refusal, said, sysmith


@pytest.fixture(autouse=True)
def inputs(place: Path) -> None:
    copy_example(place)


def leftovers(place: Path) -> list[Path]:
    """Temporary files of writes that did not end."""
    return [path for path in place.rglob(".*.json.*") if path.is_file()]


def fill_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let no file called ``name`` be completed any more."""
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)


def test_a_full_disk_leaves_the_old_plan_whole(
    capsys: pytest.CaptureFixture[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--out", "p.json")[0] == 1
    before = (place / "p.json").read_text()
    with monkeypatch.context() as patched:
        fill_disk(patched, "p.json")
        code, out, err = said(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--out", "p.json")
    assert (code, out) == (2, "")
    assert "p.json cannot be written: No space left on device. Free some space" in err.splitlines()[-1]
    assert (place / "p.json").read_text() == before
    assert leftovers(place) == []
    code, out, _ = said(capsys, "upgrade-sched", "verify", "--plan", "p.json")
    assert (code, "keep every constraint" in out) == (0, True)


def test_a_run_whose_plan_found_no_room_is_resumed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fill_disk(patched, "plan.json")
        assert said(capsys, "upgrade-sched", "plan", *ALL, *QUICK)[0] == 2
    code, out, _ = said(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--resume", "latest", "--json")
    assert code == 1
    assert json.loads(out)["summary"]["scheduled"] > 0
    assert said(capsys, "upgrade-sched", "verify")[0] == 0


def test_a_file_that_may_not_grow_is_no_traceback(place: Path) -> None:
    """A real refusal by the system, half way through the write: files may have 16 KiB at most."""
    limited = subprocess.run(
        command("upgrade-sched", "plan", *ALL, *QUICK, "--out", "p.json"),
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384)),
    )
    last = limited.stderr.splitlines()[-1]
    assert (limited.returncode, limited.stdout) == (2, ""), limited.stderr
    assert "plan.json cannot be written: File too large. Free some space" in last
    assert "Traceback" not in limited.stderr
    assert list(place.rglob("plan.json")) == []
    assert leftovers(place) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_plan_cut_off_is_refused_by_every_command(
    capsys: pytest.CaptureFixture[str], place: Path, share: float
) -> None:
    said(capsys, "upgrade-sched", "plan", *ALL, *QUICK, "--out", "p.json")
    text = (place / "p.json").read_text()
    (place / "p.json").write_text(text[: int(len(text) * share)])
    for arguments in (("verify",), ("explain", "node-00"), ("simulate",), ("next",), ("replan",)):
        sentence = refusal(capsys, "upgrade-sched", *arguments, "--plan", "p.json")
        assert "p.json is not whole JSON" in sentence
        assert "Make it anew with sysmith upgrade-sched plan" in sentence


@pytest.mark.slow
def test_kill_in_the_middle_of_the_polish_loses_nothing(place: Path) -> None:
    arguments = ("upgrade-sched", "plan", *ALL, "--tries", "1", "--polish", "1", "--json")
    running = subprocess.Popen(
        command(*arguments), cwd=place, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    logs = place / ".sysmith" / "runs"
    seen = ""
    for _ in range(1200):
        seen = "".join(file.read_text() for file in logs.glob("*/events.jsonl"))
        if seen.count('"polish-') or running.poll() is not None:
            break
        time.sleep(0.02)
    assert running.poll() is None, "the polish was over before it could be killed"
    time.sleep(0.2)  # into the search itself
    running.kill()
    running.wait()
    assert "polish-" in seen
    assert "trial_finished" in seen
    assert list(logs.glob("*/plan.json")) == []
    assert leftovers(place) == []
    done = sysmith(*arguments, "--resume", "latest", cwd=place)
    assert done.returncode == 1, done.stderr
    resumed, whole = json.loads(done.stdout), json.loads(sysmith(*arguments, cwd=place).stdout)
    assert resumed["schedule"] == whole["schedule"]
    assert sysmith("upgrade-sched", "verify", cwd=place).returncode == 0
