"""The pool: a part of the parent's chain that deals messages to workers and hands on what they return."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from message_passing.pacing import NOT_STARTED
from message_passing.workers.counters import added, as_metrics
from message_passing.workers.dealing import NO_WORKER, Dealer
from message_passing.workers.process import LARGEST_BATCH, WINDOW
from message_passing.workers.staff import why_not_ready
from message_passing.workers.wire import END, REOPEN, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_passing.component import Component
    from message_passing.metrics import Snapshot

_WAITING = 2000
"""Messages that may wait here for a worker: two batches. Whoever brings more waits meanwhile."""

_GLANCE = 0.1
"""Seconds between two looks at whether every worker is still there."""


class Pool(Dealer):
    """Deals messages to workers, which decode, filter and encode them, and hands on what they return.

    It counts as passed what workers are done with; what became of it, the workers' own counters say.
    """

    # As a component

    def preflight(self) -> None:
        """Ask those whom the workers will open."""
        for member in self._members.values():
            member.preflight()

    def on_open(self) -> None:
        """Start the workers, and wait until all are ready.

        Raises:
            OpenError: one cannot be started.
            WorkerError: a component has failed in it.
        """
        self._staff.open()
        while any(not one.ready for one in self._staff.living) and not self.stop_request.asked:
            self._hear_all(50)
            if dead := self._staff.collect():
                self._hear_all()
                self._staff.close()
                raise why_not_ready(dead[0])

    def reopen(self) -> None:
        """Pass it on to the workers."""
        for worker in self._staff.ready:
            worker.order(REOPEN)

    def held(self) -> int:
        """Messages that wait here, or that a worker has."""
        return len(self._pending) + self._dealt()

    def _dealt(self) -> int:
        return sum(one.outstanding for one in self._staff.living)

    def write_many(self, messages: list[Any]) -> None:
        """Deal a batch. When far too many wait already, whoever brings more works for them here.

        Raises:
            OutputClosedError: there is no reader of what comes out.
        """
        self._raise_trouble()
        if self._staff.hopeless:
            self.drop(messages, NO_WORKER)
            return
        if self._no_more:
            self.drop(messages, NOT_STARTED)
            return
        self._pending.extend(messages)
        self._shares.add(len(messages), self.hold())
        self._deal()
        while len(self._pending) > _WAITING:
            self._work_here(10)

    async def drain(self) -> None:
        """Wait until few are left to deal.

        Raises:
            OutputClosedError: there is no reader of what comes out.
        """
        await self._while_there(lambda: len(self._pending) > LARGEST_BATCH)
        await super().drain()

    async def _while_there(self, is_much: Callable[[], bool]) -> None:
        """Wait until there is less to do; somebody may wait who does not run `background`."""
        self._enter_loop()
        while not self._trouble and is_much():
            self._changed.clear()
            await self._changed.wait()
        self._raise_trouble()

    def on_close(self) -> None:
        """Let the workers finish, and end them."""
        self._leave_loop()
        self._ending = True
        self._moved = time.monotonic()
        while self._pending or self._dealt():
            self._work_here(50, restart_at_once=True)
            self._give_up_if_late(self._moved)
        self._end_workers()
        self._staff.close()

    def _end_workers(self) -> None:
        for worker in self._staff.living:
            if worker.ready:
                worker.order(END)
            else:
                worker.kill()
                worker.ended = True  # though it may have said just now that it is ready
        began = time.monotonic()
        while self._staff.living:
            self._hear_all(20)
            for worker in self._staff.collect():
                self._hear_all()
                if worker.ready and not worker.ended:
                    self.report(WorkerError(f"{worker} {worker.why()} while it ended"))
            self._give_up_if_late(began)
        self._hear_all(20)

    # Beside the chain

    async def background(self) -> None:
        """Look after the workers, also while no message comes, until none can be started any more.

        Raises:
            OutputClosedError: there is no reader of what comes out.
            WorkerError: no worker can be started any more.
        """
        self._enter_loop()
        while not self._trouble and not self._is_hopeless():
            self._changed.clear()
            await self._changed.wait()
        self._raise_trouble()
        raise WorkerError(self._staff.hopeless)

    async def flush(self) -> None:
        """Wait until all that was dealt has come back, and has been handed on.

        Raises:
            OutputClosedError: there is no reader of what comes out.
        """
        self._ending = True
        await self._while_there(lambda: bool(self._pending or self._dealt()))
        await super().drain()

    def _is_hopeless(self) -> bool:
        return bool(self._staff.hopeless) and not self._ending

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        self._loop = loop
        self._readable, self._changed = asyncio.Event(), asyncio.Event()
        loop.add_reader(self._staff.file_descriptor, self._readable.set)
        self._task = loop.create_task(self._gather())
        self._timer = loop.call_later(_GLANCE, self._look)

    def counters(self) -> dict[str, Snapshot]:
        """The counters of each part by its name, summed over all workers that there are and were."""
        return dict.fromkeys(self._members, added(())) | self._staff.counters()

    def counted(self) -> list[Component]:
        """The parts as components, with these sums as their counters."""
        for name, snapshot in self.counters().items():
            self._members[name].metrics = as_metrics(snapshot)
        return list(self._members.values())

    def look(self) -> None:
        """Ask the workers where their time goes."""
        for worker in self._staff.ready:
            worker.look()

    def shares(self) -> Mapping[Component, float]:
        """Of the time of all workers that have told."""
        told = [one.busy for one in self._staff.living if one.busy]
        return {
            component: sum(each.get(name, 0.0) for each in told) / len(told)
            for name, component in self._members.items()
            if told
        }

    def described_workers(self) -> list[dict[str, Any]]:
        """Each process that there is."""
        return [one.described() for one in self._staff.living]

    def facts(self) -> Mapping[str, Any]:
        """How many messages may wait here or be with the workers."""
        return {"capacity": _WAITING + len(self._staff.living) * WINDOW * LARGEST_BATCH}

    def changed(self) -> None:
        """Wake whoever waits in `drain`."""
        if self._loop:
            self._changed.set()

    async def _gather(self) -> None:
        try:
            while True:
                self._readable.clear()
                if not self._hear_one():
                    await self._readable.wait()
                    continue
                self._changed.set()
                if not self._trouble:
                    await self._next.drain()
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - drain raises it to whoever feeds us
            self._in_trouble(error)

    def _look(self) -> None:
        self._look_after()
        self._obey_stop()
        if self._ending and self.stop_request.asked:
            self._stopping_since = self._stopping_since or time.monotonic()
            self._give_up_if_late(self._stopping_since)
        self._changed.set()
        self._readable.set()  # ZeroMQ's descriptor tells of a change once, to whoever asks first
        if self._loop:
            self._timer = self._loop.call_later(_GLANCE, self._look)

    def _leave_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop and not loop.is_closed():
            self._timer.cancel()
            self._task.cancel()
            loop.remove_reader(self._staff.file_descriptor)

    def _work_here(self, milliseconds: int, *, restart_at_once: bool = False) -> None:
        """What the loop does otherwise."""
        self._hear_all(milliseconds)
        self._look_after(restart_at_once=restart_at_once)
        self._obey_stop()
        if self.stop_request.asked:
            self._stopping_since = self._stopping_since or time.monotonic()
            self._give_up_if_late(self._stopping_since)
