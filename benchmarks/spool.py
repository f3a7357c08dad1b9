"""The speed of a spool alone: messages a second stored and trimmed, and read back, in frames of 261 lines.

    cd benchmarks && python spool.py

A probe beside it writes and syncs the same bytes to a plain file, 8 frames at once, so that disks can be compared.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from message_passing.delivery import NO_HOLD
from message_passing.spool.spool import Spool
from message_passing.spool.store import SpoolStore

LINES = 261
FRAME = b"\n".join([b"x" * 250] * LINES)
FRAMES = 2000
AT_ONCE = 8
ROUNDS = 3


def rate(began: tuple[float, float], frames: int = FRAMES) -> tuple[float, float]:
    """Millions of messages since a moment, for each second, and for each second of processor time."""
    wall, processor = moment()
    count = frames * LINES / 1e6
    return count / (wall - began[0]), count / (processor - began[1])


def moment() -> tuple[float, float]:
    """Now, by the clock and by the processor's."""
    return time.perf_counter(), time.process_time()


def store(directory: Path, frames: int = FRAMES) -> tuple[tuple[float, float], tuple[float, float]]:
    """The database alone: put and trim in the same transaction, and drain."""
    directory.mkdir()
    spool = SpoolStore(directory)
    spool.open()
    trimmed: list[tuple[int, int, int]] = []
    began = moment()
    for _ in range(frames // AT_ONCE):
        added = spool.commit([(FRAME, LINES, True)] * AT_ONCE, trimmed, time.time())
        trimmed = [(one.sequence, LINES, len(FRAME)) for one in added]
    put = rate(began, frames)
    spool.commit([], trimmed)
    for _ in range(frames // AT_ONCE):
        spool.commit([(FRAME, LINES, True)] * AT_ONCE, (), time.time())
    began, after = moment(), 0
    while found := spool.read(after, 64, 1 << 20)[0]:
        after = found[-1].sequence
        spool.commit([], [(one.sequence, LINES, len(FRAME)) for one in found])
    drained = rate(began, frames)
    spool.close()
    return put, drained


def threads(directory: Path) -> tuple[float, float]:
    """The spool with its thread: put by one thread, taken and trimmed by another."""
    spool = Spool(directory, max_bytes=1 << 30)
    spool.open()
    there = threading.Event()
    spool.on_change = there.set

    def put() -> None:
        for _ in range(FRAMES):
            while not spool.has_room:
                time.sleep(0.0005)
            spool.put([(FRAME, LINES, True)], NO_HOLD)

    began, count = moment(), 0
    threading.Thread(target=put).start()
    while count < FRAMES:
        there.clear()
        frames = spool.take(1 << 20)
        if not frames:
            there.wait(0.1)
        count += len(frames)
        spool.trim([one.sequence for one in frames])
    through = rate(began)
    spool.close()
    return through


def plain(directory: Path, frames: int = FRAMES) -> tuple[float, float]:
    """The same bytes in a plain file."""
    descriptor = os.open(directory / "plain", os.O_WRONLY | os.O_CREAT)
    began = moment()
    for _ in range(frames // AT_ONCE):
        os.write(descriptor, FRAME * AT_ONCE)
        os.fdatasync(descriptor)
    os.close(descriptor)
    return rate(began, frames)


def main() -> None:
    """Measure, in turns, and print medians with the lowest and the highest."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
            path = Path(folder)
            found.setdefault("a plain file, synced", []).append(plain(path))
            put, drained = store(path / "store")
            found.setdefault("put and trim", []).append(put)
            found.setdefault("drain", []).append(drained)
            found.setdefault("through, with its thread", []).append(threads(path / "spool"))
    for name, pairs in found.items():
        rates, cpu = zip(*pairs, strict=True)
        print(
            f"{name}: {statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f}) M messages/s, "
            f"{statistics.median(cpu):.2f} for each second of processor time"
        )


if __name__ == "__main__":
    main()
