"""The door itself: help, version, configuration, and every refusal as one sentence with the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import sandbox
from harness.sandbox import Tier

from .helpers import SMALL, environment, modules_loaded_by, refusal, said, sysmith

HEAVY = (
    "torch",
    "triton",
    "numpy",
    "jinja2",
    "rich",
    "litellm",
    "chromadb",
    "pandas",
    "ortools",
    "xgboost",
)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["kernelgen", "--help"], ["kernelgen", "list", "--help"], ["config"], ["knowledge", "--help"]),
        *(["rules", "list"], ["upgrade-sched", "--help"], ["upgrade-sched", "plan", "--help"]),
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str], place: Path) -> None:
    shown, loaded = modules_loaded_by(*arguments, cwd=place)
    assert "sysmith" in shown
    assert "cli.main" in loaded
    assert set(HEAVY) & loaded == set()
    # typer itself loads pydantic to read a subcommand's options, whatever we do
    assert arguments != ["--help"] or "pydantic" not in loaded


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--version")
    assert code == 0
    assert out.startswith("sysmith ")


def test_no_arguments_is_help_and_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys)
    assert code == 2
    assert "Usage: sysmith" in out
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], ["nonsense"]),
        (["kernelgen", "--nonsense"], ["--nonsense"]),
        (["kernelgen"], ["--ops is missing", "--ops all"]),
        (["kernelgen", "--ops", "add", "--jobs", "many"], ["--jobs", "valid integer"]),
        (["kernelgen", "--ops", "add", "--memory", "1"], ["--memory", "256"]),
        (["kernelgen", "--ops", "add", "--dtypes", "float33"], ["--dtypes", "'float33'", "float32"]),
        (["kernelgen", "--ops", "add", "--dtypes", ","], ["--dtypes is empty"]),
        (["kernelgen", "--ops", "add", "--target", "abacus:1"], ["--target", "'abacus:1'", "cuda:90"]),
        (["kernelgen", "--ops", "add", "--target", "cuda:1"], ["cuda:1"]),
        (["kernelgen", "--ops", "add", "--baseline", "none.json"], ["--baseline", "none.json", "No such file"]),
        (["kernelgen", "--ops", "add", "--junit", "no/where.xml"], ["--junit", "no/where.xml", "cannot be written"]),
        (["kernelgen", "--ops", "add", "--report", "."], ["--report", "cannot be written"]),
        (["kernelgen", "--ops", "add", "--out", "/dev/null/x"], ["--out", "/dev/null"]),
        (["kernelgen", "--ops", "add", "--out", "backend", "--layout", "heap"], ["--layout", "'heap'", "package"]),
        (["kernelgen", "--ops", "add", "--lint-pack", "none.toml"], ["none.toml"]),
        (["kernelgen", "list", "--family", "nobility"], ["--family", "'nobility'", "pointwise"]),
        (["runs", "show", "20200101-000000"], ["20200101-000000", "sysmith runs list"]),
        (["runs", "show"], ["there is no run"]),
    ],
)
def test_a_bad_command_line_is_one_sentence(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = refusal(capsys, *arguments)
    assert [word for word in words if word not in text] == []
    assert not Path(".sysmith").exists()


@pytest.mark.parametrize(
    ("ops", "words"),
    [
        ("no_such_operator", ["--ops", "'no_such_operator'"]),
        ("family:nobility", ["--ops", "'nobility'", "pointwise"]),
        ("@missing.txt", ["--ops", "missing.txt", "No such file"]),
        (",", ["--ops is empty"]),
    ],
)
def test_an_unknown_operator_is_named(ops: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = refusal(capsys, "kernelgen", "--ops", ops)
    assert [word for word in words if word not in text] == []
    assert not Path(".sysmith").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[kernelgen\n", ["not valid TOML", "line 1"]),
        ("[kernelgen]\nopps = 'add'\n", ["kernelgen.opps is unknown", "ops"]),
        ("[tune]\nx = 1\n", ["tune is unknown", "kernelgen"]),
        ("[kernelgen]\njobs = 'many'\n", ["kernelgen.jobs", '"many"', "number"]),
        ("[kernelgen]\njobs = true\n", ["kernelgen.jobs", "number"]),
        ("[kernelgen]\nmemory = 1\n", ["kernelgen.memory = 1"]),
        ("[kernelgen]\njobs = 1.5\n", ["kernelgen.jobs = 1.5"]),
        ("[kernelgen]\ncache = 'no'\n", ["kernelgen.cache", "true nor false"]),
        ("[kernelgen]\nops = 5\n", ["kernelgen.ops = 5", "text"]),
        ("[kernelgen]\nlint_pack = 'x.toml'\n", ["kernelgen.lint_pack", "list"]),
        ("[kernelgen.list]\nmissing = 0\n", ["kernelgen.list.missing"]),
        (b"\xff\xfe", ["UTF-8"]),
    ],
)
def test_a_damaged_configuration_file_is_named(
    content: str | bytes, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sysmith.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    text = refusal(capsys, "config")
    assert [word for word in ["sysmith.toml", *words] if word not in text] == []
    assert said(capsys, "--help")[0] == 0


def test_a_configuration_file_that_was_asked_for_must_exist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSMITH_CONFIG", "elsewhere.toml")
    assert "elsewhere.toml (from SYSMITH_CONFIG) does not exist" in refusal(capsys, "config")


def test_every_value_has_an_origin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sysmith.toml").write_text("[kernelgen]\nops = ['add', 'mm']\nmax-minutes = 5\njobs = 3\n")
    monkeypatch.setenv("SYSMITH_KERNELGEN_JOBS", "7")
    code, out, _ = said(capsys, "config", "--json")
    assert code == 0
    found = {(s["command"], s["option"]): (s["value"], s["origin"]) for s in json.loads(out)["settings"]}
    assert found["sysmith kernelgen", "--ops"] == ("add,mm", "sysmith.toml")
    assert found["sysmith kernelgen", "--max-minutes"] == (5, "sysmith.toml")
    assert found["sysmith kernelgen", "--jobs"] == ("7", "environment")
    assert found["sysmith kernelgen", "--samples"] == (0, "default")
    assert found["sysmith kernelgen list", "--missing"] == (False, "default")


def test_groups_of_commands_have_their_tables_and_variables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sysmith.toml").write_text(
        "[upgrade-sched.backtest]\nslots = 3\nformat = 'swf'\n[knowledge.list]\njson = true\n"
    )
    monkeypatch.setenv("SYSMITH_UPGRADE_SCHED_BACKTEST_WINDOW", "90")
    code, out, _ = said(capsys, "config", "--json")
    assert code == 0
    found = {(s["command"], s["option"]): (s["value"], s["origin"]) for s in json.loads(out)["settings"]}
    assert found["sysmith upgrade-sched backtest", "--slots"] == (3, "sysmith.toml")
    assert found["sysmith upgrade-sched backtest", "--format"] == ("swf", "sysmith.toml")
    assert found["sysmith upgrade-sched backtest", "--window"] == ("90", "environment")
    code, out, _ = said(capsys, "knowledge", "list")
    assert code == 0
    assert json.loads(out)["schema_version"] == 1
    text = refusal(capsys, "upgrade-sched", "backtest", "nothere.csv")
    assert "nothere.csv" in text


def test_a_bad_variable_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSMITH_KERNELGEN_JOBS", "many")
    text = refusal(capsys, "kernelgen", "--ops", "add")
    assert "SYSMITH_KERNELGEN_JOBS" in text
    assert "many" in text


def test_the_command_line_wins_over_the_variable_and_that_over_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sysmith.toml").write_text("[kernelgen]\nops = 'from_file'\n")
    assert "'from_file'" in refusal(capsys, "kernelgen")
    monkeypatch.setenv("SYSMITH_KERNELGEN_OPS", "from_variable")
    assert "'from_variable'" in refusal(capsys, "kernelgen")
    assert "'from_line'" in refusal(capsys, "kernelgen", "--ops", "from_line")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["not JSON", "line 1"]),
        ("[]", ["no field operators"]),
        ('{"operators": 5}', ["no field operators"]),
        ('{"operators": [5]}', ["operators[0] is not an object"]),
        ('{"operators": [{"dtypes": {}}]}', ["operators[0].name"]),
        ('{"operators": [{"name": "add"}]}', ["operators[0].dtypes"]),
        ('{"operators": [{"name": "add", "dtypes": {"int8": [1]}}]}', ["operators[0].dtypes.int8", "[total, passed]"]),
        ('{"operators": [{"name": "add", "dtypes": {"int8": [1, "1"]}}]}', ["operators[0].dtypes.int8"]),
    ],
)
def test_a_damaged_baseline_is_named(content: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.json").write_text(content)
    text = refusal(capsys, *SMALL, "--baseline", "old.json")
    assert [word for word in ["--baseline", "old.json", *words] if word not in text] == []


def test_a_run_to_resume_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no run of kernelgen" in refusal(capsys, *SMALL, "--resume", "latest")
    assert "'../x' is not the id of a run" in refusal(capsys, *SMALL, "--resume", "../x")


def test_the_state_folder_must_be_writable(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    text = refusal(capsys, *SMALL, "--state", "file")
    assert "file/runs" in text
    assert "cannot be created" in text


def test_the_cache_must_be_writable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSMITH_CACHE_DIR", "/dev/null/cache")
    assert "SYSMITH_CACHE_DIR" in refusal(capsys, *SMALL)


def test_a_missing_sandbox_is_a_missing_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "detect_tier", lambda: Tier("none", "bwrap is not installed"))
    code, out, err = said(capsys, *SMALL)
    assert (code, out) == (4, "")
    assert err.count("\n") == 1
    assert "--allow-unsandboxed" in err


def test_a_fault_of_our_own_is_one_sentence_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: Path) -> None:
        raise ZeroDivisionError("one\nline")

    monkeypatch.setattr("agents.run_dir.list_runs", broken)
    code, out, err = said(capsys, "runs", "list")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "ZeroDivisionError: one line" in err
    monkeypatch.setenv("SYSMITH_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        said(capsys, "runs", "list")


def test_a_reader_that_goes_away_is_no_fault(place: Path) -> None:
    """As in ``sysmith config | head -1``, with the pipe closed before anything is written."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "config"],
            cwd=place,
            env=environment(),
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert done.stderr == b""
    assert done.returncode == 1


def test_runs_of_an_empty_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "runs", "list") == (0, "", "")
    assert json.loads(said(capsys, "runs", "list", "--json")[1]) == {"schema_version": 1, "runs": []}


def test_the_module_starts_the_program_too(place: Path) -> None:
    done = sysmith("--version", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
