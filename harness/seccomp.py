"""A system-call filter for one child (classic BPF, x86_64 and aarch64); what a file may be, the sandbox decides.

Profiles: "compute" may compute, read files it has or can open, and write to descriptors it was given: no process, no
thread, no program, no socket, no file opened for writing. "compile" may also start programs and write files.
Denied calls return EPERM; calls newer than the tables, and clone3 and openat2 (whose flags a filter cannot see), return
ENOSYS, so that the C library falls back to calls that the filter can judge.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from typing import Final

from harness import linux, syscalls

PROFILES: Final = ("compute", "compile")

_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENTS = 0, 4, 16
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_O_TMPFILE_BIT: Final = 0o20000000
_OPEN_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | _O_TMPFILE_BIT
_NAMESPACES: Final = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWCGROUP
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUSER
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
)
_TERMINAL_REQUESTS: Final = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX put input into a terminal

Instruction = tuple[int, int, int, int]
_DENY: Final[Instruction] = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_MISSING: Final[Instruction] = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
_PERMIT: Final[Instruction] = (_RETURN, 0, 0, _ALLOW)


def supported() -> bool:
    """Whether filters exist for this processor."""
    return platform.machine() in _MACHINES


def program(profile: str, *, pid: int, machine: str | None = None) -> list[Instruction]:
    """The filter as (code, jump if true, jump if false, operand) for the process ``pid``.

    ``pid`` is the only process that "compute" may signal. Raises KeyError for an unknown machine, ValueError for an
    unknown profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is not one of {', '.join(PROFILES)}")
    column, architecture = _MACHINES[machine or platform.machine()]

    def numbers(*tables: syscalls.Table) -> list[int]:
        return [n for table in tables for pair in table.values() if (n := pair[column]) is not None]

    def when(name: str, body: list[Instruction]) -> list[Instruction]:
        number = syscalls.CHECKED[name][column]
        return [] if number is None else [(_EQUAL, 0, len(body), number), *body]

    strict = profile == "compute"
    denied = numbers(syscalls.NETWORK, syscalls.OTHERS, syscalls.KERNEL, syscalls.IPC)
    if strict:
        denied += numbers(syscalls.PROCESS, syscalls.EXEC, syscalls.WRITING, syscalls.SESSION)
    code: list[Instruction] = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_ABOVE, 0, 1, syscalls.LAST_KNOWN),  # also every x32 call, which has a high bit set
        _MISSING,
        *_deny_each(denied),
        *when("prlimit64", _unless_null(2)),
        *when("ioctl", _unless_equal(1, _TERMINAL_REQUESTS)),
    ]
    if strict:
        code += [*when("clone", [_DENY]), *when("clone3", [_DENY]), *when("openat2", [_MISSING])]
        code += [*when("open", _unless_bits(1, _OPEN_TO_WRITE)), *when("openat", _unless_bits(2, _OPEN_TO_WRITE))]
        for name in ("kill", "tkill", "tgkill"):
            code += when(name, [_argument(0), (_EQUAL, 0, 1, pid), _PERMIT, _DENY])
    else:
        code += [*when("clone", _unless_bits(0, _NAMESPACES)), *when("clone3", [_MISSING])]
    return [*code, _PERMIT]


def _argument(index: int, *, high: bool = False) -> Instruction:
    return (_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * index + (4 if high else 0))


def _deny_each(numbers: Iterable[int]) -> list[Instruction]:
    return [step for number in numbers for step in ((_EQUAL, 0, 1, number), _DENY)]


def _unless_bits(index: int, mask: int) -> list[Instruction]:
    return [_argument(index), (_ANY_BIT, 0, 1, mask), _DENY, _PERMIT]


def _unless_equal(index: int, values: Iterable[int]) -> list[Instruction]:
    return [_argument(index), *_deny_each(values), _PERMIT]


def _unless_null(index: int) -> list[Instruction]:
    return [_argument(index), (_EQUAL, 1, 0, 0), _DENY, _argument(index, high=True), (_EQUAL, 1, 0, 0), _DENY, _PERMIT]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(profile: str) -> None:
    """Filter the calling (single-threaded) process and all it starts, for good; raises OSError."""
    code = b"".join(struct.pack("=HBBI", *step) for step in program(profile, pid=os.getpid()))
    buffer = ctypes.create_string_buffer(code, len(code))
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    argument = _Program(len(code) // 8, ctypes.addressof(buffer))
    linux.prctl(linux.PR_SET_SECCOMP, 2, ctypes.addressof(argument))
