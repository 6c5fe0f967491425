"""The filter says what its profile promises, on both processors; a small interpreter of BPF reads it."""

from __future__ import annotations

import os

import pytest

from harness import seccomp, syscalls

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
PID = 4242


def answer(profile: str, machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Run the filter on one call as the kernel would."""
    data = {0: number, 4: architecture or ARCHITECTURES[machine][1]}
    for index, value in enumerate((*arguments, 0, 0, 0, 0, 0, 0)[:6]):
        data[16 + 8 * index], data[20 + 8 * index] = value & 0xFFFFFFFF, value >> 32
    code = seccomp.program(profile, pid=PID, machine=machine)
    assert len(code) <= 4096, "the kernel takes no longer filter"
    at = register = 0
    while True:
        operation, true, false, operand = code[at]
        at += 1
        if operation == 0x20:
            register = data[operand]
        elif operation == 0x06:
            return operand
        else:
            assert max(true, false) < 256
            met = {0x15: register == operand, 0x25: register > operand, 0x45: bool(register & operand)}[operation]
            at += true if met else false


def call(name: str, machine: str) -> int:
    for table in (syscalls.CHECKED, syscalls.NETWORK, syscalls.EXEC, syscalls.OTHERS, syscalls.WRITING):
        if name in table:
            number = table[name][ARCHITECTURES[machine][0]]
            assert number is not None
            return number
    raise KeyError(name)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "compute", "compile_"),
    [
        ("clone", (17,), EPERM, ALLOW),
        ("clone", (0x3D0F00,), EPERM, ALLOW),
        ("clone", (0x10000000 | 17,), EPERM, EPERM),
        ("clone", (0x20000000 | 17,), EPERM, EPERM),
        ("clone3", (), EPERM, ENOSYS),
        ("execve", (), EPERM, ALLOW),
        ("socket", (2, 1), EPERM, EPERM),
        ("ptrace", (), EPERM, EPERM),
        ("openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC), ALLOW, ALLOW),
        ("openat", (0, 0, os.O_WRONLY), EPERM, ALLOW),
        ("openat", (0, 0, os.O_RDWR | os.O_CLOEXEC), EPERM, ALLOW),
        ("openat", (0, 0, os.O_CREAT), EPERM, ALLOW),
        ("openat", (0, 0, os.O_TRUNC), EPERM, ALLOW),
        ("openat2", (), ENOSYS, ALLOW),
        ("unlinkat", (), EPERM, ALLOW),
        ("kill", (PID, 9), ALLOW, ALLOW),
        ("kill", (PID + 1, 9), EPERM, ALLOW),
        ("kill", (2**64 - 1, 9), EPERM, ALLOW),
        ("tgkill", (PID, PID, 6), ALLOW, ALLOW),
        ("tgkill", (1, 1, 9), EPERM, ALLOW),
        ("prlimit64", (0, 9, 0, 1 << 40), ALLOW, ALLOW),
        ("prlimit64", (0, 9, 1, 0), EPERM, EPERM),
        ("prlimit64", (0, 9, 1 << 32, 0), EPERM, EPERM),
        ("ioctl", (0, 0x5412), EPERM, EPERM),
        ("ioctl", (0, 0x5401), ALLOW, ALLOW),
    ],
)
def test_calls_are_judged_by_their_arguments(
    machine: str, name: str, arguments: tuple[int, ...], compute: int, compile_: int
) -> None:
    number = call(name, machine)
    assert answer("compute", machine, number, *arguments) == compute
    assert answer("compile", machine, number, *arguments) == compile_


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("profile", seccomp.PROFILES)
def test_foreign_and_unknown_calls_are_refused(machine: str, profile: str) -> None:
    assert answer(profile, machine, 0, architecture=0x40000003) == KILL  # the 32-bit interface
    assert answer(profile, machine, syscalls.LAST_KNOWN + 1) == ENOSYS
    assert answer(profile, machine, 0x40000000) == ENOSYS  # x32


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_computing_needs_is_allowed(machine: str) -> None:
    x86 = {"read": 0, "write": 1, "mmap": 9, "brk": 12, "futex": 202, "exit_group": 231, "getrandom": 318}
    arm = {"read": 63, "write": 64, "mmap": 222, "brk": 214, "futex": 98, "exit_group": 94, "getrandom": 278}
    for number in (x86 if machine == "x86_64" else arm).values():
        assert answer("compute", machine, number) == ALLOW


def test_every_listed_number_is_known_to_this_kernels_range() -> None:
    for table in (syscalls.PROCESS, syscalls.NETWORK, syscalls.KERNEL, syscalls.WRITING, syscalls.CHECKED):
        for name, numbers in table.items():
            assert all(n is None or 0 <= n <= syscalls.LAST_KNOWN for n in numbers), name


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="loose"):
        seccomp.program("loose", pid=1, machine="x86_64")
