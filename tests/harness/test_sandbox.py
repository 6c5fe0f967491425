"""What untrusted code cannot reach, in every tier: network, files, environment, other processes."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import bubblewrap, landlock, sandbox, seccomp, wire
from harness.pool import Worker
from harness.sandbox import Tier
from sysmith_errors import MissingPart


def ask(entry: str, body: dict[str, Any], tier: Tier, *, profile: str = "compute", **options: Any) -> dict[str, Any]:
    got: list[wire.Message] = []
    with Worker(f"hostile_entries:{entry}", tier=tier, profile=profile, **options) as worker:
        outcome = worker.run(wire.Message(body), got.append, timeout_s=20, memory_bytes=512 << 20)
    assert outcome.status == "ok", outcome
    return got[0].body


@pytest.fixture
def home_folder() -> Iterator[Path]:
    """A directory inside the real home, so that hiding /tmp alone would not hide it."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".sysmith-test-", dir=Path.home()))
    except OSError as error:
        pytest.skip(f"the home directory cannot be written: {error}")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("profile", seccomp.PROFILES)
def test_no_network(tier: Tier, profile: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s"))
        local.listen()
        body = {"port": server.getsockname()[1], "unix": str(tmp_path / "s")}
        assert set(ask("try_network", body, tier, profile=profile).values()) == {"PermissionError"}


def test_the_network_namespace_is_empty(tier: Tier) -> None:
    with Worker("hostile_entries:interfaces", tier=tier) as worker:
        if tier.name == "landlock" and "net" not in worker.namespaces:
            pytest.skip("this kernel grants no network namespace; the system-call filter stands alone")
    assert ask("interfaces", {}, tier)["interfaces"] == ["lo"]


@pytest.mark.parametrize("profile", seccomp.PROFILES)
def test_nothing_is_written_outside_the_scratch_directory(tier: Tier, profile: str, tmp_path: Path) -> None:
    here = Path(__file__).parent
    victims = [tmp_path / "x", here / "planted.txt", Path.home() / "planted.txt", Path("/dev/shm/planted")]
    victims += [Path("/tmp/planted"), Path("/usr/planted"), Path("/proc/sys/kernel/core_pattern"), Path("/dev/planted")]
    victims += [Path("/proc/sysrq-trigger"), Path("/proc/1/oom_score_adj")]
    before = tmp_path / "kept"
    before.write_text("kept")
    paths = [*map(str, victims), str(before)]
    body = {"paths": paths, "scratch": True}
    answer = ask("try_write", body, tier, profile=profile)
    assert "written" not in [answer[path] for path in paths], answer
    assert answer["scratch"] == ("written" if profile == "compile" else "PermissionError")
    assert before.read_text() == "kept"
    assert not any(victim.exists() for victim in victims if victim.name.startswith("planted"))


def test_one_candidate_leaves_nothing_for_the_next(tier: Tier) -> None:
    got: list[wire.Message] = []
    with Worker("hostile_entries:try_write", tier=tier, profile="compile") as worker:
        for _ in range(2):
            body = {"paths": [], "scratch": True}
            worker.run(wire.Message(body), got.append, timeout_s=20, memory_bytes=512 << 20)
    assert [message.body for message in got] == [{"left_before": [], "scratch": "written"}] * 2


def test_the_environment_is_scrubbed_and_the_child_stands_alone(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "planted")
    facts = ask("facts", {}, tier, env={"WANTED": "1"})
    environment = facts["environment"]
    assert "SECRET_KEY" not in environment
    assert "planted" not in environment.values()
    assert environment["WANTED"] == "1"
    assert environment["HOME"] == environment["TMPDIR"] == facts["cwd"]
    assert facts["sid_is_own"]
    assert facts["core"] == [0, 0]
    # 0 to 2, the reply pipe, and the one that lists the directory
    assert len(facts["descriptors"]) <= 5
    status = dict(line.split(":\t", 1) for line in facts["status"].splitlines())
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == 0
    assert "torch" not in facts["modules"]


def test_the_environment_of_the_parent_is_not_in_proc_either(tier: Tier) -> None:
    paths = [f"/proc/{os.getpid()}/environ", f"/proc/{os.getppid()}/environ", "/proc/1/environ"]
    answer = ask("try_read", {"paths": paths}, tier)
    assert all(text in ("PermissionError", "FileNotFoundError") for text in answer.values()), answer


def test_secrets_in_the_home_are_hidden(
    tier: Tier, home_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for home in (home_folder, tmp_path):
        secret = home / ".ssh" / "id_ed25519"
        secret.parent.mkdir()
        secret.write_text("planted secret")
        paths.append(str(secret))
    monkeypatch.setenv("HOME", str(tmp_path))
    paths.append("/etc/shadow")
    answer = ask("try_read", {"paths": paths}, tier)
    assert all(text in ("FileNotFoundError", "PermissionError", "") for text in answer.values()), answer


def test_code_in_the_home_is_shown_and_its_run_logs_are_not(
    tier: Tier, home_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = home_folder / "checkout"
    (code / ".sysmith" / "runs").mkdir(parents=True)
    (code / ".sysmith" / "runs" / "reference").write_text("planted secret")
    (code / "module_in_home.py").write_text(
        "def entry(request, send):\n    import hostile_entries as h\n    h.try_read(request, send)\n"
    )
    (home_folder / "beside").write_text("planted secret")
    monkeypatch.chdir(code)
    monkeypatch.syspath_prepend(str(code))
    got: list[wire.Message] = []
    body = {
        "paths": [
            str(code / ".sysmith" / "runs" / "reference"),
            str(home_folder / "beside"),
            str(code / "module_in_home.py"),
        ]
    }
    with Worker("module_in_home:entry", tier=tier) as worker:
        outcome = worker.run(wire.Message(body), got.append, timeout_s=20, memory_bytes=512 << 20)
    assert outcome.status == "ok", outcome
    reference, beside, module = (got[0].body[path] for path in body["paths"])
    assert reference in ("FileNotFoundError", "PermissionError")
    assert beside in ("FileNotFoundError", "PermissionError")
    assert module.startswith("def entry")


def test_hide_covers_what_the_caller_names(tier: Tier, home_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home_folder / "answers").mkdir()
    (home_folder / "answers" / "a").write_text("planted secret")
    monkeypatch.syspath_prepend(str(home_folder))
    path = str(home_folder / "answers" / "a")
    answer = ask("try_read", {"paths": [path]}, tier, hide=[home_folder / "answers"])
    assert answer[path] in ("FileNotFoundError", "PermissionError")


def test_forbidden_calls_answer_that_they_are(tier: Tier) -> None:
    answer = ask("try_calls", {}, tier)
    allowed = {name: answer.pop(name) for name in ("kill_self", "getrlimit", "getpid")}
    assert set(allowed.values()) == {"ok"}
    assert set(answer.values()) == {"Operation not permitted"}, answer
    loose = ask("try_calls", {"fork_is_allowed": True}, tier, profile="compile")
    for name in (
        "socket",
        "socketpair",
        "ptrace",
        "mount",
        "unshare_user",
        "setns",
        "shmget",
        "setrlimit",
        "bpf",
        "keyctl",
    ):
        assert loose.get(name, "Operation not permitted") == "Operation not permitted", (name, loose)


def test_the_server_cannot_be_rewritten_or_killed_by_its_children(tier: Tier) -> None:
    assert ask("poke_server", {}, tier)["mem"] == "PermissionError"
    # "compile" may send signals; the server is process 1 of the namespace, which they do not reach.
    with Worker("hostile_entries:kill_server", tier=tier, profile="compile") as worker:
        if tier.name == "landlock" and "pid" not in worker.namespaces:
            pytest.skip("this kernel grants no process namespace")
    assert ask("kill_server", {}, tier, profile="compile") == {"still_here": True}


def test_a_bubblewrap_that_does_not_work_falls_through_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.detect_tier.cache_clear()
    try:
        tier = sandbox.detect_tier()
        assert tier.name != "bubblewrap"
        assert "No permissions to create new namespace" in tier.reason
        broken.unlink()
        sandbox.detect_tier.cache_clear()
        assert "bubblewrap is not installed" in sandbox.detect_tier().reason
        assert sandbox.detect_tier().name == ("landlock" if landlock.abi() and seccomp.supported() else "none")
    finally:
        sandbox.detect_tier.cache_clear()


def test_without_any_sandbox_work_is_refused_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "problem", lambda: "bubblewrap is not installed")
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    sandbox.detect_tier.cache_clear()
    try:
        with pytest.raises(MissingPart, match="--allow-unsandboxed") as caught:
            Worker("hostile_entries:echo")
        assert caught.value.exit_code == 4
        with Worker("hostile_entries:nothing", allow_unsandboxed=True) as worker:
            assert worker.tier.name == "none"
            assert "no landlock" in str(worker.tier)
            assert worker.run(wire.Message({}), lambda m: None, timeout_s=9, memory_bytes=1 << 28).status == "ok"
    finally:
        sandbox.detect_tier.cache_clear()
