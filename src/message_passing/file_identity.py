"""The identity of a file, which stays the same when it is renamed: device and inode (inode(7)), and its birth."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_EMPTY_PATH, _BIRTH = 0x1000, 0x800
"""AT_EMPTY_PATH and STATX_BTIME of statx(2)."""

_STATX_SIZE, _BIRTH_AT = 256, 80
"""The size of its result in bytes, and where the time of birth is in that: seconds, nanoseconds."""


def file_identity(file: Path | str | int) -> tuple[int, int] | None:
    """The identity of what a path or a descriptor leads to at present; None if that is nothing."""
    try:
        found = os.stat(file)  # noqa: PTH116 - also of a descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino


def birth_time(fd: int) -> int:
    """When an open file was created, in nanoseconds since the epoch; 0 if the system or file system does not tell.

    The number of a file that was removed is given to a new one: that has another time of birth.
    """
    call = _statx()
    if call is None:
        return 0
    result = ctypes.create_string_buffer(_STATX_SIZE)
    if call(fd, b"", _EMPTY_PATH, _BIRTH, result) or not struct.unpack_from("=I", result)[0] & _BIRTH:
        return 0
    seconds, nanoseconds = struct.unpack_from("=qI", result, _BIRTH_AT)
    return int(seconds * 1_000_000_000 + nanoseconds)


@functools.cache
def _statx() -> Any:
    """The C library's function; None if it has none (before glibc 2.28, musl 1.2.3)."""
    call = getattr(ctypes.CDLL(None), "statx", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
    return call
