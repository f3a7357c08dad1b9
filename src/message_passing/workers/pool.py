"""The pool: the component of the parent's chain that distributes messages to workers and passes on their results."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.delivery import Outcome, outside
from message_passing.errors import OutputClosedError, naming_component
from message_passing.flow import Filter
from message_passing.metrics import UNSENT
from message_passing.options import option
from message_passing.pacing import NOT_STARTED, WORK_AFTER_STOP
from message_passing.shares import Shares
from message_passing.workers.counters import DIED, added, as_metrics
from message_passing.workers.process import LARGEST_BATCH, WINDOW
from message_passing.workers.supervisor import Supervisor, why_not_ready
from message_passing.workers.wire import (
    END,
    ENDED,
    FAILED,
    READY,
    REOPEN,
    WorkerError,
    WorkerMessage,
    portable,
)
from message_passing.workers.worker import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_passing.component import Component
    from message_passing.metrics import Snapshot
    from message_passing.workers.process import Worker

NO_WORKER = "no worker could be started"

END_PATIENCE = 5.0
"""Seconds to wait at the end for workers that return nothing."""

_WAITING = 2000
"""The most messages that wait here for a worker: two batches. Beyond that, inputs wait."""

_WORKERS_INTERVAL = 0.1
"""Seconds between two checks that every worker is alive."""


class Pool(Filter):
    """Distributes messages to workers, which decode, filter and encode them, and passes on their results.

    It counts as passed what workers are done with; the workers' own counters show the outcome.
    """

    count: int = option(description="How many workers.", ge=1)
    parts: list[Any] = option(description="The declarations of each worker's components.", python_only=True)
    members: Any = option(
        default_factory=dict, description="The same parts as components, which stay closed.", python_only=True
    )
    detached: bool = option(default=False, description="Keep the workers off terminals.")
    node: str = option(default="", description="The node's name in the workers' process titles.")

    def on_init(self) -> None:
        """Prepare; no worker is started yet."""
        super().on_init()
        self.chain_name = self.label = "worker pool"
        self._members: Mapping[str, Component] = {**self.members, "output": Results()}
        self._supervisor = Supervisor(
            self.count, self.parts, lambda: list(sys.path), background=self.detached, node=self.node
        )
        self._pending: deque[Any] = deque()
        self._shares = Shares()  # the deliveries of those
        self._trouble: Exception | None = None  # of what is downstream
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = False  # no more will come
        self._stopping_since: float | None = None
        self._told_at: float | None = None  # when the workers were told to stop
        self._no_more = False  # then everything left or added is lost
        self._moved = 0.0

    # As a component

    def preflight(self) -> None:
        """Check the components that the workers will open."""
        for member in self._members.values():
            with naming_component(member, "preflight"):
                member.preflight()

    def on_open(self) -> None:
        """Start the workers, and wait until all are ready.

        Raises:
            OpenError: one cannot be started.
            WorkerError: a component failed in one.
        """
        self._supervisor.open(lambda: self.stop_request.asked)
        while any(not one.ready for one in self._supervisor.living) and not self.stop_request.asked:
            self._receive_all(50)
            if dead := self._supervisor.collect():
                self._receive_all()
                self._supervisor.close()
                raise why_not_ready(dead[0])

    def reopen(self) -> None:
        """Tell the workers to reopen their files."""
        for worker in self._supervisor.ready:
            worker.order(REOPEN)

    def held(self) -> int:
        """The number of messages that wait here or are with a worker."""
        return len(self._pending) + self._in_flight()

    def _in_flight(self) -> int:
        return sum(one.outstanding for one in self._supervisor.living)

    def write_many(self, messages: list[Any]) -> None:
        """Distribute a batch. If far too many wait already, the caller processes events until they are fewer.

        Raises:
            OutputClosedError: there is no reader of what comes out.
        """
        self._raise_trouble()
        if self._supervisor.hopeless:
            self.drop(messages, NO_WORKER)
            return
        if self._no_more:
            self.drop(messages, NOT_STARTED)
            return
        self._pending.extend(messages)
        self._shares.add(len(messages), self.hold())
        self._dispatch()
        while len(self._pending) > _WAITING:
            self._work_here(10)

    async def drain(self) -> None:
        """Wait until few are left to distribute.

        Raises:
            OutputClosedError: there is no reader of what comes out.
        """
        await self._while_there(lambda: len(self._pending) > LARGEST_BATCH)
        await super().drain()

    async def _while_there(self, is_much: Callable[[], bool]) -> None:
        """Wait until there is less to do; the caller may not be running `background`."""
        self._enter_loop()
        while not self._trouble and is_much():
            self._changed.clear()
            await self._changed.wait()
        self._raise_trouble()

    def on_close(self) -> None:
        """Let the workers finish, and stop them."""
        self._leave_loop()
        self._ending = True
        self._moved = time.monotonic()
        while self._pending or self._in_flight():
            self._work_here(50, restart_at_once=True)
            self._give_up_if_late(self._moved)
        self._end_workers()
        self._supervisor.close()

    def _end_workers(self) -> None:
        for worker in self._supervisor.living:
            if worker.ready:
                worker.order(END)
            else:
                worker.kill()
                worker.ended = True  # although it may just have become ready
        began = time.monotonic()
        while self._supervisor.living:
            self._receive_all(20)
            for worker in self._supervisor.collect():
                self._receive_all()
                if worker.ready and not worker.ended:
                    self.report(WorkerError(f"{worker} {worker.why()} while it ended"))
            self._give_up_if_late(began)
        self._receive_all(20)

    # Beside the chain

    async def background(self) -> None:
        """Supervise the workers, even while no message comes, until none can be started any more.

        Raises:
            OutputClosedError: there is no reader of what comes out.
            WorkerError: no worker can be started any more.
        """
        self._enter_loop()
        while not self._trouble and not self._is_hopeless():
            self._changed.clear()
            await self._changed.wait()
        self._raise_trouble()
        raise WorkerError(self._supervisor.hopeless)

    async def flush(self) -> None:
        """Wait until everything distributed has come back and been passed on.

        Raises:
            OutputClosedError: there is no reader of what comes out.
        """
        self._ending = True
        await self._while_there(lambda: bool(self._pending or self._in_flight()))
        await super().drain()

    def _is_hopeless(self) -> bool:
        return bool(self._supervisor.hopeless) and not self._ending

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        self._loop = loop
        self._readable, self._changed = asyncio.Event(), asyncio.Event()
        loop.add_reader(self._supervisor.file_descriptor, self._readable.set)
        self._task = loop.create_task(self._gather())
        self._timer = loop.call_later(_WORKERS_INTERVAL, self._look)

    def counters(self) -> dict[str, Snapshot]:
        """The counters of each part by its name, summed over all workers, past and present."""
        return dict.fromkeys(self._members, added(())) | self._supervisor.counters()

    def counted(self) -> list[Component]:
        """The parts as components, with these sums as their counters."""
        for name, snapshot in self.counters().items():
            self._members[name].metrics = as_metrics(snapshot)
        return list(self._members.values())

    def look(self) -> None:
        """Tell the workers to measure their utilization."""
        for worker in self._supervisor.ready:
            worker.look()

    def shares(self) -> Mapping[Component, float]:
        """Each part's share of the time of all workers that have reported it."""
        told = [one.busy for one in self._supervisor.living if one.busy]
        return {
            component: sum(each.get(name, 0.0) for each in told) / len(told)
            for name, component in self._members.items()
            if told
        }

    def described_workers(self) -> list[dict[str, Any]]:
        """The status of each worker process."""
        return [one.described() for one in self._supervisor.living]

    def info(self) -> Mapping[str, Any]:
        """The most messages that may wait here or be with the workers."""
        return {"capacity": _WAITING + len(self._supervisor.living) * WINDOW * LARGEST_BATCH}

    def changed(self) -> None:
        """Wake whoever waits in `drain`."""
        if self._loop:
            self._changed.set()

    async def _gather(self) -> None:
        try:
            while True:
                self._readable.clear()
                if not self._receive_one():
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
        self._readable.set()  # ZeroMQ signals a change on its descriptor only once, to the first reader
        if self._loop:
            self._timer = self._loop.call_later(_WORKERS_INTERVAL, self._look)

    def _leave_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop and not loop.is_closed():
            self._timer.cancel()
            self._task.cancel()
            loop.remove_reader(self._supervisor.file_descriptor)

    def _work_here(self, milliseconds: int, *, restart_at_once: bool = False) -> None:
        """Do what the event loop would otherwise do."""
        self._receive_all(milliseconds)
        self._look_after(restart_at_once=restart_at_once)
        self._obey_stop()
        if self.stop_request.asked:
            self._stopping_since = self._stopping_since or time.monotonic()
            self._give_up_if_late(self._stopping_since)

    # Waiting messages, and workers' results

    def _receive_all(self, milliseconds: int = 0) -> None:
        while self._receive_one(milliseconds):
            milliseconds = 0

    def _receive_one(self, milliseconds: int = 0) -> bool:
        heard = self._supervisor.receive(milliseconds)
        if heard:
            with outside():  # what is received belongs to other deliveries than the current one
                self._handle(*heard)
        return heard is not None

    def _handle(self, worker: Worker | None, said: WorkerMessage) -> None:
        self._moved = time.monotonic()
        for described in said.reports:
            with worker.shares.resumed() if worker else outside():  # a dead letter is part of their outcome
                self._say(described)
        if worker:
            if said.done or said.back:
                self._count_done(worker, said)
            if said.state == READY and not worker.dead:
                self._supervisor.arrived(worker)
            elif said.state == FAILED:
                worker.failure = said
            elif said.state == ENDED:
                worker.ended = True
        shares = worker.shares if worker else Shares()
        if said.results:
            try:
                with shares.resumed():
                    self.hand_to(self._next, list(said.results), 0)
            except OutputClosedError as error:
                self._in_trouble(error)
        for count, outcome in said.settled:
            shares.settle(count, Outcome(outcome))
        self._dispatch()

    def _count_done(self, worker: Worker, said: WorkerMessage) -> None:
        worker.is_done(said)
        self.hand_to(self._next, [], said.done)
        if worker.dead:  # its death was noticed before its last results
            self.take_back(said.done + said.back, DIED)
        if said.back:
            self.drop(said.back, NOT_STARTED)
            self._end_dispatch()

    def _dispatch(self) -> None:
        while self._pending and not self._trouble:
            ready = self._supervisor.ready
            room = [(one, one.room(len(self._pending), len(ready))) for one in ready]
            chosen = next(((one, size) for one, size in room if size), None)
            if not chosen:
                return
            worker, size = chosen
            batch = [self._pending.popleft() for _ in range(size)]
            try:
                worker.deal(batch)
            except Exception:  # noqa: BLE001 - whatever a message's class raises when it is pickled
                if batch := self._portable(batch, worker.shares):
                    worker.deal(batch)
            else:
                self._shares.move(size, worker.shares)

    def _portable(self, batch: list[Any], to: Shares) -> list[Any]:
        """The messages that can be sent to a worker. The shares are theirs."""
        found = []
        for message in batch:
            own = Shares()
            self._shares.move(1, own)
            with own.resumed():
                kept = portable(self, [message])
            own.move(len(kept), to)
            own.settle_all(Outcome.DELIVERED)  # except for outcomes noted before
            found += kept
        return found

    def _lose(self, count: int, reason: str, shares: Shares) -> None:
        """Count as lost all messages that these deliveries have in the pool."""
        with outside():
            self.drop(count, reason)
        shares.settle_all(Outcome.LOST)

    def _obey_stop(self) -> None:
        """After a stop request: let no worker begin anything that takes long, and distribute only for a while."""
        if not self.stop_request.asked:
            return
        now = time.monotonic()
        self._told_at = self._told_at or now
        for worker in self._supervisor.living:
            worker.stop()
        if now - self._told_at >= WORK_AFTER_STOP and self._pending:
            self._end_dispatch()

    def _end_dispatch(self) -> None:
        self._no_more = True
        self._drop_pending(NOT_STARTED)

    def _look_after(self, *, restart_at_once: bool = False) -> None:
        for worker in self._supervisor.collect():
            self._lose(worker.outstanding, DIED, worker.shares)
            text = f"{worker} {worker.why()}, with {self._messages_of(worker)} in flight"
            if not self._supervisor.hopeless:
                text += f"; it is restarted in {self._supervisor.next_start(worker.number):g} s"
            self.report(WorkerError(text))
        if self._pending or not self._ending:
            for error in self._supervisor.replace(at_once=restart_at_once):
                self.report(error)
        if self._supervisor.hopeless and self._pending:
            self._drop_pending(NO_WORKER)

    def _give_up_if_late(self, since: float) -> None:
        """Kill workers that have returned nothing for too long, once the chain is stopping."""
        if time.monotonic() - max(since, self._moved) < END_PATIENCE:
            return
        for worker in self._supervisor.living:
            worker.kill()
            text = f"{worker} had returned nothing for {END_PATIENCE:g} s and was killed"
            self.report(WorkerError(f"{text}, with {self._messages_of(worker)} in flight"))
        for worker in self._supervisor.collect():
            self._lose(worker.outstanding, DIED, worker.shares)
        self._drop_pending(UNSENT)

    def _drop_pending(self, reason: str) -> None:
        if not self._pending:
            return
        count = len(self._pending)
        self._pending.clear()
        self._lose(count, reason, self._shares)

    def _in_trouble(self, error: Exception) -> None:
        if not self._trouble:
            self._trouble = error
            self._drop_pending("closed")
        self.changed()

    def _raise_trouble(self) -> None:
        if self._trouble:
            raise self._trouble

    def _messages_of(self, worker: Worker) -> str:
        count = worker.outstanding
        return "1 message" if count == 1 else f"{count} messages"
