"""Lets sockets reach this machine alone: whatever else is tried is refused and remembered; it holds no tests."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

attempts: list[str] = []
MARK = "network guard:"


def is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine: the loopback, or no internet address at all (AF_UNIX)."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(what: str) -> OSError:
    attempts.append(what)
    print(f"{MARK} {what} was refused", file=sys.stderr, flush=True)
    return PermissionError(f"{MARK} {what} was refused")


def install() -> None:
    """Guard this process from now on; a second time changes nothing."""
    if getattr(socket.socket, "guarded", False):
        return
    connect, connect_ex, lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address):
            raise _refuse(f"a connection to {address}")
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address):
            raise _refuse(f"a connection to {address}")
        return connect_ex(self, address)

    def guarded_lookup(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (None, "") and not is_local((name,)):
            raise _refuse(f"a look-up of {name}")
        return lookup(host, *arguments, **named)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign, assignment]  # on purpose, for every user
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign, assignment]  # as above
    socket.getaddrinfo = guarded_lookup
    socket.socket.guarded = True  # type: ignore[attr-defined]  # the mark of this guard
