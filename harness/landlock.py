"""The landlock tier: rules on files, TCP and signals that this process puts on itself; namespaces are elsewhere."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness import linux, paths

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION_FLAG: Final = 1
_RULE_PATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE

_SYSTEM: Final = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix/store", "/proc", "/sys"),
    *(
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/localtime",
        "/etc/timezone",
        "/etc/alternatives",
    ),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/os-release", "/etc/mime.types"),
)
_DEVICES_READ: Final = ("/dev/urandom", "/dev/random")
_DEVICES_WRITE: Final = ("/dev/null", "/dev/zero", "/dev/full")


def abi() -> int:
    """The version of landlock that this kernel offers; 0 where there is none."""
    try:
        return linux.syscall("landlock_create_ruleset", _CREATE, ctypes.c_void_p(None), 0, _VERSION_FLAG)
    except OSError:
        return 0


def readable_paths(hide: Iterable[Path] = ()) -> list[Path]:
    """What a sandboxed interpreter may read: the system's programs and libraries, and the import path of this one."""
    hidden = [*paths.hidden_folders(), *(path.resolve() for path in hide if path.is_dir())]
    needed = [Path(name) for name in _SYSTEM]
    for path in paths.code_paths():
        within = any(place.is_relative_to(path.resolve()) for place in hidden)
        needed += paths.importable(path) if within else [path]
    return needed


def restrict(*, read: Iterable[Path], write: Iterable[Path]) -> None:
    """Allow this process, for good, to read and execute below ``read`` and to do all below ``write``; nothing else.

    Paths that do not exist are left out. From ABI 4 on TCP is closed too, from ABI 6 on signals to, and abstract
    sockets of, processes outside. Sets ``no_new_privs``. Raises OSError where landlock is missing or refuses.
    """
    version = abi()
    handled = (1 << 13) - 1
    for since, right in ((2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL_DEVICE)):
        handled |= right if version >= since else 0
    attributes = struct.pack("<QQQ", handled, 3, 3)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = linux.syscall("landlock_create_ruleset", _CREATE, attributes, len(attributes), 0)
    try:
        for name in _DEVICES_READ:
            _allow(ruleset, Path(name), handled & _READ_FILE)
        for name in _DEVICES_WRITE:
            _allow(ruleset, Path(name), handled & (_READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE))
        for path in read:
            _allow(ruleset, path, handled & _READ)
        for path in write:
            _allow(ruleset, path, handled & ~_IOCTL_DEVICE)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        linux.syscall("landlock_restrict_self", _RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not path.is_dir():
                rights &= _FILE_RIGHTS
            rule = struct.pack("<Qi", rights, beneath)
            linux.syscall("landlock_add_rule", _ADD_RULE, ruleset, _RULE_PATH, rule, 0)
        finally:
            os.close(beneath)
