"""Each way a child can end has its own outcome, and no way of ending leaves anything behind."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import seccomp, wire
from harness.pool import Outcome, Worker
from harness.sandbox import Tier
from sysmith_errors import InputError, InternalFault

MEBIBYTE = 1 << 20
Run = Callable[..., tuple[Outcome, list[wire.Message]]]


@pytest.fixture(scope="module")
def run(tier: Tier) -> Iterator[Run]:
    """Run one hostile entry to its end; workers are kept from test to test, which is how they are used."""
    workers: dict[tuple[str, str], Worker] = {}

    def go(
        entry: str,
        body: dict[str, Any] | None = None,
        *,
        profile: str = "compute",
        timeout_s: float = 20,
        memory: int = 256,
    ) -> tuple[Outcome, list[wire.Message]]:
        key = (entry, profile)
        if key not in workers:
            workers[key] = Worker(f"hostile_entries:{entry}", profile=profile, tier=tier, max_sent_bytes=300 * MEBIBYTE)
        got: list[wire.Message] = []
        request = wire.Message(body or {})
        outcome = workers[key].run(request, got.append, timeout_s=timeout_s, memory_bytes=memory * MEBIBYTE)
        return outcome, got

    yield go
    for worker in workers.values():
        worker.close()


def test_large_messages_go_both_ways(tier: Tier) -> None:
    data = np.random.default_rng(0).integers(0, 256, 100_000_000, dtype=np.uint8)
    got: list[wire.Message] = []
    with Worker("hostile_entries:echo", tier=tier) as worker:
        request = wire.Message({"n": 1}, [data, b"tail"])
        outcome = worker.run(request, got.append, timeout_s=60, memory_bytes=1 << 30)
    assert outcome.status == "ok", outcome
    assert got[0].body == {"n": 1}
    assert np.array_equal(np.frombuffer(got[0].arrays[0], np.uint8), data)
    assert bytes(got[0].arrays[1]) == b"tail"
    assert outcome.peak_rss_bytes > 100_000_000


def test_messages_stream_in_order_while_the_child_runs(run: Run) -> None:
    outcome, got = run("stream", {"count": 500})
    assert outcome.status == "ok"
    assert [message.body["index"] for message in got] == list(range(500))


def test_an_empty_request_costs_tens_of_milliseconds(tier: Tier) -> None:
    with Worker("hostile_entries:nothing", tier=tier, preload=["numpy"]) as worker:
        times = []
        for _ in range(15):
            began = time.monotonic()
            outcome = worker.run(wire.Message({}), lambda message: None, timeout_s=10, memory_bytes=MEBIBYTE << 6)
            times.append(time.monotonic() - began)
            assert outcome.status == "ok", outcome
    assert statistics.median(times) < 0.1


def test_exceptions_come_back_as_text(run: Run) -> None:
    assert run("raise_error", {"text": "of dtype"})[0].detail == "ValueError: of dtype"
    outcome, _ = run("raise_error", {"text": "x" * 100_000})
    assert outcome.status == "raised"
    assert len(outcome.detail) <= 4000
    outcome, _ = run("raise_unprintable")
    assert (outcome.status, outcome.detail) == ("raised", "Evil")
    outcome, _ = run("leave")
    assert (outcome.status, outcome.detail) == ("raised", "SystemExit: 3")


def test_output_is_kept_and_its_end_only(run: Run) -> None:
    outcome, _ = run("say_and_raise")
    assert outcome.status == "raised"
    assert "on stdout" in outcome.stderr_tail
    assert "on stderr" in outcome.stderr_tail
    assert "KeyError" in outcome.stderr_tail
    outcome, _ = run("endless_output", timeout_s=1)
    assert outcome.status == "timeout"
    assert 1000 < len(outcome.stderr_tail) <= 65536


@pytest.mark.parametrize(
    ("entry", "body", "status", "detail"),
    [
        ("exit_early", {"code": 0}, "crashed", "code 0"),
        ("exit_early", {"code": 9}, "crashed", "code 9"),
        ("die_by_signal", {"signal": int(signal.SIGSEGV)}, "crashed", "SIGSEGV"),
        ("die_by_signal", {"signal": int(signal.SIGKILL)}, "crashed", "SIGKILL"),
        ("garbage", {}, "protocol", "not a frame"),
        ("half_frame", {}, "protocol", ""),
        ("forged_end_then_more", {}, "protocol", "after its last frame"),
        ("forged_end_then_stay", {}, "protocol", "after its last frame"),
        ("forged_status", {}, "protocol", "last frame"),
        ("close_pipe", {}, "protocol", "pipe"),
        ("close_pipe", {"stay": True}, "protocol", "pipe"),
        ("endless_messages", {}, "protocol", "bytes"),
        ("memory_bomb", {}, "memory", "MemoryError"),
        ("memory_bomb", {"numpy": True}, "memory", "llocate"),
    ],
)
def test_each_way_of_ending_badly_has_its_status(
    run: Run, entry: str, body: dict[str, Any], status: str, detail: str
) -> None:
    outcome, got = run(entry, body)
    assert (outcome.status, detail in outcome.detail) == (status, True), outcome
    assert outcome.wall_s < 15
    assert not any("survived" in message.body or "late" in message.body for message in got)


def test_an_endless_loop_deaf_to_signals_is_stopped_in_time_and_the_worker_goes_on(run: Run) -> None:
    for _ in range(2):
        outcome, got = run("endless_loop", timeout_s=0.5)
        assert outcome.status == "timeout"
        assert got[0].body == {"started": True}
        assert 0.5 <= outcome.wall_s < 3


def test_a_fork_bomb_finds_no_fork(run: Run) -> None:
    outcome, _ = run("fork_bomb", timeout_s=1)
    assert outcome.status == "timeout"


def test_a_thread_bomb_starts_no_thread(run: Run) -> None:
    outcome, got = run("thread_bomb")
    assert outcome.status == "raised"
    assert "thread" in outcome.detail
    assert got[0].body == {"started": 0}


def processes_marked(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


@pytest.mark.parametrize(("before_s", "after_s", "status"), [(1.0, 30, "timeout"), (0.5, 0, "ok")])
def test_daemons_of_their_own_session_do_not_survive(run: Run, before_s: float, after_s: float, status: str) -> None:
    mark = f"sysmith-daemon-{os.getpid()}-{after_s}"
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:  # looks often rather than once: on a busy machine the daemons come late
        while not seen and not done.wait(0.05):
            if found := processes_marked(mark):
                seen.append(len(found))

    watcher = threading.Thread(target=watch)
    watcher.start()
    body = {"mark": mark, "before_s": before_s, "after_s": after_s}
    outcome, _ = run("daemons", body, profile="compile", timeout_s=2, memory=1024)
    done.set()
    watcher.join()
    assert outcome.status == status, outcome
    assert seen, "the daemons never ran, so that nothing was proved"
    assert processes_marked(mark) == []


def test_compile_may_run_programs_and_compute_may_not(run: Run) -> None:
    outcome, got = run("run_program", profile="compile")
    assert outcome.status == "ok", outcome
    assert got[0].body == {"said": "compiled\n"}
    assert run("run_program")[0].status == "raised"


@pytest.mark.slow
def test_a_fork_bomb_under_compile_is_ended_and_counted(run: Run) -> None:
    outcome, _ = run("fork_bomb", profile="compile", timeout_s=10, memory=4096)
    assert outcome.status == "crashed", outcome
    assert "processes" in outcome.detail
    assert outcome.wall_s < 9
    assert run("fork_bomb", profile="compile", timeout_s=10, memory=4096)[0].status == "crashed"


@pytest.mark.slow
def test_memory_of_many_processes_is_added_up(run: Run) -> None:
    outcome, _ = run("fork_memory_bomb", profile="compile", timeout_s=20, memory=300)
    assert outcome.status == "memory", outcome
    assert outcome.wall_s < 15


def test_an_exception_of_the_caller_passes_and_ends_the_child(tier: Tier) -> None:
    with Worker("hostile_entries:endless_loop", tier=tier) as worker:

        def refuse(message: wire.Message) -> None:
            raise LookupError("enough")

        began = time.monotonic()
        with pytest.raises(LookupError, match="enough"):
            worker.run(wire.Message({}), refuse, timeout_s=60, memory_bytes=MEBIBYTE << 8)
        assert time.monotonic() - began < 5
        outcome = worker.run(wire.Message({}), lambda message: None, timeout_s=0.3, memory_bytes=MEBIBYTE << 8)
        assert outcome.status == "timeout"


def test_time_in_the_callers_own_code_does_not_count(tier: Tier) -> None:
    with Worker("hostile_entries:stream", tier=tier) as worker:
        outcome = worker.run(
            wire.Message({"count": 4}), lambda message: time.sleep(0.3), timeout_s=1.0, memory_bytes=MEBIBYTE << 8
        )
    assert outcome.status == "ok", outcome


def test_a_dead_server_is_replaced(tier: Tier) -> None:
    got: list[wire.Message] = []
    with Worker("hostile_entries:echo", tier=tier) as worker:
        assert worker._server is not None
        os.killpg(worker._server.pid, signal.SIGKILL)
        time.sleep(0.1)
        outcome = worker.run(wire.Message({"n": 2}), got.append, timeout_s=10, memory_bytes=MEBIBYTE << 8)
        assert outcome.status == "ok", outcome
        assert got[0].body == {"n": 2}


def test_a_server_that_dies_during_a_request_is_a_crash_and_then_replaced(tier: Tier) -> None:
    with Worker("hostile_entries:endless_loop", tier=tier) as worker:
        server = worker._server
        assert server is not None
        timer = threading.Timer(0.3, os.killpg, (server.pid, signal.SIGKILL))
        timer.start()
        outcome = worker.run(wire.Message({}), lambda message: None, timeout_s=20, memory_bytes=MEBIBYTE << 8)
        assert (outcome.status, outcome.detail) == ("crashed", "the sandbox's server died")
        outcome = worker.run(wire.Message({}), lambda message: None, timeout_s=0.3, memory_bytes=MEBIBYTE << 8)
        assert outcome.status == "timeout"


def test_what_cannot_be_cleaned_up_costs_the_server_not_the_next_request(run: Run) -> None:
    for _ in range(2):
        outcome, _ = run("deep_folders", profile="compile")
        assert outcome.status == "ok", outcome


def test_workers_run_side_by_side_in_threads_that_end(tier: Tier) -> None:
    workers: list[Worker] = []
    outcomes: list[Outcome] = []

    def job() -> None:
        worker = Worker("hostile_entries:nothing", tier=tier)
        workers.append(worker)
        outcomes.append(worker.run(wire.Message({}), lambda message: None, timeout_s=20, memory_bytes=MEBIBYTE << 8))

    threads = [threading.Thread(target=job) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3
    for worker in workers:
        assert worker._server is not None
        assert worker._server.poll() is None, "the server ended with the thread that asked for it"
        worker.close()


def test_no_descriptor_is_left_open(tier: Tier) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    with Worker("hostile_entries:garbage", tier=tier) as worker:
        worker.run(wire.Message({}), lambda message: None, timeout_s=5, memory_bytes=MEBIBYTE << 8)
        before = count()
        for _ in range(5):
            worker.run(wire.Message({}), lambda message: None, timeout_s=5, memory_bytes=MEBIBYTE << 8)
        assert count() == before


def test_bad_arguments_and_bad_entries_are_named(tier: Tier) -> None:
    with pytest.raises(InputError, match=r"package\.module:function"):
        Worker("no_colon", tier=tier)
    with pytest.raises(InputError, match="compute, compile"):
        Worker("hostile_entries:echo", profile="loose", tier=tier)
    with pytest.raises(InternalFault, match="No module named 'not_there'"):
        Worker("not_there:entry", tier=tier)
    with pytest.raises(InternalFault, match="no_such_function"):
        Worker("hostile_entries:no_such_function", tier=tier)


def test_unsandboxed_workers_still_limit_and_clear_up() -> None:
    if not seccomp.supported():
        pytest.skip("this processor has no system-call filter")
    none = Tier("none", "chosen by the test")
    with Worker("hostile_entries:memory_bomb", tier=none) as worker:
        outcome = worker.run(wire.Message({}), lambda message: None, timeout_s=20, memory_bytes=MEBIBYTE << 8)
        assert outcome.status == "memory"
    mark = f"sysmith-daemon-{os.getpid()}-none"
    with Worker("hostile_entries:daemons", tier=none, profile="compile") as worker:
        request = wire.Message({"mark": mark, "before_s": 0.5, "after_s": 30})
        outcome = worker.run(request, lambda message: None, timeout_s=1.5, memory_bytes=MEBIBYTE << 10)
        assert outcome.status == "timeout"
        assert processes_marked(mark) == []


def test_nothing_survives_a_parent_that_is_killed(tier: Tier) -> None:
    mark = f"sysmith-daemon-{os.getpid()}-orphan"
    script = (
        "from harness import wire; from harness.pool import Worker; from harness.sandbox import Tier\n"
        f"worker = Worker('hostile_entries:daemons', profile='compile', tier=Tier({tier.name!r}, 'test'))\n"
        f"body = {{'mark': {mark!r}, 'before_s': 0.5, 'after_s': 60}}\n"
        "say = lambda message: print('running', flush=True)\n"
        "worker.run(wire.Message(body), say, timeout_s=60, memory_bytes=1 << 30)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        # The script's own text holds the mark too, and the interpreter that was given it.
        assert len(processes_marked(mark)) > 1
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 5
        while processes_marked(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes_marked(mark) == []
