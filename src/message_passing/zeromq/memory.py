"""How much memory this process has, and giving back what is free of it (Linux, glibc)."""

from __future__ import annotations

import contextlib
import ctypes
import os


class Memory:
    """How much memory of its own the process has now (proc_pid_statm(5)), also when no descriptor is free."""

    def __init__(self) -> None:
        """Begin.

        Raises:
            OSError: the system does not say.
        """
        self._descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._page = os.sysconf("SC_PAGE_SIZE")

    @classmethod
    def watched(cls, bound: int) -> Memory | None:
        """One, if there is a bound and the system says how much memory there is."""
        if bound:
            with contextlib.suppress(OSError):
                return cls()
        return None

    def __call__(self) -> int:
        """Bytes, without what files and other processes share."""
        _, resident, shared, *_ = os.pread(self._descriptor, 200, 0).split()
        return (int(resident) - int(shared)) * self._page

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def release_memory() -> None:
    """Give the freed memory that the C library keeps back to the system (malloc_trim(3)), where it can."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
