"""Dealing messages to workers, and taking what they return: what the pool does whoever calls it."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.component import UNSENT
from message_passing.delivery import Outcome, outside
from message_passing.errors import OutputClosedError
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.pacing import NOT_STARTED, WORK_AFTER_STOP
from message_passing.shares import Shares
from message_passing.workers.counters import DIED
from message_passing.workers.staff import Staff
from message_passing.workers.wire import ENDED, FAILED, READY, Said, WorkerError, portable
from message_passing.workers.worker import Results

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from message_passing.component import Component
    from message_passing.workers.process import Worker

NO_WORKER = "no worker could be started"

PATIENCE = 5.0
"""Seconds that the end waits for workers that return nothing."""


class Dealer(Filter):
    """The messages that wait for a worker, and what is done with a worker's words."""

    count: int = option(description="How many workers.", ge=1)
    parts: list[Any] = option(description="The declarations of what each worker runs.", python_only=True)
    members: Any = option(
        default_factory=dict, description="The same parts as components, which stay closed.", python_only=True
    )
    detached: bool = option(default=False, description="Keep the workers off terminals.")

    def on_init(self) -> None:
        """Nothing is started yet."""
        super().on_init()
        self.label = "worker pool"
        self._members: Mapping[str, Component] = {**self.members, "output": Results()}
        self._staff = Staff(self.count, self.parts, lambda: list(sys.path), background=self.detached)
        self._pending: deque[Any] = deque()
        self._shares = Shares()  # whose these are
        self._trouble: Exception | None = None  # of what is downstream
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = False  # no more will come
        self._stopping_since: float | None = None
        self._told_at: float | None = None  # when the workers were told of the stop
        self._no_more = False  # what is left, and what comes, has had its end with that
        self._moved = 0.0

    def _hear_all(self, milliseconds: int = 0) -> None:
        while self._hear_one(milliseconds):
            milliseconds = 0

    def _hear_one(self, milliseconds: int = 0) -> bool:
        heard = self._staff.receive(milliseconds)
        if heard:
            with outside():  # whoever brings messages now, what is heard is of others
                self._hear(*heard)
        return heard is not None

    def _hear(self, worker: Worker | None, said: Said) -> None:
        self._moved = time.monotonic()
        for described in said.reports:
            self._pass_report(described)
        if worker:
            if said.done or said.back:
                self._count_done(worker, said)
            if said.state == READY and not worker.dead:
                self._staff.arrived(worker)
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
        self._deal()

    def _count_done(self, worker: Worker, said: Said) -> None:
        worker.is_done(said)
        self.hand_to(self._next, [], said.done)
        if worker.dead:  # its death was known before its last words
            self.take_back(said.done + said.back, DIED)
        if said.back:
            self.drop(said.back, NOT_STARTED)
            self._end_dealing()

    def _deal(self) -> None:
        while self._pending and not self._trouble:
            ready = self._staff.ready
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
        """Those that can go to a worker, whose shares these are."""
        found = []
        for message in batch:
            own = Shares()
            self._shares.move(1, own)
            with own.resumed():
                kept = portable(self, [message])
            own.move(len(kept), to)
            own.settle_all(Outcome.REJECTED)
            found += kept
        return found

    def _lose(self, count: int, reason: str, shares: Shares) -> None:
        """Count messages as lost, which are all that these deliveries had there."""
        with outside():
            self.drop(count, reason)
        shares.settle_all(Outcome.LOST)

    def _obey_stop(self) -> None:
        """Once somebody has asked for the end: have no worker begin what takes long, and deal only for a while."""
        if not self.stop_request.asked:
            return
        now = time.monotonic()
        self._told_at = self._told_at or now
        for worker in self._staff.living:
            worker.stop()
        if now - self._told_at >= WORK_AFTER_STOP and self._pending:
            self._end_dealing()

    def _end_dealing(self) -> None:
        self._no_more = True
        self._drop_pending(NOT_STARTED)

    def _look_after(self, *, restart_at_once: bool = False) -> None:
        for worker in self._staff.collect():
            self._lose(worker.outstanding, DIED, worker.shares)
            text = f"{worker} {worker.why()}, with {_messages(worker.outstanding)} in hand"
            if not self._staff.hopeless:
                text += f"; it is started again in {self._staff.next_start(worker.number):g} s"
            self.report(WorkerError(text))
        if self._pending or not self._ending:
            for error in self._staff.replace(at_once=restart_at_once):
                self.report(error)
        if self._staff.hopeless and self._pending:
            self._drop_pending(NO_WORKER)

    def _give_up_if_late(self, since: float) -> None:
        """Kill workers that have returned nothing for too long, when all that is left to do is to end."""
        if time.monotonic() - max(since, self._moved) < PATIENCE:
            return
        for worker in self._staff.living:
            worker.kill()
            text = f"{worker} had returned nothing for {PATIENCE:g} s and was killed"
            self.report(WorkerError(f"{text}, with {_messages(worker.outstanding)} in hand"))
        for worker in self._staff.collect():
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

    def changed(self) -> None:
        """Something that `drain` may wait for has happened."""

    def _raise_trouble(self) -> None:
        if self._trouble:
            raise self._trouble

    def _pass_report(self, described: dict[str, Any]) -> None:
        self._say(described)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
