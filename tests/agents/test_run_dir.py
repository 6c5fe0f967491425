"""Run folders: naming, listing, locking and the comparison on resume; event logs are tested elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.run_dir import RunDir, latest, list_runs
from sysmith_errors import InputError

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import os, sys, time
from pathlib import Path
from agents.run_dir import RunDir
run = RunDir.resume(Path(sys.argv[1]), "kernelgen")
if sys.argv[2] == "fork" and os.fork() == 0:
    os.close(1)  # a worker that outlives its parent
    time.sleep(60)
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


def make(state: Path, command: str = "kernelgen", **options: object) -> str:
    with RunDir.create(state, command, options, versions={"torch": "2.13"}) as run:
        return run.info.id


def test_ids_sort_by_time_and_latest_is_the_newest_of_its_command(tmp_path: Path) -> None:
    assert list_runs(tmp_path) == []
    ids = [make(tmp_path, command) for command in ("kernelgen", "iotune", "kernelgen", "iotune")]
    assert [info.id for info in list_runs(tmp_path)] == sorted(ids) == ids
    assert latest(tmp_path).id == ids[3]
    assert latest(tmp_path, "kernelgen").id == ids[2]
    with pytest.raises(InputError, match="no run of shardtune"):
        latest(tmp_path, "shardtune")
    with RunDir.resume(tmp_path, "kernelgen", {}) as run:
        assert run.info.id == ids[2]


def test_a_run_half_created_is_listed_with_its_fault_and_never_the_latest(tmp_path: Path) -> None:
    good = make(tmp_path)
    broken = tmp_path / "runs" / "99990101-000000-000000-0000"
    broken.mkdir()
    assert [info.fault is None for info in list_runs(tmp_path)] == [True, False]
    assert latest(tmp_path).id == good
    for content in ("{", "[]", '{"schema_version": 1}', '{"schema_version": 9}'):
        (broken / "run.json").write_text(content)
        with pytest.raises(InputError, match=r"cannot be resumed.*run\.json"):
            RunDir.resume(tmp_path, "kernelgen", run_id=broken.name)


def test_what_was_logged_is_there_on_resume(tmp_path: Path) -> None:
    with RunDir.create(tmp_path, "iotune", {}) as run:
        run.log.append("note", {"x": 1})
    with RunDir.resume(tmp_path, "iotune", {}, run_id=run.info.id) as again:
        assert again.log.unpack(again.log.of(None)[0]) == {"x": 1}


def test_a_changed_option_is_named_with_both_values(tmp_path: Path) -> None:
    make(tmp_path, ops=("add", "mm"), jobs=2)
    RunDir.resume(tmp_path, "kernelgen", {"ops": ("add", "mm"), "jobs": 2}).close()
    RunDir.resume(tmp_path, "kernelgen", {"ops": ["add", "mm"], "jobs": 4}, free=["jobs"]).close()
    with pytest.raises(InputError, match="started with option jobs: 2, and now it is 4"):
        RunDir.resume(tmp_path, "kernelgen", {"ops": ["add", "mm"], "jobs": 4})
    with pytest.raises(InputError, match=r'option ops: \["add", "mm"\], and now it is not set'):
        RunDir.resume(tmp_path, "kernelgen", {"jobs": 2})
    with pytest.raises(InputError, match="option seed: not set, and now it is 1"):
        RunDir.resume(tmp_path, "kernelgen", {"ops": ["add", "mm"], "jobs": 2, "seed": 1})
    with pytest.raises(InputError, match=r"version of torch: .2\.13., and now it is .2\.14"):
        RunDir.resume(tmp_path, "kernelgen", versions={"torch": "2.14"})


@pytest.mark.parametrize("run_id", ["nope", "", ".", "..", "a/b", "/"])
def test_an_id_that_is_no_run_is_one_clear_sentence(tmp_path: Path, run_id: str) -> None:
    good = make(tmp_path)
    with pytest.raises(InputError, match=good):
        RunDir.resume(tmp_path, "kernelgen", run_id=run_id)


def test_a_run_of_another_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is one of kernelgen, not of iotune"):
        RunDir.resume(tmp_path, "iotune", run_id=make(tmp_path))


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be created"):
        RunDir.create(tmp_path / "file", "kernelgen", {})


def test_one_process_opens_a_run_once(tmp_path: Path) -> None:
    with RunDir.create(tmp_path, "kernelgen", {}) as run:
        with pytest.raises(InputError, match="already open in this process"):
            RunDir.resume(tmp_path, "kernelgen")
        run.close()
        RunDir.resume(tmp_path, "kernelgen").close()


@pytest.mark.parametrize("worker", ["alone", "fork"])
def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path, worker: str) -> None:
    make(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), worker],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        with holder.stdout:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(InputError, match=f"open in another process .process id {holder.pid}"):
                RunDir.resume(tmp_path, "kernelgen")
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait(10)
        RunDir.resume(tmp_path, "kernelgen").close()  # even while a worker of the killed one still lives
    finally:
        try:
            os.killpg(holder.pid, signal.SIGKILL)
        except ProcessLookupError:
            time.sleep(0)
        holder.wait(10)
