"""Resident memory, descriptors and threads of every process, each second; and whether they grow."""

from __future__ import annotations

import os
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soak.processes import Slot

MEMORY, DESCRIPTORS, THREADS = "memory", "descriptors", "threads"
LIMITS = {MEMORY: 8.0, DESCRIPTORS: 8.0, THREADS: 2.0}
"""By how much the median may rise from the first to the last third of the second half: MiB, and numbers."""

SETTLED = 120
"""A soak of fewer seconds says nothing about memory: a process has not yet met its largest burst."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process.

    Attributes:
        at: seconds since the soak began.
        slot: whose.
        life: which one in the slot.
        memory: resident, in MiB.
        descriptors: open ones.
        threads: of it.
    """

    at: float
    slot: str
    life: int
    memory: float
    descriptors: int
    threads: int


def descriptors_of(process_id: int) -> int:
    """How many a process has open."""
    return len(os.listdir(f"/proc/{process_id}/fd"))  # noqa: PTH208 - of many, counted only


def sample(slot: Slot, at: float) -> Sample | None:
    """One look, unless it has just gone."""
    process_id = slot.life.process.pid
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii", errors="replace")
        count = descriptors_of(process_id)
    except OSError:
        return None
    memory = re.search(r"VmRSS:\s+(\d+)", status)
    threads = re.search(r"Threads:\s+(\d+)", status)
    if not memory or not threads:  # a zombie has no memory
        return None
    return Sample(at, slot.name, len(slot.lives), int(memory[1]) / 1024, count, int(threads[1]))


@dataclass(frozen=True, slots=True)
class Trend:
    """How far something rose in the second half of the soak.

    Attributes:
        first: the median of the first third of that half.
        last: the median of its last third.
        limit: by how much it may rise; None if that is not judged.
    """

    slot: str
    measure: str
    first: float
    last: float
    limit: float | None

    @property
    def grew(self) -> bool:
        """Whether that is too much."""
        return self.limit is not None and self.last - self.first > self.limit


def trends(samples: list[Sample], slot: str, seconds: float) -> list[Trend]:
    """Of a process that lived through the second half."""
    half = [one for one in samples if one.slot == slot and seconds / 2 <= one.at <= seconds]
    third = len(half) // 3
    if not third:
        return []
    found = []
    for measure, limit in LIMITS.items():
        first, last = (
            statistics.median(float(getattr(one, measure)) for one in part)
            for part in (half[:third], half[-third:])
        )
        found.append(Trend(slot, measure, first, last, None if seconds < SETTLED else limit))
    return found
