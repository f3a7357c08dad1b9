"""One soak: the load runs, the faults happen, everybody is looked at each second, and then all ends in order."""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from random import Random
from typing import TYPE_CHECKING

from message_passing.testing import wait_for
from soak import faults
from soak.books import WorkerDeath
from soak.ledger import Ledger
from soak.orders import Audit
from soak.processes import Cast, Slot, ask_for_burst, given_by
from soak.samples import Sample, descriptors_of, sample

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

_BURST = 5000
_TICK = 0.02
_ALL_ARRIVE = 120.0
"""Seconds in which all orders have arrived when no more come."""

_QUIET = 1.0
"""Seconds in which nothing more arrives, after which nothing will."""

_READ_AFTER = 3.0
"""Seconds after which a file that was rotated away is read: its writer has let go of it."""


class Stage:
    """A soak while it runs.

    Attributes:
        done: how often each fault happened; and `garbage connections`, `connections in storms`.
        samples: of all processes.
        worker_deaths: see `WorkerDeath`.
        wrong: what must not be, besides what the books say.
        ledger: what arrived at the aggregator.
        audit: what arrived by the acknowledged hop.
    """

    def __init__(self, folder: Path, seconds: float, seed: int, rate: int) -> None:
        """Prepare it; see `python -m soak --help`."""
        self.seconds = seconds
        self.cast = Cast(folder, rate)
        self.plan = faults.planned(Random(seed), seconds)
        self.done: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.worker_deaths: list[WorkerDeath] = []
        self.aggregator_deaths: list[float] = []
        self.wrong: list[str] = []
        self.ledger = Ledger()
        self.audit = Audit([folder / "audit.txt"])
        self._chance = Random(seed + 1)
        self._folder = folder
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._nothing_new = threading.Event()

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def run(self) -> None:
        """All of it."""
        self._began = time.monotonic()
        try:
            self.cast.start_servers(self._began)
            bare = descriptors_of(self.cast.aggregator.life.process.pid)
            self._began = time.monotonic()
            for slot in (*self.cast.senders, self.cast.jobs, *self.cast.hop):
                slot.start(self.now)
            with ExitStack() as stack:
                for orders in self.cast.orders:
                    stack.enter_context(orders)
                self._under_load()
            self._end_hop()
            self._end(bare)
        finally:
            self.cast.kill_all()

    def _after(self, length: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._later, (self.now + length, next(self._order), do))

    def _under_load(self) -> None:
        for fault in self.plan:
            heapq.heappush(self._later, (fault.at, next(self._order), lambda fault=fault: self._do(fault)))  # type: ignore[misc]
        self._look()
        while self._later:
            due, _, do = self._later[0]
            if due <= self.now:
                heapq.heappop(self._later)
                do()
            elif self.now > self.seconds:
                heapq.heappop(self._later)[2]()  # whoever is stopped goes on, who is away comes back: at once
            else:
                self._nothing_new.wait(min(_TICK, due - self.now))

    def _look(self) -> None:
        for slot in self.cast.all:
            if slot.lives and (one := sample(slot, self.now)):
                self.samples.append(one)
            if slot.lives and not slot.up and not slot.life.killed:
                self.wrong.append(f"{slot.life.name} ended by itself: {slot.told(slot.life)[-500:]}")
                slot.start(self.now)
        if self.now < self.seconds:
            self._after(1.0, self._look)

    def _do(self, fault: faults.Fault) -> None:
        cast = self.cast
        if fault.kind.startswith("kill"):
            among = {
                "kill a sender": [*cast.senders, cast.jobs],
                "kill a worker": cast.workers,
                "kill the aggregator": [cast.aggregator],
                "kill an acknowledged node": cast.hop,
            }[fault.kind]
            self._kill([slot for slot in among if slot.fragile], fault)
        elif fault.kind == "stop and continue":
            self._stop([*cast.senders, *cast.workers, cast.aggregator, *cast.hop], fault)
        elif fault.kind == "rotate the log":
            self._rotate(fault)
        elif fault.kind == "burst":
            for slot in (*cast.senders, cast.jobs):
                ask_for_burst(self._folder, slot.life.name, _BURST)
            self.done[fault.kind] += 1
        else:
            self._connect(fault)

    def _kill(self, among: list[Slot], fault: faults.Fault) -> None:
        slot = among[fault.whom % len(among)]
        if not slot.up:
            return
        slot.kill()
        self.done[fault.kind] += 1
        if slot.kind == "aggregator":
            self.aggregator_deaths.append(self.now)
        life = slot.life.name

        def again() -> None:
            slot.start(self.now)
            if slot.kind == "worker":
                jobs = self.cast.jobs
                until = (len(jobs.lives), given_by(self._folder, jobs.life.name))
                self.worker_deaths.append(WorkerDeath(self._last_job(life), until))

        self._after(fault.length, again)

    def _last_job(self, life: str) -> tuple[int, int]:
        """The last one that a worker wrote."""
        path = self._folder / f"{life}.log"
        book = Ledger()
        if path.exists():
            copy = path.with_suffix(".copy")
            copy.write_bytes(path.read_bytes())
            book.read(copy, 1, torn=True)
        return max(
            (
                (int(name.rpartition(".")[2]), max((n for n in range(len(marks)) if marks[n]), default=0))
                for name, marks in book.arrived.items()
            ),
            default=(0, 0),
        )

    def _stop(self, among: list[Slot], fault: faults.Fault) -> None:
        slot = among[fault.whom % len(among)]
        if not slot.up or slot.stopped:
            return
        slot.stop()
        self.done[fault.kind] += 1
        life = slot.life

        def again() -> None:
            if slot.up and slot.life is life:
                slot.go_on()

        self._after(fault.length, again)

    def _rotate(self, fault: faults.Fault) -> None:
        slot = self.cast.aggregator
        log = self._folder / f"{slot.life.name}.log"
        if not slot.up or not log.exists():  # the last SIGHUP has not been heard yet
            return
        life, lifetime = slot.life, len(slot.lives)
        life.files += 1
        away = log.with_name(f"{log.name}.{life.files}")
        log.rename(away)
        life.process.send_signal(signal.SIGHUP)
        self.done[fault.kind] += 1

        def read() -> None:
            if log.exists() and slot.life is life and slot.up:
                self._read_rotated(lifetime)

        self._after(_READ_AFTER, read)

    def _read_rotated(self, lifetime: int) -> None:
        """Read what an aggregator and those before it have left, so that no disk becomes full."""
        for number, life in enumerate(self.cast.aggregator.lives[:lifetime], 1):
            last = number == lifetime and life is self.cast.aggregator.life and not life.killed
            paths = [self._folder / f"{life.name}.log.{index}" for index in range(1, life.files + 1)]
            if (
                last
                and (newest := paths[-1:])
                and newest[0].exists()
                and _in_use(life.process.pid, newest[0])
            ):
                paths.pop()
            if not last:
                paths.append(self._folder / f"{life.name}.log")
            paths = [path for path in paths if path.exists()]
            for path in paths:
                self.ledger.read(path, number, torn=life.killed and path is paths[-1])

    def _connect(self, fault: faults.Fault) -> None:
        port = self.cast.ports["aggregator" if fault.whom % 3 else "jobs"]
        self.done[fault.kind] += 1
        if fault.kind == "garbage":
            self.done["garbage connections"] += faults.garbage(self._chance, port)
            return
        count, made = faults.storm(self._chance, port)
        self.done["connections in storms"] += count
        self._after(fault.length, lambda: _close(made))

    def _end_hop(self) -> None:
        """No orders come any more: all that were accepted arrive, and its nodes end when they are told to."""
        wanted = {orders.number: orders.count for orders in self.cast.orders}
        for slot in self.cast.hop:
            if slot.stopped:
                slot.go_on()
        with suppress(TimeoutError):  # what is missing is found then
            wait_for(lambda: self.audit.read().reached == wanted, _ALL_ARRIVE)
        for slot in reversed(self.cast.hop):
            if status := slot.end():
                self.wrong.append(f"{slot.life.name} ended with {status}: {slot.told(slot.life)[-500:]}")
        audit = self.audit.read()
        for number, count in wanted.items():
            if missing := count - audit.reached.get(number, 0) - len(audit.beyond.get(number, ())):
                self.wrong.append(f"of {count} orders of {number}, {missing} have not arrived")
        if audit.disordered or audit.strange:
            self.wrong.append(f"{audit.disordered} orders came late, and strange lines: {audit.strange[:3]}")

    def _end(self, bare: int) -> None:
        """Senders first, then who takes from them; each when nothing more comes."""
        cast = self.cast
        senders = [*cast.senders, cast.jobs]
        for slot in senders:
            slot.begin_to_end()
        for slot in senders:
            slot.end()
        self._wait_until_quiet()
        try:
            wait_for(lambda: descriptors_of(cast.aggregator.life.process.pid) <= bare, 20)
        except TimeoutError:
            found = descriptors_of(cast.aggregator.life.process.pid)
            self.wrong.append(
                f"the aggregator has {found} descriptors when all have left, and began with {bare}"
            )
        for slot in (cast.aggregator, cast.distributor, *cast.workers):
            if status := slot.end():
                self.wrong.append(f"{slot.life.name} ended with {status}: {slot.told(slot.life)[-500:]}")
        lifetime = len(cast.aggregator.lives)
        self._read_rotated(lifetime)
        self.ledger.read(self._folder / f"{cast.aggregator.life.name}.log", lifetime)

    def _wait_until_quiet(self) -> None:
        last, since = -1, time.monotonic()

        def quiet() -> bool:
            nonlocal last, since
            size = sum(path.stat().st_size for path in self._folder.glob("*.log*"))
            if size != last and not self._only_follow_spoke(size, last):
                since = time.monotonic()
            last = size
            return time.monotonic() - since > _QUIET

        wait_for(quiet, 120)

    @staticmethod
    def _only_follow_spoke(size: int, last: int) -> bool:
        return 0 < size - last < 2000


def _in_use(process_id: int, path: Path) -> bool:
    """Whether a process has this file open."""
    for name in os.listdir(f"/proc/{process_id}/fd"):  # noqa: PTH208 - gone in a moment, some of them
        try:
            if os.path.samefile(f"/proc/{process_id}/fd/{name}", path):  # noqa: PTH121 - the same
                return True
        except OSError:
            continue
    return False


def _close(made: list[socket.socket]) -> None:
    for one in made:
        one.close()
