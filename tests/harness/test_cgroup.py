"""Control groups of both versions are found, used and removed; where there are none the worker says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cgroup, wire
from harness.pool import Worker
from harness.sandbox import Tier


def test_a_worker_is_bounded_as_a_whole_and_its_group_goes_with_it(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = cgroup.create()
    if probe is None:
        pytest.skip("this user may make no control group")
    probe.remove()
    with Worker("hostile_entries:memory_bomb", tier=tier) as worker:
        assert worker.limits.startswith("cgroup v")
        group = worker._group
        assert group is not None
        assert worker._server is not None
        limit, folder = group.limit, group._folders["memory"]
        members = (folder / "cgroup.procs").read_text().split()
        assert str(worker._server.pid) in members
        # A limit set from outside, far under the address space allowed: the kernel must be what ends it.
        monkeypatch.setattr(group, "limit", lambda memory_bytes: limit(64 << 20))
        outcome = worker.run(wire.Message({}), lambda message: None, timeout_s=30, memory_bytes=8 << 30)
        assert (outcome.status, outcome.detail) == ("memory", "the kernel killed it for want of memory"), outcome
    assert not folder.exists()


def test_version_2_uses_the_nearest_delegated_ancestor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "cg" / "user" / "app" / "leaf"
    own.mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("")
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "cg" / "cgroup.subtree_control").write_text("memory pids\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/user/app/leaf\n")
    mkdir = Path.mkdir

    def like_the_kernel(self: Path, *args: object, **kwargs: object) -> None:
        mkdir(self)
        for name, text in (
            ("cgroup.procs", ""),
            ("memory.current", "1000"),
            ("memory.events", "low 0\noom 2\noom_kill 3\n"),
        ):
            (self / name).write_text(text)

    monkeypatch.setattr(Path, "mkdir", like_the_kernel)
    group = cgroup.create(mount=tmp_path / "cg", membership=membership)
    assert group is not None
    assert str(group) == "cgroup v2 (memory, pids)"
    (folder,) = set(group._folders.values())
    assert folder.parent == own.parent
    assert int((folder / "pids.max").read_text()) > 64
    group.limit(1 << 30)
    assert int((folder / "memory.max").read_text()) >= (1 << 30) + 2000
    assert group.kills() == 3
    assert group.wrap(["true"])[-2:] == [str(folder), "true"]


@pytest.mark.parametrize("lines", ["", "0::/\n", "0::/none/there\n", "4:memory:/none\n3:cpu:/\n"])
def test_without_a_writable_group_there_is_none(tmp_path: Path, lines: str) -> None:
    membership = tmp_path / "membership"
    membership.write_text(lines)
    assert cgroup.create(mount=tmp_path / "cg", membership=membership) is None
    assert cgroup.create(mount=tmp_path / "cg", membership=tmp_path / "absent") is None
