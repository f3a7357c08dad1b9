"""This process's resource usage: CPU time, memory, descriptors, threads (Linux: proc(5))."""

from __future__ import annotations

import math
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import TypedDict

_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(TypedDict):
    """As `GET /state` gives it."""

    cpu: float
    cpu_seconds: float
    memory: int
    descriptors: int
    threads: int


class Meter:
    """Reads it from the system; `cpu` is the share of one core since the last call."""

    def __init__(self) -> None:
        """Begin counting."""
        self._at, self._spent = time.monotonic(), _cpu_seconds()
        self._cpu = 0.0

    def read(self) -> Usage:
        """The current usage."""
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


_PREEMPTED = 0.01
"""Seconds that a thread is taken to wait for its core each time that the system takes it away (sched(7))."""


class ThreadMeter:
    """How busy another thread of this process is."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._before: tuple[int, float, float] = (0, 0.0, 0.0)

    def busy(self, thread: int) -> float:
        """The share of one core that a thread has taken since the last time, or would have if it had been given it.

        Args:
            thread: its native id.

        Returns:
            From 0 to 1; 1 as well where it is not known.
        """
        now = time.monotonic()
        before, self._before = self._before, (thread, now, _thread_seconds(thread))
        if before[0] != thread or now <= before[1]:
            return 1.0
        return max(0.0, min(1.0, (self._before[2] - before[2]) / (now - before[1])))


def _thread_seconds(thread: int) -> float:
    """The processor time of a thread, and what it has waited for a core; infinite where there is no proc(5)."""
    try:
        stat = Path(f"/proc/self/task/{thread}/stat").read_text("ascii").rpartition(")")[2].split()
        status = Path(f"/proc/self/task/{thread}/status").read_text("ascii")
    except OSError:
        return math.inf
    preempted = int(status.rpartition("nonvoluntary_ctxt_switches:")[2] or 0)
    return (int(stat[11]) + int(stat[12])) / _TICKS + preempted * _PREEMPTED


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
