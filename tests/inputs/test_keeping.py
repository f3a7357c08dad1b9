"""What an input keeps for its next run, saved from time to time."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from typing import TYPE_CHECKING, Any

from message_passing.inputs import _keeping
from message_passing.inputs._keeping import Keeping
from support import until

if TYPE_CHECKING:
    import pytest


class Disk:
    """Saves numbers, or cannot; and something to save."""

    def __init__(self) -> None:
        self.saved: list[int] = []
        self.told: list[str] = []
        self.full = False
        self.now: int | None = None
        self.asked = self.looked = 0

    def save(self, number: int) -> None:
        """Save it, if there is room."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.saved.append(number)

    def state(self) -> int | None:
        """What is to be saved now."""
        self.asked += 1
        return self.version()

    def version(self) -> int | None:
        """It is its own version."""
        self.looked += 1
        return self.now

    def keeping(self, **given: Any) -> Keeping[int]:
        """What saves it."""
        words = {"interval": 0.001, "what": "it", "otherwise": "begins anew", **given}
        return Keeping(self.state, given.pop("save", self.save), tell=self.told.append, **words)


def test_what_has_changed_is_saved_and_nothing_else() -> None:
    """At the next time, and at last; what is told apart by a version is not even put together meanwhile."""

    async def run(disk: Disk, keeping: Keeping[int]) -> None:
        with keeping.running():
            await until(lambda: disk.looked > 5)
            disk.now = 1
            await until(lambda: disk.saved == [1])
            disk.looked = 0
            await until(lambda: disk.looked > 5)
        disk.now = 2
        keeping.save_now(last=True)
        keeping.save_now(last=True)

    for by_version in (False, True):
        disk = Disk()
        asyncio.run(run(disk, disk.keeping(version=disk.version if by_version else None)))
        assert disk.saved == [1, 2]
        assert disk.asked == 2 or not by_version


def test_a_disk_that_is_full() -> None:
    """Is told once, is a problem until it works, and is tried again; at the end nobody says that it is."""
    disk = Disk()
    disk.now, disk.full = 1, True
    keeping = disk.keeping()

    async def run() -> None:
        with keeping.running():
            await until(lambda: keeping.trouble)
            await until(lambda: disk.asked > 8)
            disk.full = False
            await until(lambda: not keeping.trouble)

    asyncio.run(run())
    assert disk.saved == [1]
    disk.now, disk.full = 2, True
    keeping.save_now(last=True)
    assert disk.told == [
        "cannot save it: No space left on device; it is tried again, and until then a new run begins anew",
        "cannot save it: No space left on device, so a new run begins anew",
    ]


def test_a_slow_disk_does_not_put_back_what_was_reached() -> None:
    """What a thread had begun to save when all ended is older than what was saved last."""
    disk, begun, go = Disk(), threading.Event(), threading.Event()
    written: list[int] = []

    def save(number: int) -> None:
        if number == 1:
            begun.set()
            assert go.wait(20)
        written.append(number)

    keeping = Keeping(disk.state, save, interval=0.001, what="it", otherwise="", tell=disk.told.append)
    late = threading.Thread(target=keeping._write, args=(1, 1))
    older = threading.Thread(target=keeping._write, args=(2, 2))
    late.start()
    assert begun.wait(20)
    keeping._number = 2
    disk.now = 3
    last = threading.Thread(target=keeping.save_now, kwargs={"last": True})
    last.start()
    go.set()
    late.join(20)
    last.join(20)
    older.start()  # as a pool's thread that has not had its turn before
    older.join(20)
    assert written == [1, 3]


def test_what_is_large_is_saved_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that saving takes a twentieth of a processor at most."""
    disk, pauses, clock = Disk(), list[float](), iter(range(100))
    monkeypatch.setattr(_keeping, "thread_time", lambda: float(next(clock)))
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        disk.now = len(pauses)
        await sleep(0)

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", pause)
        with disk.keeping().running():
            while len(pauses) < 3:
                await sleep(0)

    asyncio.run(run())
    assert pauses[:2] == [0.001, 40.0]  # a second to put it together, and one to save it
