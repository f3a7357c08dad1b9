"""What this process takes of its machine: processor time, memory, descriptors, threads (Linux: proc(5))."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import TypedDict

_PAGE = resource.getpagesize()


class Usage(TypedDict):
    """As `GET /state` gives it."""

    cpu: float
    cpu_seconds: float
    memory: int
    descriptors: int
    threads: int


class Meter:
    """Asks the system; `cpu` is the share of one core since the last time."""

    def __init__(self) -> None:
        """Begin counting."""
        self._at, self._spent = time.monotonic(), _cpu_seconds()
        self._cpu = 0.0

    def read(self) -> Usage:
        """What it takes now."""
        now, spent = time.monotonic(), _cpu_seconds()
        if now - self._at >= 0.5:
            self._cpu = (spent - self._spent) / (now - self._at)
            self._at, self._spent = now, spent
        return Usage(
            cpu=self._cpu,
            cpu_seconds=spent,
            memory=_memory(),
            descriptors=_descriptors(),
            threads=threading.active_count(),
        )


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system


def _memory() -> int:
    """Resident bytes; where there is no /proc, the most there ever were."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - without the one that looks
    except OSError:
        return 0
