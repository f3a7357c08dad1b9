"""Sampler of a running node: its counters and loop delay once a second, and what else an operator requests.

It has its own event loop in its own thread, so that it answers while the chain is busy. What belongs to the chain's
thread is read there; if that thread does not respond within a second, the counters are read from outside, and the
loop delay is unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from message_passing import profiler
from message_passing.console.access_log import AccessLog
from message_passing.console.activity import Activity
from message_passing.console.governor import Governor
from message_passing.console.history import History, counted
from message_passing.console.message_age import MessageAge
from message_passing.console.process_stats import Meter, ThreadMeter
from message_passing.console.recent_errors import RecentErrors
from message_passing.console.senders import SenderRanking
from message_passing.console.taps import TapRegistry
from message_passing.console.topology import Topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from message_passing.component import Component
    from message_passing.console.taps import Tap
    from message_passing.metrics import Snapshot
    from message_passing.runner import Server

STEP = 1.0
"""Seconds between two samples of the counters."""

BUSY_AFTER = 1.0
"""Seconds that the chain may take to respond before it is reported as blocked."""

_AWAITED_INTERVAL = 0.1
"""The same while a request waits for the answer."""

_FRESH = 0.1
"""Seconds for which counters are current: a request within them costs the chain nothing."""

_SENDERS_STEPS = 5
"""Steps between two samples of the total that senders have lost."""

_WATCHED = 10.0
"""Seconds after a request for which the console counts as watched."""


class ServerWatcher:
    """Watches one server.

    Attributes:
        started: when, in seconds since 1970.
        pid: the process.
        layout: the components.
        snapshots: the latest counters, by component.
        history: the last hour.
        activity: the last minute's losses, and when a message came.
        ages: how old messages are when they arrive.
        reports: the last failures.
        loop_delay: seconds that the chain took to answer; None if it did not.
        busy: what the chain's time goes to.
        chain_utilization: the share of one core that the chain's thread took in the last second, or would have.
        log: counts what the console refuses.
        governor: lets requests begin.
        books: per-sender statistics.
        ended: set when there is nothing left to watch.
    """

    def __init__(
        self, server: Server, names: Mapping[str, Component] | None = None, log: AccessLog | None = None
    ) -> None:
        """Look at the chains that are there; while none of them runs.

        Args:
            server: runs them.
            names: what their components are called.
            log: counts what the console refuses.
        """
        self.server = server
        self.log = log or AccessLog("message-passing")
        self.governor = Governor()
        self.started = time.time()
        self.pid = os.getpid()
        self.history = History()
        self.activity = Activity()
        self.ages = MessageAge()
        self.reports = RecentErrors()
        self.meter = Meter()
        self.profiler = profiler.SamplingProfiler()
        self.loop_delay: float | None = 0.0
        self.ended = asyncio.Event()
        self.snapshots: dict[str, Snapshot] = {}
        self._seconds = 0
        self.chain_utilization = 0.0
        self._taps = TapRegistry()
        self._watched_until = 0.0
        self._refreshed = -_FRESH
        self._refreshing = asyncio.Lock()
        self._thread, self._native = threading.get_ident(), threading.get_native_id()
        self._chain_meter = ThreadMeter()
        self.relayout(names)
        self._step()  # so that what comes before the first second is over is in that step

    def relayout(self, names: Mapping[str, Component] | None = None) -> None:
        """The chains are others now. In the chain's thread, or while it does not run."""
        self.layout = Topology(self.server.heads, names)
        self.books = SenderRanking(self.layout, self.governor.forgive)
        self.reports.listen(self.layout.error_heads, self.layout.reporters)
        self._names = {id(place.component): place.id for place in self.layout.places}
        self.snapshots = self._snapshots()
        self.ages.arm(self.layout.sampled)

    def asked(self, seconds: float = _WATCHED) -> None:
        """Note a request that may be repeated within so many seconds: for that time, sample in more detail."""
        self._watched_until = max(self._watched_until, time.monotonic() + seconds)

    @property
    def watched(self) -> bool:
        """Whether there was a request lately."""
        return time.monotonic() < self._watched_until

    async def run(self) -> None:
        """Sample until cancelled."""
        self.governor.begin()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._count())
                tasks.create_task(self._look())
        finally:
            self.ended.set()

    def shares(self) -> Mapping[str, float]:
        """Each component's share of the chain's time, or of the workers' where it runs in those; as far as known."""
        here, there = self.profiler.shares(), self.layout.shares()
        places = self.layout.places
        found = {} if here is None else {place.id: here[place.id] for place in places if not place.in_workers}
        return found | there

    async def refresh(self) -> None:
        """Update `snapshots` for a request, unless it is current."""
        async with self._refreshing:
            if time.monotonic() - self._refreshed < _FRESH:
                return
            if await self._in_chain(self._refresh, _AWAITED_INTERVAL) is None:
                self.snapshots = self._as_they_are()
            self._refreshed = time.monotonic()
            self._note()

    async def _count(self) -> None:
        while True:
            began = time.monotonic()
            self.loop_delay = await self._in_chain(self._refresh, BUSY_AFTER)
            if self.loop_delay is None:
                self.snapshots = self._as_they_are()
            self._step()
            self.profiler.decay()
            self.chain_utilization = self._chain_meter.busy(self._native)
            self.governor.spare(self.chain_utilization)
            self._taps.spare(self.chain_utilization)
            await asyncio.sleep(max(0.0, began + STEP - time.monotonic()))

    def _note(self) -> None:
        self.activity.note(time.time(), self.layout.places, self.snapshots)
        self.ages.look()

    def _step(self) -> None:
        self._note()
        self._seconds += 1
        if self._seconds % _SENDERS_STEPS == 1:
            totals = self.books.totals()
            self.activity.note_senders(time.time(), totals["lost"] if totals else None)
            self.history.note_senders(totals["lost"] if totals else None)
        self.history.add(time.time(), {name: counted(one) for name, one in self.snapshots.items()})

    async def _look(self) -> None:
        while True:
            if self.watched:
                self.profiler.sample(self._thread, self._names)
                await asyncio.sleep(profiler.INTERVAL)
            else:
                self.profiler.forget()
                await asyncio.sleep(STEP / 2)

    async def _in_chain(self, ask: Callable[[], object], patience: float) -> float | None:
        """Have the chain's thread call `ask`, and wait for that for so many seconds at most.

        Returns:
            Seconds until it had; None if that took too long.
        """
        loop, answered = asyncio.get_running_loop(), asyncio.Event()

        def called() -> None:
            ask()
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(answered.set)

        began = time.monotonic()
        self.server.call(called)
        try:
            await asyncio.wait_for(answered.wait(), patience)
        except TimeoutError:
            return None
        return time.monotonic() - began

    def _refresh(self) -> None:
        self._thread, self._native = threading.get_ident(), threading.get_native_id()
        self.layout.refresh(watched=self.watched)
        self.ages.arm(self.layout.sampled)
        self.snapshots = self._snapshots()

    def _snapshots(self) -> dict[str, Snapshot]:
        return {place.id: place.component.snapshot() for place in self.layout.places}

    def _as_they_are(self) -> dict[str, Snapshot]:
        """The counters, read beside the chain: what is held, only the chain knows."""
        found = {}
        for place in self.layout.places:
            before = self.snapshots.get(place.id)
            found[place.id] = place.component.snapshot(held=before["held"] if before else 0)
        return found

    @contextlib.asynccontextmanager
    async def tapped(self, component: Component, tap: Tap) -> AsyncIterator[None]:
        """Within the block, `tap` sees what `component` is given."""
        self.server.call(lambda: self._taps.add(component, tap))
        try:
            yield
        finally:
            self.server.call(lambda: self._taps.remove(component, tap))

    def leave(self) -> None:
        """Stop observing the chain."""
        self.reports.leave()
        self.ages.leave()
