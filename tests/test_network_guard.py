"""The guard that all tests run under: this machine may be reached, nothing else, and whoever tries is found out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import network_guard

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 1), ("::1", 1, 0, 0), ("localhost", 1), "/run/socket", b"\0abstract"]
)
def test_this_machine_is_local(address: object) -> None:
    assert network_guard.is_local(address)


@pytest.mark.parametrize(
    "address", [("198.51.100.7", 80), ("2001:db8::1", 80, 0, 0), ("example.org", 80), ("0.0.0.0", 1)]
)
def test_anything_else_is_not(address: object) -> None:
    assert not network_guard.is_local(address)


def test_a_connection_and_a_look_up_are_refused_and_remembered() -> None:
    with socket.socket() as one, pytest.raises(PermissionError, match="network guard"):
        one.connect(("198.51.100.7", 80))
    with socket.socket() as one, pytest.raises(PermissionError, match="network guard"):
        one.connect_ex(("198.51.100.7", 80))
    with pytest.raises(PermissionError, match=r"a look-up of example\.org"):
        socket.create_connection(("example.org", 80))
    assert len(network_guard.attempts) == 3
    network_guard.attempts.clear()  # else the fixture fails this test, which is its purpose


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()


def test_a_program_of_its_own_is_guarded_by_its_environment() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "guarded")]),
    }
    program = "import urllib.request; urllib.request.urlopen('http://198.51.100.7/', timeout=5)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert network_guard.MARK in done.stderr
