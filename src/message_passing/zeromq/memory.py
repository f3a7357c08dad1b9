"""The memory that this process uses, and releasing its free part (Linux, glibc)."""

from __future__ import annotations

import contextlib
import ctypes
import os


class Memory:
    """The process's private memory (proc_pid_statm(5)), also readable when no descriptor is free."""

    def __init__(self) -> None:
        """Begin.

        Raises:
            OSError: the system does not say.
        """
        self._descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._page = os.sysconf("SC_PAGE_SIZE")

    @classmethod
    def watched(cls, bound: int) -> Memory | None:
        """Open one, if there is a bound and the system reports the process's memory."""
        if bound:
            with contextlib.suppress(OSError):
                return cls()
        return None

    def __call__(self) -> int:
        """Bytes of private memory, without what is shared with files and other processes."""
        _, resident, shared, *_ = os.pread(self._descriptor, 200, 0).split()
        return (int(resident) - int(shared)) * self._page

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def release_memory() -> None:
    """Return the freed memory that the C library keeps to the system (malloc_trim(3)), where it can."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
