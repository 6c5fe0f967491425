"""Registers, spills and memory read from compiled code itself, without a second tool; judges nothing.

Running cuobjdump costs as much as compiling a small kernel, and its numbers come from the same ELF records.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Attribute numbers in the section .nv.info, as `cuobjdump -elf` names them.
_REGCOUNT = 0x2F
_MIN_STACK_SIZE = 0x12
_SIZED = 4  # format byte of a record that is followed by as many bytes as its 16-bit value says


@dataclass(frozen=True)
class Resources:
    """Per thread: registers and spilled 32-bit values. None where the code does not say."""

    registers: int | None = None
    spills: int | None = None


def cubin_resources(cubin: bytes) -> Resources:
    """Read the section .nv.info of a cubin (ELF64, little-endian).

    Spills are the stack of a thread in 32-bit words, which is how Triton counts them too (a Triton kernel has no other
    use for a stack). Of several functions the largest numbers count. Damaged input gives empty Resources.
    """
    registers: int | None = None
    stack: int | None = None
    try:
        for attribute, value in _nv_info(cubin):
            if attribute == _REGCOUNT:
                registers = max(value, registers or 0)
            elif attribute == _MIN_STACK_SIZE:
                stack = max(value, stack or 0)
    except (struct.error, OverflowError):  # an offset outside of the bytes there are
        return Resources()
    return Resources(registers, None if stack is None else stack // 4)


def _nv_info(cubin: bytes) -> Iterator[tuple[int, int]]:
    """Yield (attribute, value) of each record of the form (symbol, value)."""
    if cubin[:6] != b"\x7fELF\x02\x01":
        return
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = []
    for index in range(count):
        name, _, _, _, offset, size = struct.unpack_from("<IIQQQQ", cubin, table + index * entry_size)
        sections.append((name, offset, size))
    if names_index >= count:
        return
    names = sections[names_index][1]
    for name, offset, size in sections:
        if cubin[names + name :].split(b"\0", 1)[0] != b".nv.info":
            continue
        position, end = offset, offset + size
        while position + 4 <= end:
            form, attribute, length = struct.unpack_from("<BBH", cubin, position)
            position += 4
            if form == _SIZED:
                if length == 8:
                    yield attribute, struct.unpack_from("<II", cubin, position)[1]
                position += length


def amdgcn_resources(assembly: str) -> Resources:
    """Read the kernel metadata (``.vgpr_count``, ``.vgpr_spill_count``) at the end of AMDGPU assembly text.

    The keys are those of "Code Object V5 metadata" in LLVM's AMDGPU user guide.
    """
    return Resources(_largest(".vgpr_count", assembly), _largest(".vgpr_spill_count", assembly))


def _largest(key: str, assembly: str) -> int | None:
    found = re.findall(rf"^\s*{re.escape(key)}:\s*(\d+)\s*$", assembly, re.MULTILINE)
    return max(map(int, found)) if found else None
